#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "connectors/instantly/api_error.hpp"
#include "connectors/postgres/store.hpp"
#include "daemon/fleet.hpp"
#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// Leads in which something happened lately are read again within `freshness.active`, long before the next sweep
/// (DESIGN §5, Known leads). Here nothing but that reads what is known.
class ActiveLeadsStory : public Story {
protected:
    void follow(WorldSettings settings) {
        settings.rest = 24h;
        settings.active = 1s;
        begin(settings);
        // The leads of the sandbox are busy or not by chance: none of them is, until a test says so.
        world().sql("DELETE FROM sync.active");
    }
    /// The lead was contacted just now, as far as leadsync knows.
    void becomes_active(std::size_t lead) {
        world().sql("INSERT INTO sync.active VALUES ('acme', '" + leads_.at(lead)
                    + "', now() + interval '1 day') ON CONFLICT DO NOTHING");
    }
    void all_become_active() {
        world().sql(
            "INSERT INTO sync.active SELECT 'acme', instantly_id, now() + interval '1 day' FROM crm.leads "
            "ON CONFLICT DO NOTHING");
    }
    /// Whoever asks for the lead is shown another, and takes nothing of that answer.
    void gets_mixed_up_there(std::size_t lead) {
        auto other = leads_.at(lead);
        other.back() = other.back() == '0' ? '1' : '0';
        world().instantly().edit(leads_.at(lead), {{"id", other}});
    }
    void gets_right_again(std::size_t lead) { world().instantly().edit(leads_.at(lead), {{"id", leads_.at(lead)}}); }
    std::size_t look_ups_of(std::size_t lead) {
        std::size_t count = 0;
        for (const auto& request : world().instantly().requests("/leads/list")) {
            const auto body = request.value("body", "");
            const bool is_look_up = body.find("\"ids\"") != std::string::npos;
            count += is_look_up && body.find(leads_.at(lead)) != std::string::npos ? 1U : 0U;
        }
        return count;
    }
    void edit_there(std::size_t lead, const std::string& phone) {
        world().instantly().edit(leads_.at(lead), {{"phone", phone}});
    }
    std::string count(const std::string& condition) {
        return world().value("SELECT count(*) FROM crm.leads WHERE " + condition);
    }
    /// Whether the leads that were active when this was called have been read by now.
    bool is_round_over() {
        const auto looks = [this] { return world().requests("POST", "/leads/list"); };
        const auto before = looks();
        return test_support::eventually([&] { return looks() >= before + 40; }, 60s);
    }
};

TEST_F(ActiveLeadsStory, AnEditThereComesOverWithoutASweep) {
    follow({.leads = 40});
    becomes_active(0);
    edit_there(0, "+1 555");
    edit_there(1, "+1 556");
    EXPECT_TRUE(world().becomes("SELECT phone FROM crm.leads" + where(0), "+1 555"));
    EXPECT_EQ(local(1, "phone IS DISTINCT FROM '+1 556'"), "t") << "the next sweep finds that one";
    EXPECT_TRUE(world().becomes("SELECT active_leads FROM crm.workspaces", "1"));
    EXPECT_TRUE(world().becomes("SELECT age < interval '2 seconds' FROM crm.freshness WHERE class = 'active'", "t"));
}

TEST_F(ActiveLeadsStory, ALeadBecomesActiveByAnEditHereOrThere) {
    follow({.leads = 40});
    edit(0, "job_title = 'Owner'");
    ASSERT_TRUE(world().settles());
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.active"), "1");
    edit_there(0, "+1 555");
    EXPECT_TRUE(world().becomes("SELECT phone FROM crm.leads" + where(0), "+1 555"));
    EXPECT_EQ(world().value("SELECT until > now() + interval '6 days 23 hours' FROM sync.active"), "t");
}

TEST_F(ActiveLeadsStory, ABackfillKnowsWhichLeadsWereContactedLately) {
    WorldSettings settings{.leads = 40};
    begin(settings);
    const auto lately = world().value(
        "SELECT count(*) FROM crm.leads WHERE greatest(timestamp_last_contact, timestamp_last_open, "
        "timestamp_last_reply, timestamp_last_click, timestamp_last_touch, "
        "timestamp_last_interest_change) > now() - interval '7 days'");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.active"), lately);
}

TEST_F(ActiveLeadsStory, ADeletionThereIsFoundWithoutASweep) {
    follow({.leads = 40});
    becomes_active(0);
    world().instantly().remove(leads_.at(0));
    world().instantly().remove(leads_.at(1));
    EXPECT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "deleted"));
    EXPECT_EQ(local(1, "sync_status"), "synced");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE rule = 'deleted'"), "1");
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM sync.active", "0"));
}

TEST_F(ActiveLeadsStory, NothingIsNotedOfADeletionThereWhereThePolicyIgnoresIt) {
    follow({.leads = 40, .deletes = {.remote = sync::RemoteDeletes::ignore}});
    becomes_active(0);
    world().instantly().remove(leads_.at(0));
    EXPECT_TRUE(is_round_over());
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.absent"), "0");
    EXPECT_EQ(local(0, "sync_status"), "synced");
}

TEST_F(ActiveLeadsStory, ARowThatListsHideIsNoDeletion) {
    follow({.leads = 40});
    for (std::size_t lead = 0; lead < 5; ++lead) becomes_active(lead);
    world().instantly().set_switches({{"hidden_ids", {leads_[0], leads_[1]}}});
    EXPECT_TRUE(is_round_over());
    EXPECT_EQ(count("sync_status <> 'synced'"), "0");
    EXPECT_GE(world().requests("GET", "/leads/"), 2U) << "each was asked for by itself";
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.active"), "5");
}

TEST_F(ActiveLeadsStory, TooManyDeletionsThereAreHeld) {
    follow({.leads = 40, .guard = {.deletes = {.leads = 3}, .creates = {}, .changes = {}}});
    for (std::size_t lead = 0; lead < 6; ++lead) becomes_active(lead);
    for (std::size_t lead = 0; lead < 6; ++lead) world().instantly().remove(leads_.at(lead));
    EXPECT_TRUE(world().becomes("SELECT count(*) > 0 FROM crm.held WHERE decision IS NULL AND kind = 'delete'", "t"));
    EXPECT_TRUE(is_round_over());
    const auto gone = std::stoi(count("sync_status = 'deleted'"));
    EXPECT_LE(gone, 3) << "those found before the rest";
    EXPECT_EQ(std::stoi(world().value("SELECT count(*) FROM crm.held WHERE decision IS NULL")), 6 - gone);
}

TEST_F(ActiveLeadsStory, DeletionsThereCountRoundAfterRound) {
    follow({.leads = 40, .guard = {.deletes = {.leads = 3}, .creates = {}, .changes = {}}});
    for (std::size_t lead = 0; lead < 4; ++lead) becomes_active(lead);
    world().instantly().remove(leads_.at(0));
    world().instantly().remove(leads_.at(1));
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE sync_status = 'deleted'", "2"));
    world().instantly().remove(leads_.at(2));
    world().instantly().remove(leads_.at(3));
    EXPECT_TRUE(world().becomes("SELECT count(*) > 0 FROM crm.held WHERE decision IS NULL AND kind = 'delete'", "t"));
    EXPECT_TRUE(is_round_over());
    EXPECT_LE(std::stoi(count("sync_status = 'deleted'")), 3);
}

TEST_F(ActiveLeadsStory, TooManyEditsThereAreHeldRoundAfterRound) {
    follow({.leads = 40, .guard = {.deletes = {}, .creates = {}, .changes = {.leads = 3}}});
    for (std::size_t lead = 0; lead < 9; ++lead) becomes_active(lead);
    for (std::size_t lead = 0; lead < 9; ++lead) edit_there(lead, "+1 55" + std::to_string(lead));
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.held WHERE decision IS NULL AND kind = 'change'", "6"));
    EXPECT_TRUE(is_round_over());
    EXPECT_EQ(count("phone LIKE '+1 55_'"), "3") << "a round later there are not three more";
}

// --- look-ups that fail --------------------------------------------------------------------------------------------

constexpr auto is_fresh = "SELECT age < interval '2 seconds' FROM crm.freshness WHERE class = 'active'";
constexpr auto state_of_acme = "SELECT state FROM crm.workspaces";

TEST_F(ActiveLeadsStory, ALookUpThatAlwaysFailsHoldsUpNoOther) {
    follow({.leads = 250});
    all_become_active();
    gets_mixed_up_there(0);
    const auto last = leads_.size() - 1;  // in another look-up
    for (const auto* phone : {"+1 551", "+1 552", "+1 553"}) {
        edit_there(last, phone);
        EXPECT_TRUE(world().becomes("SELECT phone FROM crm.leads" + where(last), phone)) << "round after round";
    }
    world().instantly().remove(leads_.at(last - 1));
    EXPECT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(last - 1), "deleted"));
    EXPECT_TRUE(world().becomes(is_fresh, "f")) << "of those that fail it is told that they are old";
    EXPECT_EQ(world().value(state_of_acme), "following") << "a hundred leads are no outage";
    gets_right_again(0);
    edit_there(0, "+1 550");
    EXPECT_TRUE(world().becomes("SELECT phone FROM crm.leads" + where(0), "+1 550"));
    EXPECT_TRUE(world().becomes(is_fresh, "t"));
}

TEST_F(ActiveLeadsStory, ALookUpThatAlwaysFailsIsMadeAFewTimesARound) {
    follow({.leads = 40});
    becomes_active(0);
    gets_mixed_up_there(0);
    const auto began_at = std::chrono::steady_clock::now();
    const auto before = look_ups_of(0);
    EXPECT_TRUE(test_support::eventually([&] { return look_ups_of(0) >= before + 12; }, 60s));
    EXPECT_GE(std::chrono::steady_clock::now() - began_at, 2s) << "three a round, and a round takes 900 ms";
}

TEST_F(ActiveLeadsStory, ARefusedLookUpIsMadeOnceARound) {
    follow({.leads = 40});
    becomes_active(0);
    world().instantly().add_fault({{"kind", "status"}, {"status", 400}, {"path", "/leads/list"}});
    const auto began_at = std::chrono::steady_clock::now();
    const auto before = look_ups_of(0);
    EXPECT_TRUE(test_support::eventually([&] { return look_ups_of(0) >= before + 4; }, 60s));
    EXPECT_GE(std::chrono::steady_clock::now() - began_at, 2s);
}

TEST_F(ActiveLeadsStory, AnOutageIsWaitedFor) {
    follow({.leads = 250});
    all_become_active();
    world().instantly().add_fault({{"kind", "status"}, {"status", 503}, {"path", "/leads/list"}});
    EXPECT_TRUE(world().becomes(state_of_acme, "paused"));
    EXPECT_TRUE(world().becomes(is_fresh, "f"));
    edit_there(0, "+1 551");
    world().instantly().clear_faults();
    EXPECT_TRUE(world().becomes("SELECT phone FROM crm.leads" + where(0), "+1 551"));
    EXPECT_TRUE(world().becomes(is_fresh, "t"));
    EXPECT_TRUE(world().becomes(state_of_acme, "following"));
}

/// The way to an Instantly whose leads are so large that not more than `room` of them are an answer.
class SmallAnswers final : public instantly::Transport {
public:
    SmallAnswers(const asio::any_io_executor& executor, const WorkspaceConfig& config, std::size_t room)
        : way_{executor, transport_options(config)}, room_{room} {}

    asio::awaitable<instantly::Reply> send(instantly::Request request, instantly::Gate gate) override {
        const auto query = json::parse(request.body, nullptr, false);
        const bool is_look_up = query.is_object() && query.contains("ids");
        if (is_look_up && query.at("ids").size() > room_) {
            ++too_large;
            sync::Failure failure{.message = "the answer is too large"};
            throw instantly::AnswerTooLarge{std::move(failure), 0, true};
        }
        co_return co_await way_.send(std::move(request), std::move(gate));
    }

    std::size_t too_large = 0;

private:
    instantly::HttpTransport way_;
    std::size_t room_;
};

TEST_F(ActiveLeadsStory, WhatIsTooMuchForAnAnswerIsAskedForInParts) {
    in_step({.leads = 250});
    all_become_active();
    WorkspaceConfig config{.name = "acme",
                           .api_key = Secret{sandbox::WorkspaceSettings{}.api_key},
                           .base_url = "http://127.0.0.1:" + std::to_string(world().port())};
    config.freshness.bounds = {.fresh = 24h, .active = 1s, .rest = 24h};
    Connections database{world().url()};
    asio::io_context io{1};
    SystemClock clock;
    postgres::Store store{database.pushing, config.name};
    postgres::Store reading{database.reading, config.name};
    SmallAnswers way{io.get_executor(), config, 30};
    const SyncOptions options;
    WorkspaceSync sync{{way, store, reading, clock, random_dice()}, config, options};
    asio::cancellation_signal cancel;
    bool has_ended = false;
    asio::co_spawn(io, sync.run(),
                   asio::bind_cancellation_slot(cancel.slot(), [&](const std::exception_ptr&) { has_ended = true; }));
    const auto runs_until = [&](const auto& condition) {
        return test_support::eventually([&] {
            io.run_for(10ms);
            return condition();
        });
    };
    const auto last = leads_.size() - 1;
    for (const auto* phone : {"+1 551", "+1 552", "+1 553"}) {
        edit_there(0, phone);
        edit_there(last, phone);
        EXPECT_TRUE(runs_until([&] { return local(0, "phone") == phone && local(last, "phone") == phone; }));
    }
    EXPECT_TRUE(runs_until([&] { return world().value(is_fresh) == "t"; })) << "they count as read";
    EXPECT_GE(way.too_large, 3U);
    cancel.emit(asio::cancellation_type::terminal);
    EXPECT_TRUE(runs_until([&] { return has_ended; }));
}

// -------------------------------------------------------------------------------------------------------------------

TEST_F(ActiveLeadsStory, NewLeadsThatShowOutOfOrderAreFound) {
    follow({.leads = 40});
    // Made a moment before the newest, and shown a moment after it.
    auto id = world().value(
        "SELECT instantly_id FROM crm.leads WHERE instantly_id::text LIKE '0%' "
        "ORDER BY instantly_id DESC LIMIT 1");
    id.replace(24, 12, "000000000000");
    world().instantly().add({{"id", id}, {"email", "late@acme.io"}, {"campaign", world().any_campaign()}});
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE email = 'late@acme.io'", "1"));
}

}  // namespace
}  // namespace leadsync::daemon
