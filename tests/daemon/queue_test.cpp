#include "tests/daemon/command_fixture.hpp"

namespace leadsync::daemon {
namespace {

/// What was given up on, on the command line and in SQL.
class DeadLetters : public Command {
protected:
    /// An edit that Instantly refuses.
    void refuse_an_edit() {
        serve(60);
        ASSERT_EQ(run({"backfill"}).status, 0);
        lead_ =
            value("SELECT id FROM crm.leads WHERE campaign IS NOT NULL AND email IS NOT NULL ORDER BY id LIMIT 1");
        email_ = value("SELECT email FROM crm.leads" + where());
        phone_there_ = phone_there();
        instantly_->add_fault({{"kind", "status"}, {"status", 400}, {"method", "PATCH"}});
        sql("UPDATE crm.leads SET phone = '+1 \"refused\"'" + where());
        drain(3);
    }

    void drain(int status) {
        const auto drained = run({"backfill", "--drain"});
        EXPECT_EQ(drained.status, status) << drained.errors;
    }

    [[nodiscard]] std::string where() const { return " WHERE id = '" + lead_ + "'"; }
    std::string status() { return value("SELECT sync_status FROM crm.leads" + where()); }
    std::string phone() { return value("SELECT coalesce(phone, '') FROM crm.leads" + where()); }
    std::string phone_there() { return instantly_->lead(lead_).value().value("phone", ""); }

    std::string lead_;
    std::string email_;
    std::string phone_there_;
};

TEST_F(DeadLetters, AreListedAndShownWithWhatWasSentAndAnswered) {
    refuse_an_edit();
    const auto list = listed({"queue", "list"});
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list.at(0).at("email"), email_);
    EXPECT_EQ(list.at(0).at("state"), "given up");
    EXPECT_EQ(list.at(0).at("kind"), "change");
    const auto line = run({"queue", "list"}).output;
    EXPECT_NE(line.find(email_), std::string::npos);
    EXPECT_NE(line.find("given up"), std::string::npos);

    const auto shown = listed({"queue", "show", email_});
    ASSERT_EQ(shown.size(), 1U);
    ASSERT_EQ(shown.at(0).at("attempts").size(), 1U);
    const auto& attempt = shown.at(0).at("attempts").at(0);
    EXPECT_EQ(attempt.at("outcome"), "given up");
    EXPECT_EQ(attempt.at("request"), "PATCH /api/v2/leads/" + lead_);
    EXPECT_NE(attempt.at("sent").get<std::string>().find(R"(+1 \"refused\")"), std::string::npos);
    EXPECT_TRUE(attempt.at("answer").get<std::string>().starts_with("400 "));
    EXPECT_EQ(value("SELECT count(*) FROM crm.attempts WHERE concat(error, request, sent, answer) LIKE '%"
                    + sandbox::WorkspaceSettings{}.api_key + "%'"),
              "0");
    EXPECT_NE(run({"queue", "show", email_}).output.find("answer"), std::string::npos);
    EXPECT_NE(run({"status"}).output.find("leadsync queue list"), std::string::npos);
}

TEST_F(DeadLetters, AreTriedAgainOnRequest) {
    refuse_an_edit();
    const auto again = run({"queue", "retry", email_});
    EXPECT_EQ(again.status, 0) << again.errors;
    EXPECT_EQ(status(), "pending");
    drain(3);
    instantly_->clear_faults();
    EXPECT_EQ(run({"queue", "retry", "--all"}).output,
              "1 lead to be tried again as soon as the daemon comes to it\n");
    drain(0);
    EXPECT_EQ(phone_there(), "+1 \"refused\"");
    EXPECT_EQ(status(), "synced");
    EXPECT_EQ(run({"queue", "list"}).output, "nothing has failed\n");
    EXPECT_EQ(listed({"queue", "show", lead_}).at(0).at("attempts").size(), 2U) << "what was tried stays readable";
}

TEST_F(DeadLetters, ARetryKeepsWhatTheGuardLetThrough) {
    refuse_an_edit();
    sql("UPDATE sync.queue SET decision = 'approve', decided = 'local change'");
    EXPECT_EQ(run({"queue", "retry", lead_}).status, 0);
    EXPECT_EQ(value("SELECT decision || ' ' || decided FROM sync.queue"), "approve local change");
    EXPECT_EQ(run({"queue", "discard", lead_}).status, 0);
    EXPECT_EQ(value("SELECT decision || ' ' || decided FROM sync.queue"), "reject local change");
    EXPECT_EQ(run({"queue", "retry", lead_}).status, 0);
    EXPECT_EQ(value("SELECT decision FROM sync.queue"), "null") << "wanted after all";
}

TEST_F(DeadLetters, ADiscardedEditGivesWayToWhatInstantlyHas) {
    refuse_an_edit();
    EXPECT_EQ(run({"queue", "discard", lead_}).status, 0);
    instantly_->clear_faults();
    drain(0);
    EXPECT_EQ(phone(), phone_there_);
    EXPECT_EQ(phone_there(), phone_there_);
    EXPECT_EQ(status(), "synced");
}

TEST_F(DeadLetters, AreDecidedInSqlToo) {
    refuse_an_edit();
    EXPECT_EQ(value("SELECT string_agg(state || ' ' || kind, ',') FROM crm.queue"), "given up change");
    sql("UPDATE crm.queue SET decision = 'discard' WHERE state = 'given up'");
    instantly_->clear_faults();
    drain(0);
    EXPECT_EQ(phone(), phone_there_);
    EXPECT_EQ(value("SELECT count(*) FROM crm.queue"), "0");
}

TEST_F(DeadLetters, ADiscardedCreateStaysARowAndADiscardedDeletionBringsItBack) {
    serve(60);
    write_config("", "    deletes: { local: push }\n");
    ASSERT_EQ(run({"backfill"}).status, 0);
    lead_ = value("SELECT id FROM crm.leads WHERE campaign IS NOT NULL AND email IS NOT NULL ORDER BY id LIMIT 1");
    instantly_->add_fault({{"kind", "status"}, {"status", 400}, {"method", "DELETE"}});
    instantly_->add_fault({{"kind", "status"}, {"status", 400}, {"path", "/leads/add"}});
    sql("INSERT INTO crm.leads (workspace, email, campaign) SELECT workspace, 'new@acme.io', campaign FROM crm.leads"
        + where());
    sql("DELETE FROM crm.leads" + where());
    drain(3);
    EXPECT_EQ(value("SELECT string_agg(kind, ' ' ORDER BY kind) FROM crm.queue WHERE state = 'given up'"),
              "create delete");
    EXPECT_EQ(run({"queue", "discard", "--all"}).status, 0);
    instantly_->clear_faults();
    drain(3);
    EXPECT_EQ(status(), "synced") << "it is back";
    EXPECT_TRUE(instantly_->lead(lead_).has_value());
    EXPECT_NE(value("SELECT sync_error FROM crm.leads WHERE email = 'new@acme.io'").find("edit the row to ask again"),
              std::string::npos);
}

TEST_F(DeadLetters, AnEditThatIsOnItsWayIsNotDiscarded) {
    refuse_an_edit();
    sql("UPDATE sync.queue SET dead_at = NULL, lease_token = 7, lease_until = now() + interval '1 minute'");
    const auto refused = run({"queue", "discard", lead_});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.errors.find("is being sent right now"), std::string::npos) << refused.errors;
    EXPECT_EQ(value("SELECT decision IS NULL FROM sync.queue"), "t");
    EXPECT_EQ(run({"queue", "retry", lead_}).status, 0);
    sql("UPDATE sync.queue SET lease_until = now()");
    EXPECT_EQ(run({"queue", "discard", lead_}).status, 0) << "whoever had it in hand is gone";
    EXPECT_EQ(value("SELECT decision FROM crm.queue"), "null") << "there is nothing to read of it";
}

TEST_F(DeadLetters, MistakesAreToldAndChangeNothing) {
    refuse_an_edit();
    EXPECT_EQ(run({"queue", "retry"}).status, 2);
    EXPECT_EQ(run({"queue", "retry", "--all", email_}).status, 2);
    const auto unknown = run({"queue", "retry", email_, "nobody@example.com"});
    EXPECT_EQ(unknown.status, 1);
    EXPECT_NE(unknown.errors.find("nobody@example.com"), std::string::npos);
    EXPECT_EQ(status(), "error") << "all of them or none";
    EXPECT_THROW(sql("UPDATE crm.queue SET decision = 'forget'"), pqxx::sql_error);
    EXPECT_THROW(sql("UPDATE crm.queue SET attempts = 0, decision = 'retry'"), pqxx::sql_error);
    sql("UPDATE crm.leads SET phone = '2'" + where());
    EXPECT_EQ(status(), "pending") << "the next edit revives it as well";
}

}  // namespace
}  // namespace leadsync::daemon
