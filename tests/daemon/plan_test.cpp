#include <algorithm>
#include <set>
#include <sstream>

#include <boost/asio/io_context.hpp>
#include <spdlog/spdlog.h>

#include "connectors/postgres/preview.hpp"
#include "daemon/daemon.hpp"
#include "daemon/dry_run.hpp"
#include "tests/daemon/command_fixture.hpp"
#include "tests/support/agreement.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

/// A world in step, and what a plan says of it before leadsync runs.
class Plan : public Command {
protected:
    void begin(const WorkspaceConfig& settings = defaults()) {
        spdlog::set_level(spdlog::level::off);
        serve(120);
        auto workspace = settings;
        workspace.base_url = server_->url();
        config_.database.url = Secret{database_.url()};
        config_.workspaces.push_back(workspace);
        let_it_run();
        for (int i = 0; i < 20; ++i) {
            leads_.push_back(
                value("SELECT id FROM crm.leads WHERE campaign IS NOT NULL AND email IS NOT NULL "
                      "ORDER BY id OFFSET "
                      + std::to_string(i) + " LIMIT 1"));
            sql("UPDATE crm.leads SET phone = '1', website = 'one.test', assigned_to = NULL"
                + where(leads_.size() - 1));
        }
        let_it_run();
        // As if that was long ago: a lead written just now may be missing only because reads lag.
        sql("UPDATE sync.base SET written_at = written_at - interval '1 hour'");
        instantly_->reset_log();
        history_before_ = std::stol(value("SELECT count(*) FROM crm.history"));
    }

    static WorkspaceConfig defaults() {
        WorkspaceConfig config{.name = "acme", .api_key = Secret{sandbox::WorkspaceSettings{}.api_key}};
        config.rate = {.per_second = 100, .per_minute = 6000, .share = 1};
        config.conflicts.fields[sync::Field::website] = sync::Rule::remote;
        config.deletes.local = sync::LocalDeletes::push;
        config.guard = {.deletes = {}, .creates = {}, .changes = {}};
        return config;
    }

    /// A complete sweep, then until nothing is pending.
    void let_it_run() {
        SyncOptions options{.patience = 30s, .timing = {}};
        options.timing.poll = 100ms;
        options.timing.read_back = 50ms;
        options.timing.job_poll_first = 20ms;
        options.timing.busy = 50ms;
        options.timing.backoff = {50ms, 500ms};
        Daemon daemon{config_, options};
        ASSERT_TRUE(daemon.backfill({}, true));
    }

    WorkspacePlan plan() {
        WorkspacePlan planned;
        boost::asio::io_context io{1};
        postgres::Database database{database_.url(), 1};
        SystemClock clock;
        const auto& workspace = config_.workspaces.front();
        instantly::HttpTransport transport{io.get_executor(), transport_options(workspace)};
        auto task = [&]() -> boost::asio::awaitable<void> {
            planned = co_await dry_run(transport, database, clock, random_dice(), workspace, 1000);
        };
        std::exception_ptr failed;
        boost::asio::co_spawn(io, task(), [&](std::exception_ptr error) { failed = error; });
        io.run();
        if (failed) std::rethrow_exception(failed);
        return planned;
    }

    /// Every row of every table, and the sequences.
    std::string database_content() {
        pqxx::connection connection{database_.url()};
        pqxx::work transaction{connection};
        std::string content;
        for (const auto& table : transaction.exec(
                 "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('crm', 'sync') "
                 "ORDER BY 1"))
            content +=
                std::string{table[0].c_str()} + ": "
                + transaction
                      .exec1(std::string{"SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text || t.xmin, "
                                         "',' ORDER BY t::text)), '') FROM "}
                             + table[0].c_str() + " t")[0]
                      .c_str()
                + "\n";
        return content + transaction.exec1("SELECT last_value FROM sync.lease_tokens")[0].c_str();
    }

    [[nodiscard]] std::string where(std::size_t lead) const { return " WHERE id = '" + leads_.at(lead) + "'"; }
    void edit_here(std::size_t lead, const std::string& assignments) {
        sql("UPDATE crm.leads SET " + assignments + where(lead));
    }
    std::string campaign_of(std::size_t lead) { return value("SELECT campaign FROM crm.leads" + where(lead)); }
    std::string other_campaign(std::size_t lead) {
        return value("SELECT id FROM crm.campaigns WHERE id <> '" + campaign_of(lead) + "' ORDER BY id LIMIT 1");
    }

    static std::int64_t count_of(const WorkspacePlan& plan, Step step) {
        const auto found = plan.steps.find(step);
        return found == plan.steps.end() ? 0 : found->second.count;
    }
    static std::int64_t fields_of(const WorkspacePlan& plan, Step step) {
        std::int64_t fields = 0;
        if (const auto found = plan.steps.find(step); found != plan.steps.end())
            for (const auto& lead : found->second.leads) fields += static_cast<std::int64_t>(lead.changes.size());
        return fields;
    }

    /// Requests that change something since begin(), by call, as a plan names them.
    std::map<std::string, std::int64_t> changing_requests() {
        std::map<std::string, std::int64_t> counts;
        for (const auto& request : instantly_->requests()) {
            auto path = request.at("path").get<std::string>();
            const auto method = request.at("method").get<std::string>();
            if (method == "GET" || path.ends_with("/leads/list")) continue;
            path = path.substr(path.find("/leads"));
            if (method != "POST") path = "/leads/{id}";
            ++counts[method + " " + path];
        }
        return counts;
    }

    Config config_;
    std::vector<std::string> leads_;
    std::int64_t history_before_ = 0;
};

TEST_F(Plan, SaysWhatARunThenDoesAndChangesNothingOnEitherSide) {
    begin();
    const auto campaign = campaign_of(0);
    const auto assignee = "019a0000-0000-7000-8000-00000000a551";
    edit_here(0, "phone = '2'");
    edit_here(1, R"(lt_interest_status = 2, custom_variables = custom_variables || '{"tier": "gold"}')");
    edit_here(2, "campaign = '" + other_campaign(2) + "'");
    edit_here(3, "phone = '3 here'");
    instantly_->edit(leads_[3], {{"phone", "3 there"}});
    edit_here(4, "website = 'here.test'");
    instantly_->edit(leads_[4], {{"website", "there.test"}});
    instantly_->edit(leads_[5], {{"job_title", "Chief"}, {"custom_variables", {{"score", 7}}}});
    instantly_->remove(leads_[6]);
    sql("DELETE FROM crm.leads" + where(7));
    edit_here(8, std::string{"assigned_to = '"} + assignee + "'");
    edit_here(9, std::string{"assigned_to = '"} + assignee + "', phone = '9'");
    edit_here(10, "lt_interest_status = -1, campaign = '" + other_campaign(10) + "'");
    instantly_->add({{"email", "new@example.com"}, {"campaign", campaign}});
    instantly_->add({{"email", "Both@example.com"}, {"campaign", campaign}, {"phone", "5"}});
    for (const auto* email : {"one@example.com", "two@example.com", "both@example.com"})
        sql(std::string{"INSERT INTO crm.leads (workspace, email, campaign, phone) VALUES ('acme', '"} + email
            + "', '" + campaign + "', '5')");

    const auto content = database_content();
    const auto truth = instantly_->all_leads();
    instantly_->reset_log();
    const auto planned = plan();
    EXPECT_TRUE(changing_requests().empty()) << "a dry run only reads";
    EXPECT_GT(instantly_->requests().size(), 2U);
    EXPECT_EQ(instantly_->all_leads(), truth);
    EXPECT_EQ(database_content(), content);

    const std::map<Step, std::int64_t> expected{
        {Step::appear, 1}, {Step::adopt, 1}, {Step::pull, 2},     {Step::gone, 1},   {Step::create, 2},
        {Step::patch, 4},  {Step::move, 2},  {Step::interest, 2}, {Step::assign, 2}, {Step::remove, 1}};
    for (const auto& [step, planned_step] : planned.steps)
        EXPECT_EQ(planned_step.count, expected.contains(step) ? expected.at(step) : 0)
            << name_of(step) << " " << planned_step.leads.front().note;
    for (const auto& [step, count] : expected) EXPECT_EQ(count_of(planned, step), count) << name_of(step);
    ASSERT_EQ(planned.conflicts.size(), 2U);
    EXPECT_EQ(planned.steps.at(Step::gone).leads.at(0).id, leads_[6]);
    const auto& patched = planned.steps.at(Step::patch).leads;
    const auto first = std::ranges::find(patched, leads_[0], &PlannedLead::id);
    ASSERT_NE(first, patched.end());
    EXPECT_EQ(first->changes.at(0).key, "phone");
    EXPECT_EQ(first->changes.at(0).before, "1");
    EXPECT_EQ(first->changes.at(0).after, "2");

    let_it_run();
    EXPECT_EQ(changing_requests(), planned.requests);
    EXPECT_EQ(std::stoul(value("SELECT count(*) FROM crm.conflicts")), planned.conflicts.size());
    for (const auto& conflict : planned.conflicts)
        EXPECT_EQ(value("SELECT local || ' ' || remote || ' ' || rule FROM crm.conflicts WHERE lead_id = '"
                        + conflict.id + "' AND field = '" + conflict.conflict.key + "'"),
                  *conflict.conflict.local + " " + *conflict.conflict.remote + " "
                      + std::string{name_of(conflict.conflict.rule)});
    std::int64_t history = 0;
    for (const auto step : {Step::appear, Step::adopt, Step::gone, Step::create, Step::remove})
        history += count_of(planned, step);
    for (const auto step : {Step::pull, Step::patch, Step::interest, Step::assign, Step::move, Step::subsequence})
        history += fields_of(planned, step);
    EXPECT_EQ(std::stol(value("SELECT count(*) FROM crm.history")) - history_before_, history) << value(
        "SELECT string_agg(concat_ws(' ', field, old, new, rule, request), E'\\n' ORDER BY id DESC) "
        "FROM crm.history");
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads WHERE email = 'new@example.com'"), "1");
    EXPECT_EQ(value("SELECT sync_status FROM crm.leads" + where(6)), "deleted");
    for (const auto& line : test_support::differences(database_.url(), "acme", instantly_->all_leads()))
        EXPECT_EQ(line, "lead " + leads_[6] + ": not on Instantly") << "but marked as deleted here";

    const auto after = plan();
    EXPECT_TRUE(after.steps.empty()) << name_of(after.steps.begin()->first);
    EXPECT_TRUE(after.conflicts.empty());
}

TEST_F(Plan, SaysWhatTheGuardThenHolds) {
    auto settings = defaults();
    settings.guard = {.deletes = {.leads = 1, .part = {}},
                      .creates = {.leads = 2, .part = {}},
                      .changes = {.leads = 3, .part = {}}};
    begin([&] {
        auto unguarded = settings;
        unguarded.guard = {.deletes = {}, .creates = {}, .changes = {}};
        return unguarded;
    }());
    config_.workspaces.front().guard = settings.guard;
    for (std::size_t i = 0; i < 4; ++i) edit_here(i, "phone = '2'");
    for (std::size_t i = 4; i < 9; ++i) instantly_->edit(leads_[i], {{"job_title", "Chief"}});
    for (std::size_t i = 9; i < 11; ++i) instantly_->remove(leads_[i]);
    for (std::size_t i = 11; i < 13; ++i) sql("DELETE FROM crm.leads" + where(i));
    for (const auto* email : {"one@example.com", "two@example.com", "three@example.com"})
        sql(std::string{"INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', '"} + email + "', '"
            + campaign_of(0) + "')");
    instantly_->reset_log();
    const auto planned = plan();
    EXPECT_EQ(count_of(planned, Step::pull), 3);
    EXPECT_EQ(count_of(planned, Step::hold), 4 + 2 + 2 + 2 + 3);
    EXPECT_TRUE(planned.requests.empty());

    let_it_run();
    EXPECT_TRUE(changing_requests().empty());
    // Which of the edits made there are let in is a matter of the order in which pages are read; how many is not.
    const std::set<std::string> edited_there(leads_.begin() + 4, leads_.begin() + 9);
    std::multiset<std::string> expected;
    for (const auto& lead : planned.steps.at(Step::hold).leads)
        expected.insert(edited_there.contains(lead.id) ? "an edit there" : lead.id);
    std::multiset<std::string> held;
    std::istringstream ids{value("SELECT string_agg(lead_id::text, ' ') FROM crm.held")};
    for (std::string id; ids >> id;) held.insert(edited_there.contains(id) ? "an edit there" : id);
    EXPECT_EQ(held, expected);
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads WHERE job_title = 'Chief'"), "3");
    EXPECT_TRUE(plan().steps.empty()) << "what is held already is no news";
}

TEST_F(Plan, PostgresqlItselfRefusesToWriteInADryRun) {
    begin();
    boost::asio::io_context io{1};
    postgres::Database database{database_.url(), 1};
    auto task = [&]() -> boost::asio::awaitable<void> {
        co_await postgres::read_only(database, "acme", [&](store::Transaction& transaction, postgres::Preview&) {
            transaction.queue.enqueue({{leads_[0]}});
        });
    };
    std::exception_ptr failed;
    boost::asio::co_spawn(io, task(), [&](std::exception_ptr error) { failed = error; });
    io.run();
    ASSERT_TRUE(failed);
    EXPECT_THROW(std::rethrow_exception(failed), store::StoreError);
}

TEST_F(Plan, SeesWhetherADaemonDrivesTheWorkspaceToLeaveItItsRate) {
    begin();
    boost::asio::io_context io{1};
    postgres::Database database{database_.url(), 1};
    const auto is_driven = [&](const std::string& workspace) {
        return database.run_blocking([&](pqxx::work& transaction) {
            return postgres::Preview{transaction, workspace}.is_driven();
        });
    };
    EXPECT_FALSE(is_driven("acme"));
    postgres::Listener listener{io.get_executor(), database_.url(), {"acme"}};
    listener.connect();
    EXPECT_TRUE(is_driven("acme"));
    EXPECT_FALSE(is_driven("other"));
    EXPECT_EQ(listed({"status"}).at(0).at("driven"), true);
    EXPECT_EQ(run({"status"}).output.find("none runs"), std::string::npos);
}

TEST_F(Plan, TheCommandTellsItOnATerminalAndAsJson) {
    begin();
    const auto nothing = run({"plan"});
    EXPECT_EQ(nothing.status, 0) << nothing.errors;
    EXPECT_NE(nothing.output.find("nothing to do"), std::string::npos) << nothing.output;

    for (std::size_t i = 0; i < 7; ++i) edit_here(i, "phone = '2'");
    const auto text = run({"plan", "--workspace", "acme"});
    EXPECT_EQ(text.status, 0) << text.errors;
    for (const auto* line : {"to Instantly: PATCH: 7\n", "  phone: \"1\" -> \"2\"\n", "… and 2 more\n",
                             "requests that change something: 7 PATCH /leads/{id}"})
        EXPECT_NE(text.output.find(line), std::string::npos) << line << "\nis not in\n" << text.output;
    const auto json = listed({"plan"}).at(0);
    EXPECT_EQ(json.at("steps").at("patch").at("count"), 7);
    EXPECT_EQ(json.at("steps").at("patch").at("leads").size(), 7U);
    EXPECT_EQ(json.at("requests").at("PATCH /leads/{id}"), 7);

    sql("INSERT INTO crm.held (workspace, lead_id, kind, side, reason) VALUES ('acme', '" + leads_[0]
        + "', 'change', 'remote', 'a test')");
    const auto left = run({"plan"});
    EXPECT_EQ(left.status, 3) << "something is left for an operator";
    EXPECT_NE(left.output.find("0 open conflicts, 1 held change: leadsync status"), std::string::npos) << left.output;
    const auto wrong_key = run({"plan"}, "d3Jvbmcga2V5");
    EXPECT_EQ(wrong_key.status, 1);
    EXPECT_NE(wrong_key.errors.find("leadsync: workspace acme: "), std::string::npos) << wrong_key.errors;
}

}  // namespace
}  // namespace leadsync::daemon
