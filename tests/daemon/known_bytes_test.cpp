#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"

namespace leadsync::daemon {
namespace {

/// Leads that come in the bytes they came in before.
class KnownBytes : public Story {
protected:
    /// Rows and bases as they stand, each version of them.
    std::string versions() {
        return world().value(
            "SELECT md5(string_agg(concat(l.xmin, ' ', b.xmin), ',' ORDER BY l.id)) FROM crm.leads l "
            "JOIN sync.base b ON b.workspace = l.workspace AND b.lead_id = l.id");
    }
    std::string base(std::size_t lead, const std::string& expression) {
        return world().value("SELECT " + expression + " FROM sync.base" + where(lead));
    }
    void set_base(std::size_t lead, const std::string& assignments) {
        world().sql("UPDATE sync.base SET " + assignments + where(lead));
    }
};

TEST_F(KnownBytes, CostNoWrite) {
    in_step({});
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.base WHERE raw_hash IS NULL"), "0");
    const auto before = versions();
    world().sweep();
    EXPECT_EQ(versions(), before);
}

TEST_F(KnownBytes, DoNotHideWhatElseThePageShows) {
    in_step({.deletes = {.remote = sync::RemoteDeletes::remove}});
    world().instantly().edit(leads_.at(1), {{"phone", "+1 555"}});
    world().instantly().remove(leads_.at(2));
    sync_once();
    EXPECT_EQ(local(1, "phone"), "+1 555");
    EXPECT_EQ(local(2, "sync_status"), "no row");
    expect_in_step();
}

TEST_F(KnownBytes, AreLookedAtWhereTheBaseIsNotReliedUpon) {
    in_step({});
    const auto phone = local(1, "phone");
    set_base(1, "content_hash = 0, content = content || '{\"phone\": \"+1 556\"}'");
    world().sweep();
    EXPECT_NE(base(1, "content_hash"), "0");
    EXPECT_EQ(base(1, "content->>'phone'"), phone);
}

/// A lead that shows the same in other bytes takes the long way. Its bytes are noted, but not with each sweep.
TEST_F(KnownBytes, AreFollowedOnceADay) {
    in_step({});
    const auto known = base(1, "raw_hash");
    const auto unchanged = versions();
    set_base(1, "raw_hash = 1");
    set_base(2, "raw_hash = 1, observed_at = observed_at - interval '25 hours'");
    set_base(3, "raw_hash = NULL");
    world().sweep();
    EXPECT_EQ(base(1, "raw_hash"), "1") << "a server may write in two ways in turn";
    EXPECT_NE(base(2, "raw_hash"), "1");
    EXPECT_EQ(base(2, "observed_at > now() - interval '1 hour'"), "t");
    EXPECT_NE(base(3, "raw_hash"), "null");
    set_base(1, "raw_hash = " + known);
    const auto followed = versions();
    EXPECT_NE(followed, unchanged);
    world().sweep();
    EXPECT_EQ(versions(), followed);
}

}  // namespace
}  // namespace leadsync::daemon
