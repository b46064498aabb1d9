#include "tests/simulation/simulated_world.hpp"

#include <algorithm>
#include <array>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "connectors/instantly/codec.hpp"
#include "tests/sandbox/uuid.hpp"

namespace leadsync::simulation {

using namespace std::chrono_literals;
using sandbox::Json;
using std::chrono::milliseconds;
using sync::Field;

namespace {

constexpr auto api_key = "c2ltdWxhdGVkOmxlYWRzeW5j";

/// Few values, so that the interesting coincidences (changed alike, changed back) come up often.
const std::array<sync::Value, 5> texts{std::nullopt, "1", "2", " Three ", "https://Four.example"};
const std::array<sync::Value, 5> interests{std::nullopt, "0", "1", "2", "-1"};
const std::array<Field, 4> profile{Field::phone, Field::first_name, Field::website, Field::job_title};
const std::array<std::string, 3> variables{"tier", "score", "odd key \"x\""};
const std::array<std::string, 2> users{"44444444-4444-4444-8444-444444444444",
                                       "55555555-5555-4555-8555-555555555555"};

}  // namespace

/// What a crash takes with it. The context goes first: what waits in it is destroyed, not resumed.
struct SimulatedWorld::Engine {
    Engine(SimulatedWorld& world, const daemon::WorkspaceConfig& config)
        : sync{{*world.instantly_, *world.store_, *world.store_, world.time_,
                [&world] { return static_cast<double>(world.random(1'000'000)) / 1e6; }},
               config,
               {.patience = {},
                .timing = {.batch = world.batch_},
                .reading = {.ranges_at_once = 3,
                            .leads_per_range = 2,
                            .ranges_max = 4,
                            .cut_min = 1,
                            .page_limit = world.page_limit_}}} {}

    daemon::WorkspaceSync sync;
    std::unique_ptr<boost::asio::io_context> io = std::make_unique<boost::asio::io_context>(1);
};

SimulatedWorld::SimulatedWorld(std::uint64_t seed, bool verbose)
    : dice_{seed}, verbose_{verbose}, config_{.name = "acme", .api_key = daemon::Secret{api_key}} {
    sandbox::WorkspaceSettings settings{.api_key = api_key, .seed = 1 + seed % 7};
    settings.leads = static_cast<std::uint32_t>(4 + random(5));
    page_limit_ = chance(0.1) ? 1 + static_cast<int>(random(3)) : 100;
    if (seed % 3 == 0) batch_ = 2;
    settings.campaigns = 3;
    settings.lists = 2;
    settings.documented_lead = false;
    instantly_ =
        std::make_unique<SimulatedInstantly>(time_, settings, [this](std::uint64_t below) { return random(below); });
    instantly_->step = [this] { return step(); };
    instantly_->wrote = [this](const std::string& id, const sync::Key& key, milliseconds after) {
        edits_.written[{id, key}].push_back(time_.now() + after);
    };
    if (verbose_) instantly_->tell = [this](const std::string& what) { tell(what); };
    ModelSurroundings surroundings;
    surroundings.now = [this] { return time_.wall(); };
    surroundings.new_id = [this] { return sync::LeadId{sandbox::to_text(sandbox::uuid_v4(0x10CA1, ++ids_))}; };
    surroundings.before = [this] { return store_delay(); };
    surroundings.after = [this] { return store_delay(); };
    surroundings.fails = [this] {
        if (!chance(store_failure_probability_)) return StoreFailure::no;
        return chance(0.5) ? StoreFailure::before : StoreFailure::after;
    };
    store_ = std::make_unique<ModelStore>(std::move(surroundings));
    draw_settings();
}

SimulatedWorld::~SimulatedWorld() { stop_engine(); }

void SimulatedWorld::draw_settings() {
    const std::array rules{sync::Rule::local, sync::Rule::remote, sync::Rule::newest, sync::Rule::manual};
    config_.conflicts.fallback = one_of(rules);
    config_.conflicts.custom_variables = one_of(rules);
    for (const auto field : profile)
        if (chance(0.3)) config_.conflicts.fields[field] = one_of(rules);
    for (const auto field : profile)
        if (chance(0.5)) config_.conflicts.clearable.insert(field);
    config_.conflicts.custom_variables_clearable = chance(0.5);
    config_.freshness.bounds = {.fresh = 20s, .active = 50s, .rest = 60s};
    config_.deletes.remote = one_of(std::array{sync::RemoteDeletes::mark, sync::RemoteDeletes::remove});
    config_.deletes.local = one_of(std::array{sync::LocalDeletes::push, sync::LocalDeletes::ignore});
    config_.guard = {.deletes = {}, .creates = {}, .changes = {}};
    if (chance(0.2)) config_.guard.creates.leads = 1;
    if (chance(0.2)) config_.guard.changes.leads = 2;
    if (chance(0.2)) config_.guard.deletes.leads = 1;
    lists_lie_ = chance(0.4);
    crash_probability_ = chance(0.6) ? 0.004 : 0;
    store_failure_probability_ = chance(0.4) ? 0.02 : 0;

    auto& switches = instantly_->workspace().switches;
    switches.custom_variables = chance(0.5) ? "merge" : "replace";
    switches.null_removes = chance(0.5);
    switches.empty_removes = chance(0.5);
    switches.numbers_as_text = chance(0.3);
    switches.normalise_trim = chance(0.4);
    switches.normalise_website = chance(0.4);
    const std::array<const char*, 5> cursors{"accept", "accept", "400", "ignore", "empty"};
    switches.unknown_cursor = one_of(cursors);
    // A key that may not list campaigns: where cursors are refused, the first backfill is one chain then.
    if (chance(0.1)) switches.scopes = {"leads:all", "workspaces:read", "background-jobs:read"};
    if (chance(0.5)) switches.read_lag_ms = static_cast<int>(random(6'000));
    if (chance(0.3)) switches.ignore_writes_every = static_cast<int>(2 + random(8));
}

void SimulatedWorld::draw_faults() {
    auto& workspace = instantly_->workspace();
    workspace.faults.clear();
    if (chance(0.4)) return;
    const std::array<const char*, 9> kinds{"status", "reset", "lost",    "cut", "garbage",
                                           "cdn",    "empty", "ignored", "hang"};
    for (std::uint64_t i = 0; i <= random(3); ++i) {
        Json fault{{"kind", one_of(kinds)}, {"probability", 0.05 + 0.05 * static_cast<double>(random(8))}};
        if (chance(0.2) && fault["kind"] == "status")
            fault["acted"] = true;  // a gateway that gave up on a server which did not
        else if (chance(0.3) && fault["kind"] == "status")
            fault["status"] = chance(0.5) ? 429 : 409;
        workspace.faults.add(sandbox::fault_from(fault));
    }
    auto& switches = workspace.switches;
    const std::array<const char*, 4> outcomes{"success", "failed", "moved_nothing", "partial"};
    switches.job_outcome = one_of(outcomes);
    switches.hidden_share = lists_lie_ && chance(0.3) ? 0.2 : 0;
    switches.empty_lists = lists_lie_ && chance(0.2);
    switches.gone_places.clear();
    if (chance(0.2)) switches.gone_places.insert(chance(0.7) ? some_campaign() : some_list());
}

// --- how it goes on -----------------------------------------------------------------------------------------------

void SimulatedWorld::start_engine() {
    engine_ = std::make_unique<Engine>(*this, config_);
    auto* store = store_.get();
    auto* sync = &engine_->sync;
    auto begin = [store, sync]() -> boost::asio::awaitable<void> {
        for (;;) {
            bool failed = false;
            try {
                co_await store->run([](store::Transaction& transaction) { transaction.queue.release_all(); });
            } catch (const store::StoreError&) {
                failed = true;
            }
            if (!failed) break;
        }
        co_await sync->run();
    };
    auto* outcome = &outcome_;
    boost::asio::co_spawn(*engine_->io, std::move(begin), [outcome](const std::exception_ptr& error) {
        try {
            if (error) std::rethrow_exception(error);
            outcome->broken.emplace_back("the engine ended by itself");
        } catch (const std::exception& failed) {
            outcome->broken.push_back(fmt::format("the engine ended by itself: {}", failed.what()));
        }
    });
}

void SimulatedWorld::stop_engine() {
    if (!engine_) return;
    engine_->io.reset();
    engine_.reset();
    crash_due_ = false;
}

void SimulatedWorld::run_until(sync::SteadyTime end) {
    for (bool more = true; more;) {
        if (engine_) {
            engine_->io->restart();
            while (!crash_due_ && engine_->io->poll_one() > 0) {
            }
        }
        if (crash_due_) {
            tell("CRASH");
            stop_engine();
            ++outcome_.crashes;
            time_.at(time_.now() + milliseconds{random(20'000)}, [this] { start_engine(); });
        }
        more = time_.advance(end);
    }
}

/// Between any two steps the process may die: nothing after this line happens.
boost::asio::awaitable<void> SimulatedWorld::step() {
    if (turmoil_ && chance(crash_probability_)) {
        crash_due_ = true;
        co_await time_.sleep_for(std::chrono::hours{24'000});
    }
}

boost::asio::awaitable<void> SimulatedWorld::store_delay() {
    co_await step();
    if (chance(0.3)) co_await time_.sleep_for(milliseconds{random(4)});
    if (turmoil_ && chance(0.004)) edit_what_is_in_hand();
}

Outcome SimulatedWorld::run() {
    start_engine();
    turmoil();
    quiet();
    check(outcome_);
    outcome_.requests = instantly_->requests();
    return outcome_;
}

void SimulatedWorld::turmoil() {
    const auto rounds = 25 + random(25);
    for (std::uint64_t i = 0; i < rounds; ++i) {
        // Now and then a lot happens at once, and now and then nothing for long.
        run_until(time_.now() + (chance(0.3) ? milliseconds{random(300)} : milliseconds{random(25'000)}));
        if (chance(0.15)) draw_faults();
        store_->locked.clear();
        if (const auto row = some_row(true); row && chance(0.1)) store_->locked.insert(*row);
        someone_acts();
        if (engine_ && store_->state().workspace.asleep) engine_->sync.wake();
    }
}

/// No more edits and faults: what waits for people is decided, and everything comes to rest.
void SimulatedWorld::quiet() {
    turmoil_ = false;
    tell("QUIET");
    store_->locked.clear();
    store_failure_probability_ = 0;
    auto& workspace = instantly_->workspace();
    workspace.faults.clear();
    auto& switches = workspace.switches;
    switches.job_outcome = "success";
    switches.hidden_share = 0;
    switches.empty_lists = false;
    switches.gone_places.clear();
    switches.ignore_writes_every = 0;
    const auto quiet_since = time_.wall();
    run_until(time_.now() + 4min);
    check_leases(quiet_since);
    run_until(time_.now() + 4min);
    for (int round = 0; round < 6; ++round) {
        // An operator sees to what is left: edits revive leads given up on.
        const auto queue = round < 3 ? store_->state().queue : std::map<sync::LeadId, ModelQueued>{};
        for (const auto& [id, queued] : queue) {
            const auto row = store_->state().rows.find(id);
            if (!queued.dead_at || row == store_->state().rows.end()) continue;
            const auto& instantly_id = row->second.instantly_id.text;
            if (!instantly_id.empty() && !truth(instantly_id)) continue;
            store_->update(
                id, [&](sync::Content& content) { content[Field::last_name] = "Retried " + std::to_string(round); });
        }
        const auto conflicts = store_->state().conflicts;
        for (const auto& [id, conflict] : conflicts)
            if (!conflict.resolution && !conflict.resolved_at)
                store_->resolve(id, chance(0.5) ? sync::Side::local : sync::Side::remote);
        const auto held = store_->state().held;
        for (const auto& [id, waiting] : held)
            if (waiting.decision == store::Approval::none) {
                tell(fmt::format("operator: held {} {} {} approved", id, waiting.lead.text, waiting.reason));
                store_->decide(id, true);
            }
        if (engine_) engine_->sync.wake();
        run_until(time_.now() + 4min);
    }
    run_until(time_.now() + 4min);
    writes_at_quiet_end_ = instantly_->writes();
    run_until(time_.now() + 4min);
}

void SimulatedWorld::tell(const std::string& what) {
    if (verbose_)
        fmt::print("{:10.3f}  {}\n", std::chrono::duration<double>(time_.now().time_since_epoch()).count() - 3600,
                   what);
}

// --- what people do
// -------------------------------------------------------------------------------------------------

void SimulatedWorld::someone_acts() {
    ++outcome_.edits;
    const auto draw = random(100);
    try {
        if (draw < 34)
            local_edit(some_row(false));
        else if (draw < 46)
            local_insert();
        else if (draw < 50)
            local_delete();
        else if (draw < 52)
            local_merge();
        else if (draw < 58)
            operator_decides();
        else if (draw < 84)
            remote_edit();
        else if (draw < 90)
            remote_add();
        else if (draw < 96)
            remote_move();
        else
            remote_delete();
    } catch (const std::invalid_argument& refused) {
        tell(fmt::format("refused: {}", refused.what()));
    }
}

/// An edit between two transactions of the engine's work on that very lead: what finishes then has not seen it.
void SimulatedWorld::edit_what_is_in_hand() {
    const auto& state = store_->state();
    const auto in_hand = std::ranges::find_if(state.queue, [&](const auto& queued) {
        return queued.second.lease_token && state.rows.contains(queued.first);
    });
    if (in_hand == state.queue.end()) return;
    ++outcome_.edits;
    try {
        local_edit(sync::LeadId{in_hand->first});
    } catch (const std::invalid_argument& refused) {
        tell(fmt::format("refused: {}", refused.what()));
    }
}

/// What both sides agreed on of a key, if the lead is known.
sync::Value SimulatedWorld::base_value(const sync::LeadId& id, const sync::Key& key) const {
    const auto base = store_->state().bases.find(id);
    if (base == store_->state().bases.end()) return std::nullopt;
    return value_in(base->second.content, key);
}

/// What both sides start from, or will: a row that is still to be made there starts from what is sent of it.
bool SimulatedWorld::is_agreed_on(const sync::LeadId& id, const sync::Key& key, const sync::Value& value) const {
    const auto& creates = store_->state().creates;
    const auto create = creates.find(id);
    if (store_->state().bases.contains(id) || create == creates.end()) return sync::agree(value, base_value(id, key));
    const auto& noted = create->second;
    const auto is_among = [&](std::initializer_list<const sync::Value*> values) {
        return std::ranges::any_of(values, [&](const auto* sent) { return *sent && sync::agree(value, *sent); });
    };
    if (key == "place") return is_among({&noted.campaign, &noted.list, &noted.last_campaign, &noted.last_list});
    const auto is_in = [&](const std::map<sync::Key, sync::Value>& sent) {
        const auto found = sent.find(key);
        return sync::agree(value, found == sent.end() ? std::nullopt : found->second);
    };
    return is_in(noted.sent) || (!noted.resent.empty() && is_in(noted.resent));
}

sync::Value SimulatedWorld::value_there(const std::string& instantly_id, const sync::Key& key) {
    const auto lead = truth(instantly_id);
    return lead ? value_in(lead->content, key) : std::nullopt;
}

void SimulatedWorld::note_here(const sync::LeadId& id, const sync::Key& key, const sync::Value& value) {
    edits_.ever_here.insert({id.text, key, value});
    edits_.here[{id.text, key}] = {time_.now(), value, is_agreed_on(id, key, value)};
}

/// What is set to what it was already, nobody can see.
void SimulatedWorld::note_there(const std::string& instantly_id, const sync::Key& key, const sync::Value& before,
                                const sync::Value& value) {
    const auto base = base_of(store_->state(), sync::InstantlyId{instantly_id});
    const bool known = base != store_->state().bases.end();
    // Of a lead that was only just made, nothing is agreed yet: what is emptied again may never have been seen.
    const bool back = known ? sync::agree(value, base_value(base->first, key)) : sync::agree(value, std::nullopt);
    edits_.ever_there.insert({instantly_id, key, value});
    if (sync::agree(before, value)) return;
    edits_.there[{instantly_id, key}] = {time_.now(), value, back};
}

void SimulatedWorld::local_edit(const std::optional<sync::LeadId>& id) {
    if (!id) return;
    const auto before = store_->state().rows.at(*id).content;
    const auto draw = random(10);
    sync::Key key;
    sync::Value value;
    if (draw < 4) {
        const auto field = one_of(profile);
        key = sync::key_of(field);
        value = one_of(texts);
        store_->update(*id, [&](sync::Content& content) { content[field] = value; });
    } else if (draw < 6) {
        const auto& name = one_of(variables);
        key = sync::key_of_variable(name);
        value = one_of(texts);
        store_->update(*id, [&](sync::Content& content) {
            if (value && *value == "2")
                content.custom_variables[name] = 2;
            else if (value)
                content.custom_variables[name] = *value;
            else
                content.custom_variables.erase(name);
        });
    } else if (draw < 8) {
        key = "lt_interest_status";
        value = one_of(interests);
        const auto& row = store_->state().rows.at(*id);
        if (!value && !row.content[Field::email]) return;  // no call can clear that
        store_->update(*id, [&](sync::Content& content) { content[Field::lt_interest_status] = value; });
    } else if (draw < 9) {
        key = "assigned_to";
        value = one_of(users);
        store_->update(*id, [&](sync::Content& content) { content[Field::assigned_to] = value; });
    } else {
        const auto& row = store_->state().rows.at(*id);
        const bool to_campaign = chance(0.7) && row.content[Field::email];
        key = "place";
        value = to_campaign ? some_campaign() : some_list();
        store_->update(*id, [&](sync::Content& content) {
            content[Field::campaign] = to_campaign ? value : std::nullopt;
            content[Field::list_id] = to_campaign ? std::nullopt : value;
        });
    }
    if (store_->state().rows.at(*id).content == before) return;  // what stood there already is no edit
    note_here(*id, key, value);
    tell(fmt::format("local: {} {} = {}", id->text, key, value.value_or("(none)")));
}

void SimulatedWorld::local_insert() {
    sync::Content content;
    const auto draw = random(10);
    const bool without_email = draw == 0;
    if (!without_email) content[Field::email] = fmt::format("new{}@acme.io", ++new_emails_);
    if (without_email || draw < 3)
        content[Field::list_id] = some_list();
    else if (draw < 9)
        content[Field::campaign] = some_campaign();
    content[Field::first_name] = without_email ? fmt::format("Nobody {}", ++new_emails_) : "New";
    if (chance(0.5)) content[Field::phone] = "1";
    if (chance(0.5)) content.custom_variables["tier"] = "gold";
    if (chance(0.3)) content[Field::lt_interest_status] = "1";
    const auto id = store_->insert(content);
    note_here(id, "first_name", content[Field::first_name]);
    if (content[Field::phone]) note_here(id, "phone", content[Field::phone]);
    if (!content.custom_variables.empty()) note_here(id, "custom_variables.tier", "gold");
    if (content[Field::lt_interest_status]) note_here(id, "lt_interest_status", content[Field::lt_interest_status]);
    tell(fmt::format("local: insert {} {}", id.text, content[Field::email].value_or("(no email)")));
    if (draw == 9 && chance(0.5)) {  // set where it goes a little later
        const auto campaign = some_campaign();
        store_->update(id, [&](sync::Content& row) { row[Field::campaign] = campaign; });
    }
    // The same lead made in Instantly at the same time: to be adopted, not doubled.
    if (content[Field::campaign] && chance(0.2)) {
        Json there{{"email", "NEW" + content[Field::email]->substr(3)}, {"campaign", *content[Field::campaign]}};
        if (chance(0.5)) there["phone"] = "2";
        const auto added = instantly_->add(there);
        edits_.exempt(added);
        made_on_both_sides_.insert(*content[Field::email]);
        tell(fmt::format("remote: add {} {}", added, there.dump()));
    }
}

void SimulatedWorld::local_delete() {
    const auto id = some_row(false);
    if (!id) return;
    store_->erase(*id);
    edits_.exempt(id->text);
    tell(fmt::format("local: delete {}", id->text));
}

void SimulatedWorld::local_merge() {
    const auto source = some_row(true);
    const auto destination = some_row(true);
    if (!source || !destination) return;
    store_->merge_leads(*source, *destination);
    edits_.exempt(source->text);
    edits_.exempt(destination->text);
    tell(fmt::format("local: merge {} into {}", source->text, destination->text));
}

void SimulatedWorld::operator_decides() {
    std::vector<std::int64_t> open;
    for (const auto& [id, conflict] : store_->state().conflicts)
        if (!conflict.resolution && !conflict.resolved_at) open.push_back(id);
    if (!open.empty()) store_->resolve(one_of(open), chance(0.5) ? sync::Side::local : sync::Side::remote);
    std::vector<std::int64_t> waiting;
    for (const auto& [id, held] : store_->state().held)
        if (held.decision == store::Approval::none) waiting.push_back(id);
    if (waiting.empty()) return;
    const auto id = one_of(waiting);
    const bool approve = chance(0.6);
    if (!approve) edits_.exempt(store_->state().held.at(id).lead.text);
    store_->decide(id, approve);
    tell(fmt::format("operator: held {} {}", id, approve ? "approved" : "rejected"));
}

void SimulatedWorld::remote_edit() {
    const auto id = some_remote_lead();
    if (!id) return;
    const auto draw = random(10);
    sync::Key key;
    sync::Value value = one_of(texts);
    Json fields;
    const auto json = [](const sync::Value& text) { return text ? Json(*text) : Json(nullptr); };
    if (draw < 5) {
        key = sync::key_of(one_of(profile));
        fields[key] = json(value);
    } else if (draw < 7) {
        const auto& name = one_of(variables);
        key = sync::key_of_variable(name);
        fields["custom_variables"][name] = json(value);
    } else if (draw < 9) {
        key = "lt_interest_status";
        value = one_of(interests);
        fields[key] = value ? Json(std::stoi(*value)) : Json(nullptr);
    } else {
        fields["status"] = random(4);  // no edit of a person's: a lead that was contacted
        instantly_->edit(*id, fields);
        return;
    }
    const auto before = value_there(*id, key);
    instantly_->edit(*id, fields);
    note_there(*id, key, before, value);
    tell(fmt::format("remote: {} {}", *id, fields.dump()));
}

void SimulatedWorld::remote_add() {
    Json fields{{"email", fmt::format("there{}@acme.io", ++new_emails_)}, {"first_name", "There"}};
    if (chance(0.7))
        fields["campaign"] = some_campaign();
    else
        fields["list_id"] = some_list();
    const auto id = instantly_->add(fields);
    tell(fmt::format("remote: add {} {}", id, fields.dump()));
}

void SimulatedWorld::remote_move() {
    const auto id = some_remote_lead();
    if (!id) return;
    const bool to_campaign = chance(0.7);
    const auto place = to_campaign ? some_campaign() : some_list();
    const auto before = value_there(*id, "place");
    instantly_->move(*id, to_campaign ? place : "", to_campaign ? "" : place);
    note_there(*id, "place", before, place);
    tell(fmt::format("remote: move {} to {}", *id, place));
}

void SimulatedWorld::remote_delete() {
    const auto id = some_remote_lead();
    if (!id) return;
    instantly_->remove(*id);
    tell(fmt::format("remote: delete {}", *id));
}

std::optional<sync::LeadId> SimulatedWorld::some_row(bool on_instantly) {
    std::vector<sync::LeadId> ids;
    for (const auto& [id, row] : store_->state().rows)
        if (!row.deleted_at && (!on_instantly || !row.instantly_id.text.empty())) ids.push_back(id);
    if (ids.empty()) return std::nullopt;
    return one_of(ids);
}

std::optional<std::string> SimulatedWorld::some_remote_lead() {
    const auto ids = instantly_->lead_ids();
    if (ids.empty()) return std::nullopt;
    return one_of(ids);
}

std::string SimulatedWorld::some_campaign() {
    return sandbox::to_text(one_of(instantly_->workspace().catalog.campaigns).id);
}

std::string SimulatedWorld::some_list() { return sandbox::to_text(one_of(instantly_->workspace().catalog.lists).id); }

}  // namespace leadsync::simulation
