#include "daemon/config.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include "daemon/config_keys.hpp"
#include "daemon/config_urls.hpp"
#include "tests/support/temporary_directory.hpp"

namespace leadsync::daemon {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test_support::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string acme = "workspaces:\n  - name: acme\n    api_key: k\n";

/// A config file in a folder of its own, read with an environment of its own.
class ConfigTest : public ::testing::Test {
protected:
    void write(const std::string& name, const std::string& text) const { std::ofstream{path(name)} << text; }
    [[nodiscard]] fs::path path(const std::string& name) const { return folder_.path() / name; }
    void set(const std::string& variable, const std::string& value) { environment_[variable] = value; }

    Config load(const std::string& text) {
        write("leadsync.yaml", text);
        return load_config(path("leadsync.yaml"), [&](const std::string& name) {
            const auto found = environment_.find(name);
            return found == environment_.end() ? std::nullopt : std::optional{found->second};
        });
    }

    /// Without the folder in front of each line.
    std::vector<std::string> errors_of(const std::string& text) {
        try {
            load(text);
            return {};
        } catch (const ConfigError& error) {
            auto lines = error.lines();
            const auto prefix = folder_.path().string() + "/";
            for (auto& line : lines)
                if (line.starts_with(prefix)) line.erase(0, prefix.size());
            return lines;
        }
    }

    std::string error_of(const std::string& text) {
        const auto lines = errors_of(text);
        return lines.size() == 1 ? lines[0]
                                 : std::to_string(lines.size()) + " errors: " + ::testing::PrintToString(lines);
    }

private:
    TemporaryDirectory folder_;
    std::map<std::string, std::string> environment_;
};

sync::GuardLimit leads(std::int64_t number) { return {.leads = number, .part = std::nullopt}; }
sync::GuardLimit part(double share) { return {.leads = std::nullopt, .part = share}; }
const sync::GuardLimit any_number;

TEST_F(ConfigTest, NamesAndKeysAreEnough) {
    const auto config = load(acme);
    EXPECT_FALSE(config.database.url);
    EXPECT_EQ(config.data_dir, "/var/lib/leadsync");
    EXPECT_EQ(config.log.level, LogLevel::info);
    EXPECT_EQ(config.log.format, LogFormat::automatic);
    ASSERT_EQ(config.workspaces.size(), 1U);

    const auto& workspace = config.workspaces[0];
    EXPECT_EQ(workspace.name, "acme");
    EXPECT_EQ(workspace.api_key.reveal(), "k");
    EXPECT_EQ(workspace.base_url, "https://api.instantly.ai");
    EXPECT_EQ(workspace.rate.per_second, 100);
    EXPECT_EQ(workspace.rate.per_minute, 6000);
    EXPECT_EQ(workspace.rate.share, 0.8);
    EXPECT_EQ(workspace.freshness.bounds, (sync::FreshnessBounds{15s, 2min, 1h}));
    EXPECT_EQ(workspace.freshness.active_for, 7 * 24h);
    EXPECT_EQ(workspace.conflicts.of(sync::Field::phone), sync::Rule::local);
    EXPECT_FALSE(workspace.conflicts.may_clear(sync::Field::phone));
    EXPECT_TRUE(workspace.conflicts.may_clear(sync::Field::campaign));
    EXPECT_FALSE(workspace.conflicts.custom_variables_clearable);
    EXPECT_EQ(workspace.deletes.remote, sync::RemoteDeletes::mark);
    EXPECT_EQ(workspace.deletes.local, sync::LocalDeletes::ignore);
    EXPECT_EQ(workspace.guard.deletes, part(0.05));
    EXPECT_EQ(workspace.guard.creates, leads(1000));
    EXPECT_EQ(workspace.guard.changes, part(0.25));
    EXPECT_EQ(workspace.history_keep, 90 * 24h);
}

TEST_F(ConfigTest, TakesEveryKey) {
    const auto config = load(R"(
database: { url: postgresql://leadsync@db.example/crm }
data_dir: state
log: { level: debug, format: json }
workspaces:
  - name: acme-2
    api_key: "quoted"
    base_url: http://127.0.0.1:8080/
    rate: { per_second: 5, per_minute: 60, share: 1 }
    freshness: { new: 500ms, active: 30s, active_for: 2d, rest: 1d }
    conflicts:
      { default: remote, phone: local, job_title: newest, campaign: manual, custom_variables: local,
        clearable: [website, custom_variables] }
    deletes: { remote: delete, local: push }
    guard: { deletes: 20, creates: off, changes: 12.5% }
    history: { keep: 1d }
)");
    EXPECT_EQ(config.database.url.value().reveal(), "postgresql://leadsync@db.example/crm");
    EXPECT_EQ(config.data_dir, path("state"));
    EXPECT_EQ(config.log.level, LogLevel::debug);
    EXPECT_EQ(config.log.format, LogFormat::json);

    const auto& workspace = config.workspaces.at(0);
    EXPECT_EQ(workspace.base_url, "http://127.0.0.1:8080");
    EXPECT_EQ(workspace.rate.per_second, 5);
    EXPECT_EQ(workspace.rate.per_minute, 60);
    EXPECT_EQ(workspace.rate.share, 1.0);
    EXPECT_EQ(workspace.freshness.bounds, (sync::FreshnessBounds{500ms, 30s, 24h}));
    EXPECT_EQ(workspace.freshness.active_for, 48h);
    EXPECT_EQ(workspace.conflicts.of(sync::Field::website), sync::Rule::remote);
    EXPECT_EQ(workspace.conflicts.of(sync::Field::phone), sync::Rule::local);
    EXPECT_EQ(workspace.conflicts.of(sync::Field::job_title), sync::Rule::newest);
    EXPECT_EQ(workspace.conflicts.of(sync::Field::campaign), sync::Rule::manual);
    EXPECT_EQ(workspace.conflicts.of_custom_variables(), sync::Rule::local);
    EXPECT_TRUE(workspace.conflicts.may_clear(sync::Field::website));
    EXPECT_FALSE(workspace.conflicts.may_clear(sync::Field::phone));
    EXPECT_TRUE(workspace.conflicts.custom_variables_clearable);
    EXPECT_EQ(workspace.deletes.remote, sync::RemoteDeletes::remove);
    EXPECT_EQ(workspace.deletes.local, sync::LocalDeletes::push);
    EXPECT_EQ(workspace.guard.deletes, leads(20));
    EXPECT_EQ(workspace.guard.creates, any_number);
    EXPECT_EQ(workspace.guard.changes, part(0.125));
    EXPECT_EQ(workspace.history_keep, 24h);
}

TEST_F(ConfigTest, AGuardsLimitIsAPartANumberOrOffWithAndWithoutQuotes) {
    const std::vector<std::pair<std::string, sync::GuardLimit>> table{
        {"5%", part(0.05)},  {"'5%'", part(0.05)},  {"0.5%", part(0.005)},   {"0%", part(0)},
        {"100%", part(1)},   {"1000", leads(1000)}, {"'1000'", leads(1000)}, {"0", leads(0)},
        {"off", any_number}, {"'off'", any_number},
    };
    for (const auto& [text, limit] : table) {
        const auto guard =
            load(fmt::format("{0}    guard: {{ deletes: {1}, creates: {1}, changes: {1} }}\n", acme, text))
                .workspaces.at(0)
                .guard;
        EXPECT_EQ(guard.deletes, limit) << text;
        EXPECT_EQ(guard.creates, limit) << text;
        EXPECT_EQ(guard.changes, limit) << text;
    }
    for (const char* text :
         {"150%", "-1", "-5%", "1.5", "x", "''", "'%'", "5 %", "5%%", "inf", "1e3", "on", "false", "1000000000"})
        EXPECT_THAT(error_of(fmt::format("{}    guard: {{ creates: {} }}\n", acme, text)),
                    HasSubstr(" workspaces[0].guard.creates: must be a part of the workspace's leads such as 5%, a "
                              "number of leads such as 1000, or off"))
            << text;
}

TEST_F(ConfigTest, EveryTextFieldThatGoesBothWaysMayBeClearable) {
    for (const auto* name : {"first_name", "last_name", "company_name", "job_title", "phone", "website",
                             "personalization", "pl_value_lead"}) {
        const auto config = load(fmt::format("{}    conflicts: {{ clearable: [{}] }}\n", acme, name));
        EXPECT_TRUE(config.workspaces.at(0).conflicts.may_clear(sync::field_named(name).value())) << name;
    }
}

TEST_F(ConfigTest, TakesSecretsFromTheEnvironment) {
    set("ACME_API_KEY", "secret-1");
    set("PASSWORD", "pw");
    const auto config = load(
        "database: { url: 'postgresql://me:${PASSWORD}@db/crm' }\n"
        "workspaces: [{ name: acme, api_key: '${ACME_API_KEY}' }]\n");
    EXPECT_EQ(config.workspaces.at(0).api_key.reveal(), "secret-1");
    EXPECT_EQ(config.database.url.value().reveal(), "postgresql://me:pw@db/crm");
}

TEST_F(ConfigTest, TakesSecretsFromFilesWithoutTheLineEnd) {
    write("key", "secret-2\r\n");
    EXPECT_EQ(load("workspaces: [{ name: acme, api_key_file: key }]").workspaces.at(0).api_key.reveal(), "secret-2");
    set("CREDENTIALS_DIRECTORY", path("").string());
    EXPECT_EQ(load("workspaces: [{ name: acme, api_key_file: '${CREDENTIALS_DIRECTORY}/key' }]")
                  .workspaces.at(0)
                  .api_key.reveal(),
              "secret-2");
}

struct BadConfig {
    std::string text;
    std::string error;
};

/// A line below `acme`, which has three.
std::string with(const std::string& line) { return acme + "    " + line + "\n"; }

TEST_F(ConfigTest, SaysWhereAndWhatIsWrong) {
    set("EMPTY", "");
    write("empty", "\n");
    write("two-words", "a b\n");
    const std::string all_conflicts =
        "default, custom_variables, clearable, first_name, last_name, company_name, job_title, phone, website, "
        "personalization, "
        "pl_value_lead, lt_interest_status, assigned_to, campaign, subsequence_id";
    const std::string workspace_keys =
        "name, api_key, api_key_file, base_url, rate, freshness, conflicts, deletes, guard, history";
    const std::string not_clearable =
        "must list text fields that go both ways, such as phone or website, or custom_variables; what is no text may "
        "be emptied anyway";
    const std::string no_list = "must be a list of texts, such as [phone, website]";
    const std::vector<BadConfig> table{
        // the file as a whole
        {"", "leadsync.yaml:1:1: must be a map with the keys database, data_dir, log, workspaces"},
        {"[a]", "leadsync.yaml:1:1: must be a map with the keys database, data_dir, log, workspaces"},
        {"log: {}\n", "leadsync.yaml:1:1: workspaces: missing; list at least one, with name and api_key"},
        {"log: [\n", "leadsync.yaml:2:1: not YAML: end of sequence flow not found"},
        {acme + "---\nlog: {}\n",
         "leadsync.yaml:5:1: a second document starts here; a config is one: remove the line ---"},
        {acme + "adminn: {}\n",
         "leadsync.yaml:4:1: adminn: unknown key; allowed: database, data_dir, log, workspaces"},
        {acme + "log: {}\nlog: {}\n", "leadsync.yaml:5:1: log: given twice, first in line 4; keep one"},
        {acme + "log:\n", "leadsync.yaml:4:1: log: must be a map with the keys level, format"},
        {acme + "? [a]\n: b\n", "leadsync.yaml:4:3: unknown key; allowed: database, data_dir, log, workspaces"},
        // top level
        {acme + "data_dir: ''\n", "leadsync.yaml:4:11: data_dir: must be a path"},
        {acme + "data_dir: [a]\n", "leadsync.yaml:4:11: data_dir: must be a text"},
        {acme + "data_dir:\n", "leadsync.yaml:4:1: data_dir: has no value; write one, or leave the key out"},
        {acme + "data_dir: ${HOME}/leadsync\n",
         "leadsync.yaml:4:11: data_dir: ${VARIABLE} works only in secrets (database.url, api_key, *_file); write the "
         "value itself"},
        {acme + "log: {level: loud}\n",
         "leadsync.yaml:4:14: log.level: must be one of trace, debug, info, warn, error"},
        {acme + "log: {format: xml}\n", "leadsync.yaml:4:15: log.format: must be one of auto, text, json"},
        {acme + "database: {url: 'host=db password=pw'}\n",
         "leadsync.yaml:4:17: database.url: must be a URL such as postgresql://USER@HOST/DATABASE; in a password "
         "write "
         "every character but letters and digits as %XX"},
        {acme + "database: {url: 'postgresql:///crm', url_file: empty}\n",
         "leadsync.yaml:4:48: database.url_file: give url or url_file, not both"},
        {acme + "database: {url_file: empty}\n", "leadsync.yaml:4:22: database.url_file: the file it names is empty"},
        // workspaces
        {"workspaces:\n",
         "leadsync.yaml:1:1: workspaces: must be a list of at least one map with the keys " + workspace_keys},
        {"workspaces: []\n",
         "leadsync.yaml:1:13: workspaces: must be a list of at least one map with the keys " + workspace_keys},
        {"workspaces: {name: acme}\n",
         "leadsync.yaml:1:13: workspaces: must be a list of at least one map with the keys " + workspace_keys},
        {"workspaces:\n  - acme\n",
         "leadsync.yaml:2:5: workspaces[0]: must be a map with the keys " + workspace_keys},
        {acme + "  - name: acme\n    api_key: k\n",
         "leadsync.yaml:4:11: workspaces[1].name: the same as workspaces[0].name; every workspace needs its own"},
        {"workspaces: [{api_key: k}]",
         "leadsync.yaml:1:14: workspaces[0].name: missing; 1 to 63 of a-z, 0-9 and -, the key in every table"},
        {"workspaces: [{name: Acme, api_key: k}]",
         "leadsync.yaml:1:21: workspaces[0].name: must be 1 to 63 of a-z, 0-9 and -"},
        {"workspaces: [{name: " + std::string(64, 'a') + ", api_key: k}]",
         "leadsync.yaml:1:21: workspaces[0].name: must be 1 to 63 of a-z, 0-9 and -"},
        {"workspaces: [{name: acme}]",
         "leadsync.yaml:1:14: workspaces[0].api_key: missing; give api_key: ${VARIABLE}, or api_key_file: PATH"},
        {"workspaces: [{name: acme, api_key: k, api_key_file: empty}]",
         "leadsync.yaml:1:53: workspaces[0].api_key_file: give api_key or api_key_file, not both"},
        {"workspaces: [{name: acme, api_key: '${NOWHERE}'}]",
         "leadsync.yaml:1:36: workspaces[0].api_key: the environment variable NOWHERE is not set; set it, or name a "
         "file by api_key_file"},
        {"workspaces: [{name: acme, api_key: '${EMPTY}'}]",
         "leadsync.yaml:1:36: workspaces[0].api_key: the environment variable EMPTY is empty; set it, or name a file "
         "by api_key_file"},
        {"workspaces: [{name: acme, api_key: '${OPEN'}]",
         "leadsync.yaml:1:36: workspaces[0].api_key: ${ must be followed by the name of an environment variable and "
         "}"},
        {"workspaces: [{name: acme, api_key: ''}]", "leadsync.yaml:1:36: workspaces[0].api_key: is empty"},
        {"workspaces: [{name: acme, api_key: 'a b'}]",
         "leadsync.yaml:1:36: workspaces[0].api_key: must be one word of ASCII characters, without spaces and line "
         "ends"},
        {"workspaces: [{name: acme, api_key_file: two-words}]",
         "leadsync.yaml:1:41: workspaces[0].api_key_file: must be one word of ASCII characters, without spaces and "
         "line ends"},
        {"workspaces: [{name: acme, api_key_file: empty}]",
         "leadsync.yaml:1:41: workspaces[0].api_key_file: the file it names is empty"},
        {with("base_url: ftp://api.instantly.ai"),
         "leadsync.yaml:4:15: workspaces[0].base_url: must be https://HOST or https://HOST:PORT, without path, query "
         "and credentials; http:// only for localhost, 127.0.0.0/8 and [::1]"},
        {with("rate: {per_secnd: 1}"),
         "leadsync.yaml:4:12: workspaces[0].rate.per_secnd: unknown key; did you mean per_second? allowed: "
         "per_second, "
         "per_minute, share"},
        {with("rate: {per_second: 0}"),
         "leadsync.yaml:4:24: workspaces[0].rate.per_second: must be a whole number from 1 to 1000000, without "
         "quotes"},
        {with("rate: {per_minute: '60'}"),
         "leadsync.yaml:4:24: workspaces[0].rate.per_minute: must be a whole number from 1 to 1000000, without "
         "quotes"},
        {with("rate: {share: 0}"),
         "leadsync.yaml:4:19: workspaces[0].rate.share: must be a number above 0 and up to 1, without quotes"},
        {with("rate: {share: nan}"),
         "leadsync.yaml:4:19: workspaces[0].rate.share: must be a number above 0 and up to 1, without quotes"},
        {with("freshness: {new: 15}"),
         "leadsync.yaml:4:22: workspaces[0].freshness.new: must be a time from 100ms to 1d: a whole number and one "
         "of "
         "ms, s, m, h, d, such as 15s"},
        {with("freshness: {rest: 999999999999d}"),
         "leadsync.yaml:4:23: workspaces[0].freshness.rest: must be a time from 1s to 30d: a whole number and one of "
         "ms, s, m, h, d, such as 15s"},
        {with("conflicts: {phone: oldest}"),
         "leadsync.yaml:4:24: workspaces[0].conflicts.phone: must be one of local, remote, newest, manual"},
        {with("conflicts: {phone: keep_value}"),
         "leadsync.yaml:4:24: workspaces[0].conflicts.phone: must be one of local, remote, newest, manual"},
        {with("conflicts: {email: local}"),
         "leadsync.yaml:4:17: workspaces[0].conflicts.email: unknown key; allowed: " + all_conflicts},
        {with("deletes: {local: mark}"),
         "leadsync.yaml:4:22: workspaces[0].deletes.local: must be one of push, ignore"},
        {with("deletes: {remote: push}"),
         "leadsync.yaml:4:23: workspaces[0].deletes.remote: must be one of mark, delete, ignore"},
        {with("conflicts: {clearable: phone}"), "leadsync.yaml:4:28: workspaces[0].conflicts.clearable: " + no_list},
        {with("conflicts: {clearable: [phone, [website]]}"),
         "leadsync.yaml:4:28: workspaces[0].conflicts.clearable: " + no_list},
        {with("conflicts: {clearable: [fone]}"),
         "leadsync.yaml:4:28: workspaces[0].conflicts.clearable: " + not_clearable},
        {with("conflicts: {clearable: [email]}"),
         "leadsync.yaml:4:28: workspaces[0].conflicts.clearable: " + not_clearable},
        {with("conflicts: {clearable: [phone, campaign]}"),
         "leadsync.yaml:4:28: workspaces[0].conflicts.clearable: " + not_clearable},
        {with("guard: {delets: 5%}"),
         "leadsync.yaml:4:13: workspaces[0].guard.delets: unknown key; did you mean deletes? allowed: deletes, "
         "creates, changes"},
        {with("guard: off"),
         "leadsync.yaml:4:12: workspaces[0].guard: must be a map with the keys deletes, creates, "
         "changes"},
        {with("history: {keep: 90}"),
         "leadsync.yaml:4:21: workspaces[0].history.keep: must be a time from 1d to 3650d: a whole number and one of "
         "ms, s, m, h, d, such as 15s"},
        {with("history: {keep: 23h}"),
         "leadsync.yaml:4:21: workspaces[0].history.keep: must be a time from 1d to 3650d: a whole number and one of "
         "ms, s, m, h, d, such as 15s"},
        // what is designed, and not there yet
        {with("freshness: {old: 2m}"),
         "leadsync.yaml:4:17: workspaces[0].freshness.old: unknown key; allowed: new, active, active_for, rest"},
        {acme + "admin: {}\n", "leadsync.yaml:4:1: admin: unknown key; allowed: database, data_dir, log, workspaces"},
    };
    for (const auto& [text, error] : table) EXPECT_EQ(error_of(text), error) << text;
}

TEST_F(ConfigTest, ReportsEveryProblemInTheOrderOfTheFile) {
    const auto errors = errors_of("workspaces:\n  - name: ACME\n    rate: { share: 2 }\nlog: { levle: info }\n");
    EXPECT_THAT(errors, ElementsAre(HasSubstr(":2:5: workspaces[0].api_key: missing"),
                                    HasSubstr(":2:11: workspaces[0].name: must be"),
                                    HasSubstr(":3:20: workspaces[0].rate.share: must be"),
                                    HasSubstr(":4:8: log.levle: unknown key; did you mean level?")));
}

TEST_F(ConfigTest, NeverPrintsASecretNotEvenOneInTheWrongPlace) {
    set("KEY", "sesame open");
    write("bad-url", "postgresql://me:ses@ame@db/crm");
    for (const char* text : {
             "workspaces: [{name: acme, api_key: '${KEY}'}]",
             "workspaces: [{name: sesame=, api_key: k}]",
             "workspaces: [{name: acme, api_key:sesame==}]",
             "workspaces: [{name: acme, api_key: *sesame}]",
             "workspaces: [{name: acme, api_key: {sesame==: 1}}]",
             "workspaces:\n  - api_key:sesame==\n    name: acme",
             "workspaces:\n  - name: acme\n    api_key sesame\n    base_url: x",
             "workspaces: [{name: acme, api_key_file: sesame}]",
             "workspaces: [{name: acme, api_key: k, base_url: 'https://sesame@host'}]",
             "database: {url: 'postgres://me:ses/ame@db'}\nworkspaces: [{name: acme, api_key: k}]",
             "database: {url_file: bad-url}\nworkspaces: [{name: acme, api_key: k}]",
             "log: sesame\nworkspaces: [{name: acme, api_key: k}]",
         }) {
        const auto errors = errors_of(text);
        EXPECT_FALSE(errors.empty()) << text;
        for (const auto& error : errors)
            EXPECT_THAT(error, Not(::testing::ContainsRegex("sesame|ses@|ame@|ses/"))) << text;
    }
}

template <class Value>
concept streamable = requires(std::ostream& stream, const Value& value) {
    stream << value;
};
static_assert(streamable<std::string> && !streamable<Secret>);
static_assert(fmt::is_formattable<std::string>::value && !fmt::is_formattable<Secret>::value);

TEST_F(ConfigTest, SaysWhyAFileCannotBeRead) {
    const auto error_of_file = [](const fs::path& file) -> std::string {
        try {
            load_config(file);
            return "no error";
        } catch (const ConfigError& error) {
            return error.what();
        }
    };
    EXPECT_EQ(error_of_file("/nowhere/leadsync.yaml"),
              "/nowhere/leadsync.yaml: cannot read it: No such file or directory");
    EXPECT_EQ(error_of_file("/tmp"), "/tmp: cannot read it: Is a directory");
    EXPECT_EQ(
        error_of("workspaces: [{name: acme, api_key_file: nowhere}]"),
        "leadsync.yaml:1:41: workspaces[0].api_key_file: cannot read the file it names: No such file or directory; "
        "a relative path starts at "
            + path("").parent_path().string());
}

/// For the length of a test, the working directory.
class WorkingDirectory {
public:
    explicit WorkingDirectory(const fs::path& folder) : previous_{fs::current_path()} { fs::current_path(folder); }
    ~WorkingDirectory() { fs::current_path(previous_); }
    WorkingDirectory(const WorkingDirectory&) = delete;
    WorkingDirectory& operator=(const WorkingDirectory&) = delete;

private:
    fs::path previous_;
};

std::string error_without_a_file() {
    try {
        return find_config(std::nullopt).string();
    } catch (const ConfigError& error) {
        return error.what();
    }
}

TEST_F(ConfigTest, IsFoundInTheWorkingDirectory) {
    const WorkingDirectory here{path("")};
    EXPECT_EQ(find_config("elsewhere.yaml"), "elsewhere.yaml");
    EXPECT_THAT(error_without_a_file(), HasSubstr("neither ./leadsync.yaml nor /etc/leadsync/leadsync.yaml exists"));
    write("leadsync.yaml", acme);
    EXPECT_EQ(find_config(std::nullopt), "leadsync.yaml");
}

TEST(ConfigUrlsTest, HttpIsForThisMachineOnly) {
    for (const char* good : {"https://api.instantly.ai", "https://h:8443/", "http://localhost", "http://127.9.9.9:1",
                             "http://[::1]:80", "https://[2001:db8::1]"})
        EXPECT_TRUE(is_base_url(good)) << good;
    for (const char* bad :
         {"", "https://", "api.instantly.ai", "http://api.instantly.ai", "http://127.0.0.1.evil.com",
          "http://localhost.evil.com", "https://user@host", "https://host/v2", "https://host?x", "https://host:0",
          "https://host:65536", "https://host:", "https://ho st", "https://[::1", "http://[::2]", "https://host#x",
          "HTTPS://host\n"})
        EXPECT_FALSE(is_base_url(bad)) << bad;
}

TEST(ConfigUrlsTest, ADatabaseUrlHasNoBareSpecialCharacterInItsPassword) {
    for (const char* good :
         {"postgresql://leadsync@localhost/crm", "postgres://u:p%40ss@h:5432/crm?sslmode=require",
          "postgresql:///crm", "postgresql://u@/crm?host=/run/pg&port=5433",
          "postgresql://a,b:5433/crm?target_session_attrs=primary", "postgresql://u@[::1]:5432/crm"})
        EXPECT_TRUE(is_database_url(good)) << good;
    for (const char* bad : {"", "host=x", "mysql://h/crm", "postgresql://u:p@ss@h/crm", "postgresql://u:p/ss@h/crm",
                            "postgresql://u:1/ss@h/crm", "postgresql://u:1?ss@h/crm", "postgresql://u:%zz@h/crm",
                            "postgresql://u:p@h:port/crm", "postgresql://h/crm?sslmode", "postgresql://u:1#2@h/crm"})
        EXPECT_FALSE(is_database_url(bad)) << bad;
}

/// The paths below a schema's object, as config_keys writes them.
std::set<std::string> schema_keys(const nlohmann::json& root, nlohmann::json node, const std::string& path) {
    if (node.contains("$ref"))
        node = root.at(nlohmann::json::json_pointer{node["$ref"].get<std::string>().substr(1)});
    std::set<std::string> keys;
    if (node.contains("items")) keys = schema_keys(root, node["items"], path + "[]");
    if (!node.contains("properties")) return keys;
    EXPECT_EQ(node.value("additionalProperties", true), false) << path;
    for (const auto& [name, property] : node["properties"].items()) {
        const auto key = path.empty() ? name : fmt::format("{}.{}", path, name);
        keys.insert(key);
        keys.merge(schema_keys(root, property, key));
    }
    return keys;
}

const fs::path config_folder = LEADSYNC_CONFIG_FOLDER;

TEST(ConfigFilesTest, TheSchemaAndTheLoaderKnowTheSameKeys) {
    std::ifstream file{config_folder / "leadsync.schema.json"};
    const auto schema = nlohmann::json::parse(file);
    const std::set<std::string> known{config_keys().begin(), config_keys().end()};
    EXPECT_EQ(schema_keys(schema, schema, ""), known);
}

/// The example with its commented alternatives (`# url_file: …`) switched on.
std::string with_alternatives(const std::string& text) {
    std::string result;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        const auto comment = line.find("# ");
        const bool alternative = line.starts_with("  ") && line.find_first_not_of(' ') == comment
                                 && line.find("_file: ") != std::string::npos;
        result += (alternative ? line.erase(comment, 2) : line) + "\n";
    }
    return result;
}

void collect_keys(const YAML::Node& node, const std::string& path, std::set<std::string>& keys) {
    if (node.IsSequence())
        for (const auto& item : node) collect_keys(item, path + "[]", keys);
    if (node.IsMap())
        for (const auto& entry : node) {
            const auto key = (path.empty() ? "" : path + ".") + entry.first.Scalar();
            keys.insert(key);
            collect_keys(entry.second, key, keys);
        }
}

TEST(ConfigFilesTest, TheExampleLoadsAndShowsEveryKey) {
    const auto file = config_folder / "leadsync.example.yaml";
    const auto config = load_config(file, [](const std::string&) { return std::optional<std::string>{"secret"}; });
    EXPECT_EQ(config.workspaces.at(0).name, "acme");

    std::ostringstream text;
    text << std::ifstream{file}.rdbuf();
    std::set<std::string> shown;
    collect_keys(YAML::Load(with_alternatives(text.str())), "", shown);
    EXPECT_EQ(shown, (std::set<std::string>{config_keys().begin(), config_keys().end()}));
}

TEST(DeployTest, TheServiceLetsLeadsyncEndBeforeItsPostgresAndOpenFilesForManyWorkspaces) {
    std::ifstream unit{config_folder.parent_path() / "deploy/systemd/leadsync.service"};
    std::set<std::string> lines;
    for (std::string line; std::getline(unit, line);) lines.insert(line);
    for (const auto* setting : {"KillMode=mixed", "LimitNOFILE=65536"})
        EXPECT_TRUE(lines.contains(setting)) << setting;
}

}  // namespace
}  // namespace leadsync::daemon
