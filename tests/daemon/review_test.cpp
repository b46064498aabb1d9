#include <algorithm>

#include "tests/daemon/command_fixture.hpp"

namespace leadsync::daemon {
namespace {

/// What an operator sees to on the command line.
class Review : public Command {
protected:
    /// A world in step. `workspace_extra`: more lines of the workspace's config.
    void begin(const std::string& workspace_extra) {
        serve(60);
        write_config("", workspace_extra);
        const auto backfill = run({"backfill"});
        ASSERT_EQ(backfill.status, 0) << backfill.errors;
        lead_ =
            value("SELECT id FROM crm.leads WHERE campaign IS NOT NULL AND email IS NOT NULL ORDER BY id LIMIT 1");
        email_ = value("SELECT email FROM crm.leads" + where());
        sql("UPDATE crm.leads SET phone = '1'" + where());
        drain(0);
    }

    void drain(int status) {
        const auto drained = run({"backfill", "--drain"});
        EXPECT_EQ(drained.status, status) << drained.errors;
    }

    void edit_both_sides(const std::string& local, const std::string& remote) {
        sql("UPDATE crm.leads SET phone = '" + local + "'" + where());
        instantly_->edit(lead_, {{"phone", remote}});
    }

    [[nodiscard]] std::string where() const { return " WHERE id = '" + lead_ + "'"; }
    std::string phone() { return value("SELECT phone FROM crm.leads" + where()); }
    std::string remote_phone() { return instantly_->lead(lead_).value().at("phone"); }

    void insert(int leads) {
        for (int i = 0; i < leads; ++i)
            sql("INSERT INTO crm.leads (workspace, email, campaign) SELECT 'acme', 'new" + std::to_string(i)
                + "@example.com', id FROM crm.campaigns ORDER BY id LIMIT 1");
    }

    std::string lead_;
    std::string email_;
};

TEST_F(Review, AManualConflictIsListedAndResolvedForTheValueHere) {
    begin("    conflicts: { default: manual }\n");
    edit_both_sides("2 \"here\"", "3");
    drain(3);
    EXPECT_EQ(run({"status"}).status, 3);
    EXPECT_EQ(listed({"status"}).at(0).at("conflicts_open"), 1);

    const auto listing = listed({"conflicts", "list", "--workspace", "acme"});
    ASSERT_EQ(listing.size(), 1U);
    const auto& conflict = listing.at(0);
    EXPECT_EQ(conflict.at("email"), email_);
    EXPECT_EQ(conflict.at("field"), "phone");
    EXPECT_EQ(conflict.at("base"), "1");
    EXPECT_EQ(conflict.at("local"), "2 \"here\"");
    EXPECT_EQ(conflict.at("remote"), "3");
    EXPECT_EQ(conflict.at("rule"), "manual");
    EXPECT_EQ(conflict.at("resolution"), nullptr);
    const auto text = run({"conflicts", "list"}).output;
    EXPECT_NE(text.find(R"(phone: here "2 \"here\"", on Instantly "3", before "1"; rule manual)"), std::string::npos)
        << text;

    const auto id = conflict.at("id").dump();
    const auto resolved = run({"conflicts", "resolve", id, "--take", "local"});
    EXPECT_EQ(resolved.status, 0) << resolved.errors;
    EXPECT_NE(run({"conflicts", "list"}).output.find("resolved as local"), std::string::npos);
    drain(0);
    EXPECT_EQ(remote_phone(), "2 \"here\"");
    EXPECT_EQ(run({"status"}).status, 0);
    EXPECT_TRUE(listed({"conflicts", "list"}).empty());
    EXPECT_EQ(listed({"conflicts", "list", "--all"}).at(0).at("resolution"), "local");
}

TEST_F(Review, AllConflictsOfAFieldAreResolvedForTheValueOnInstantly) {
    begin("    conflicts: { default: manual }\n");
    edit_both_sides("2", "3");
    sql("UPDATE crm.leads SET website = 'here.test'" + where());
    instantly_->edit(lead_, {{"website", "there.test"}});
    drain(3);
    EXPECT_NE(
        run({"conflicts", "resolve", "--all", "--field", "phone", "--take", "remote"}).output.find("1 conflict"),
        std::string::npos);
    drain(3);
    EXPECT_EQ(phone(), "3");
    EXPECT_EQ(listed({"conflicts", "list"}).at(0).at("field"), "website");
}

TEST_F(Review, AConflictThatIsNotOpenIsNotResolvedNorAreTheOthersOfTheCommand) {
    begin("    conflicts: { default: manual }\n");
    edit_both_sides("2", "3");
    drain(3);
    const auto id = listed({"conflicts", "list"}).at(0).at("id").dump();
    const auto unknown = run({"conflicts", "resolve", id, "4711", "--take", "local"});
    EXPECT_EQ(unknown.status, 1);
    EXPECT_EQ(unknown.errors, "leadsync: there is no conflict 4711; nothing was changed\n");
    EXPECT_EQ(value("SELECT count(*) FROM crm.conflicts WHERE resolution IS NOT NULL"), "0");

    EXPECT_EQ(run({"conflicts", "resolve", id, "--take", "remote"}).status, 0);
    const auto again = run({"conflicts", "resolve", id, "--take", "local"});
    EXPECT_EQ(again.status, 1);
    EXPECT_NE(again.errors.find("conflict " + id + " was resolved as remote already"), std::string::npos)
        << again.errors;
    EXPECT_EQ(std::ranges::count(again.errors, '\n'), 1);
}

TEST_F(Review, HeldCreatesAreListedTogetherAndGoWhenApproved) {
    begin("    guard: { creates: 2 }\n");
    insert(7);
    drain(3);
    EXPECT_EQ(listed({"status"}).at(0).at("held"), 7);
    const auto text = run({"held", "list"}).output;
    EXPECT_NE(text.find("7 new leads here (--kind create --side local)"), std::string::npos) << text;
    EXPECT_NE(text.find("more than 2 leads were created at once"), std::string::npos) << text;
    EXPECT_NE(text.find("@example.com, new"), std::string::npos) << text;
    EXPECT_NE(text.find(", …"), std::string::npos) << "five of them are enough: " << text;
    const auto listing = listed({"held", "list"});
    ASSERT_EQ(listing.size(), 7U);
    EXPECT_EQ(listing.at(0).at("kind"), "create");
    EXPECT_EQ(listing.at(0).at("side"), "local");

    const auto rejected = listing.at(0);
    EXPECT_EQ(run({"held", "reject", rejected.at("id").dump()}).status, 0);
    EXPECT_EQ(run({"held", "approve", rejected.at("id").dump()}).status, 1) << "decided already";
    EXPECT_EQ(run({"held", "approve", "4711"}).status, 1) << "not there";
    EXPECT_NE(run({"held", "approve", "--all", "--kind", "delete"}).output.find("0 held changes"), std::string::npos);
    EXPECT_NE(run({"held", "approve", "--all", "--kind", "create", "--side", "local"}).output.find("6 held changes"),
              std::string::npos);
    drain(3);
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads WHERE email LIKE 'new%' AND sync_status = 'synced'"), "6");
    EXPECT_EQ(listed({"status"}).at(0).at("held"), 0);
    EXPECT_EQ(listed({"status"}).at(0).at("dead_letters"), 1) << "the rejected one";
}

TEST_F(Review, WhyTellsTheStoryOfALead) {
    begin("    conflicts: { default: remote }\n");
    instantly_->edit(lead_, {{"job_title", "Chief"}});
    drain(0);
    edit_both_sides("2", "3");
    drain(0);
    auto shouted = email_;
    std::ranges::transform(shouted, shouted.begin(), [](unsigned char c) { return std::toupper(c); });
    const auto story = run({"why", shouted});
    ASSERT_EQ(story.status, 0) << story.errors;
    const std::vector<std::string> lines{
        R"(-> "1", edited here, sent by PATCH /leads/{id})",
        R"(-> "Chief", edited on Instantly, seen by POST /leads/list)",
        R"(phone: conflict 1: here "2", on Instantly "3", before "1"; rule "remote": the value on Instantly stands)",
        R"(phone: "2" -> "3", edited on both sides: by the rule "remote" the value on Instantly stands)",
        "now: synced, last in step at "};
    std::size_t at = 0;
    for (const auto& line : lines) {
        at = story.output.find(line, at);
        ASSERT_NE(at, std::string::npos) << line << "\nis not there, or not in order, in\n" << story.output;
    }
    EXPECT_EQ(run({"why", lead_}).output, story.output) << "by id";

    const auto phone = run({"why", email_, "phone"}).output;
    EXPECT_NE(phone.find("phone: "), std::string::npos);
    EXPECT_EQ(phone.find("job_title"), std::string::npos) << phone;
    const auto events = listed({"why", email_, "phone"}).at(0).at("events");
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events.at(1).at("event"), "conflict");
    EXPECT_EQ(events.at(2).at("rule"), "remote");

    const auto nobody = run({"why", "nobody@example.com"});
    EXPECT_EQ(nobody.status, 1);
    EXPECT_NE(nobody.errors.find("no lead \"nobody@example.com\" is known"), std::string::npos) << nobody.errors;
}

TEST_F(Review, WhyTellsWhatIsOnItsWayAndWhoEditedIt) {
    begin("    guard: { creates: 0 }\n");
    sql("UPDATE crm.leads SET phone = '9'" + where());
    const auto pending = run({"why", email_}).output;
    EXPECT_NE(pending.find("now: pending"), std::string::npos) << pending;
    EXPECT_NE(pending.find("due now"), std::string::npos) << pending;
    EXPECT_NE(pending.find("last edited here at "), std::string::npos) << pending;
    EXPECT_EQ(listed({"why", email_}).at(0).at("lead").at("pending").at("edited_by"), value("SELECT session_user"));

    insert(1);
    drain(3);
    const auto held = run({"why", "new0@example.com"}).output;
    EXPECT_NE(held.find("the creation here is held (1): more than 0 leads were created at once"), std::string::npos)
        << held;
    EXPECT_NE(held.find("now: held"), std::string::npos) << held;
}

TEST_F(Review, WhyKnowsLeadsThatAreGone) {
    begin("    deletes: { remote: delete }\n");
    // A lead written just now may be missing only because reads lag.
    sql("UPDATE sync.base SET written_at = written_at - interval '1 hour'");
    instantly_->remove(lead_);
    drain(0);
    ASSERT_EQ(value("SELECT count(*) FROM crm.leads" + where()), "0");
    for (const auto& name : {email_, lead_}) {
        const auto story = run({"why", name});
        EXPECT_EQ(story.status, 0) << story.errors;
        EXPECT_NE(story.output.find(email_ + " deleted on Instantly, seen by GET /leads/{id}: 404"),
                  std::string::npos)
            << story.output;
        EXPECT_NE(story.output.find("now: gone"), std::string::npos) << story.output;
    }
}

TEST_F(Review, WithoutASchemaEveryCommandSaysWhatToDo) {
    serve(10);
    for (const auto& command : std::vector<std::vector<std::string>>{{"status"},
                                                                     {"conflicts", "list"},
                                                                     {"held", "list"},
                                                                     {"held", "approve", "--all"},
                                                                     {"why", "ann@example.com"},
                                                                     {"plan"}}) {
        const auto outcome = run(command);
        EXPECT_EQ(outcome.status, 1) << command.front();
        EXPECT_NE(outcome.errors.find("leadsync migrate makes it"), std::string::npos) << outcome.errors;
    }
}

}  // namespace
}  // namespace leadsync::daemon
