#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "tests/chaos/dice.hpp"
#include "tests/chaos/ledger.hpp"
#include "tests/sandbox/control_client.hpp"

namespace leadsync::chaos {

/// The people of one workspace: those who work in SQL, those who work in Instantly, and the operator.
class People {
public:
    People(std::string workspace, std::string database_url, std::uint16_t port, Dice& dice);

    /// One of them does something.
    void act();

    /// Decides what waits for a person, and revives what was given up on. Whether there was any.
    bool see_to_what_is_left(int visit);

    [[nodiscard]] const std::string& workspace() const { return workspace_; }
    [[nodiscard]] const Ledger& ledger() const { return ledger_; }
    [[nodiscard]] sandbox::ControlClient& instantly() { return instantly_; }
    [[nodiscard]] std::size_t edits() const { return edits_; }
    [[nodiscard]] std::size_t refused() const { return refused_; }

private:
    struct Row {
        std::string id;
        std::string instantly_id;  ///< empty: not there yet
        std::string email;
    };

    void act_on(std::uint64_t draw);
    void edit_text_here();
    void edit_many_here();
    void edit_choice_here();
    void move_here();
    void insert_here();
    void delete_here();
    void merge_here();
    void decide_here();

    void edit_text_there();
    void edit_choice_there();
    void add_there();
    void move_there();
    void delete_there();

    /// Whether the statement was carried out; nothing: the connection broke, so nobody knows.
    std::optional<bool> sql(const std::string& statement);
    pqxx::result read(const std::string& query);
    std::vector<Row> rows();
    std::optional<Row> some_row(bool on_instantly);
    std::optional<std::string> some_lead();
    std::string some(const std::vector<std::string>& ids) { return ids.at(dice_.below(ids.size())); }
    std::string fresh(const char* side);
    pqxx::connection& connection();

    std::string workspace_;
    std::string database_url_;
    sandbox::ControlClient instantly_;
    Dice& dice_;
    Ledger ledger_;
    std::optional<pqxx::connection> connection_;
    std::vector<std::string> campaigns_;
    std::vector<std::string> lists_;
    std::uint64_t values_ = 0;
    std::size_t edits_ = 0;
    std::size_t refused_ = 0;
    std::string last_refusal_;
};

}  // namespace leadsync::chaos
