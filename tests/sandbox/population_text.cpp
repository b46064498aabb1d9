#include "tests/sandbox/instant.hpp"
#include "tests/sandbox/population.hpp"
#include "tests/sandbox/population_draws.hpp"

namespace leadsync::sandbox {
namespace {

void append_number(std::string& out, std::string_view key, int value) {
    out.append(key).append(std::to_string(value));
}

void append_time(std::string& out, std::string_view key, std::int64_t unix_ms) {
    out.append(key);
    append_iso(out, unix_ms);
    out += '"';
}

void append_id(std::string& out, std::string_view key, const Uuid& id) {
    out.append(key);
    append_uuid(out, id);
    out += '"';
}

template <class Words>
const auto& pick(const Words& words, std::uint64_t draw) {
    return words[draw % words.size()];
}

}  // namespace

void Population::append_json(std::uint32_t rank, std::string& out) const {
    const auto lead = facts(rank);
    append_id(out, R"({"id":")", ids_[rank]);
    append_time(out, R"(,"timestamp_created":")", lead.created);
    append_time(out, R"(,"timestamp_updated":")", lead.updated);
    out += organization_;
    if (!lead.home.campaign.nil()) append_id(out, R"(,"campaign":")", lead.home.campaign);
    append_number(out, R"(,"status":)", lead.status);
    append_profile(rank, out);
    append_number(out, R"(,"email_open_count":)", lead.opens);
    append_number(out, R"(,"email_reply_count":)", lead.replies);
    append_number(out, R"(,"email_click_count":)", lead.clicks);
    out += R"(,"company_domain":")";
    append_domain(person(rank), out);
    out += '"';
    append_sending(rank, lead, out);
    append_payload(rank, out);
    append_closing(rank, lead, out);
    out += '}';
}

void Population::append_website(std::uint32_t person, std::string& out) const {
    out += R"("https://)";
    append_domain(person, out);
    out += dice(person).below(Draw::website, 4) == 0 ? R"(/About-Us?utm_source=list&x=%20")" : R"(")";
}

void Population::append_personalization(const Dice& draws, std::string& out) const {
    const auto first = draws.bits(Draw::personalization);
    out += '"';
    for (std::uint64_t i = 0; i < 5; ++i) {
        const auto& sentence = pick(words_.sentences, (first >> (8 * i)) % 256).json;
        out.append(sentence, 1, sentence.size() - 2).append(" ");
    }
    out.back() = '"';
}

void Population::append_profile(std::uint32_t rank, std::string& out) const {
    const auto who = person(rank);
    const auto draws = dice(who);
    if (has_email(rank)) {
        out += R"(,"email":")";
        append_email(who, out);
        out += '"';
    }
    out += R"(,"personalization":)";
    append_personalization(dice(rank), out);
    out += R"(,"website":)";
    append_website(who, out);
    out.append(R"(,"last_name":)").append(pick(words_.last_names, draws.bits(Draw::last_name)).json);
    out.append(R"(,"first_name":)").append(pick(words_.first_names, draws.bits(Draw::first_name)).json);
    out.append(R"(,"company_name":)").append(words_.companies[company(who)].json);
    if (draws.below(Draw::job_title, 4) != 0) {
        out.append(R"(,"job_title":)").append(pick(words_.job_titles, draws.bits(Draw::job_title)).json);
    }
    if (draws.below(Draw::phone, 5) != 0) {
        out.append(R"(,"phone":"+1 (555) )");
        out.append(std::to_string(1'000'000 + draws.below(Draw::phone, 9'000'000))).append("\"");
    }
}

void Population::append_payload(std::uint32_t rank, std::string& out) const {
    const auto who = person(rank);
    const auto draws = dice(rank);
    // A mirror is written when the lead is uploaded and not when it is edited, so some are out of date.
    const auto stale = draws.below(Draw::stale_mirror, 20) == 0 ? std::uint64_t{1} : 0;
    const auto first = dice(who).below(Draw::first_name, words_.first_names.size()) + stale;
    out.append(R"(,"payload":{"firstName":)").append(pick(words_.first_names, first).json);
    out.append(R"(,"lastName":)").append(pick(words_.last_names, dice(who).bits(Draw::last_name)).json);
    out.append(R"(,"companyName":)").append(words_.companies[company(who)].json);
    out += R"(,"website":)";
    append_website(who, out);
    if (has_email(rank)) {
        out += R"(,"email":")";
        append_email(who, out);
        out += '"';
    }
    out += R"(,"personalization":)";
    append_personalization(draws, out);
    const auto chosen = draws.bits(Draw::variables);
    for (std::size_t i = 0; i < words_.variables.size(); ++i) {
        if ((chosen >> i & 1) == 0) continue;
        const auto& variable = words_.variables[i];
        out.append(",").append(variable.key).append(":").append(pick(variable.values, chosen >> (16 + i)));
    }
    out += '}';
}

void Population::append_sending(std::uint32_t rank, const Facts& facts, std::string& out) const {
    const auto draws = dice(rank);
    if (facts.contacted == 0) {
        out += R"(,"status_summary":{})";
        return;
    }
    const auto step = uuid_v4(draws.bits(Draw::sent_step), draws.bits(Draw::status));
    append_id(out, R"(,"status_summary":{"lastStep":{"from":"campaign","stepID":")", step);
    append_time(out, R"(,"timestamp_executed":")", facts.contacted);
    out += R"(},"domain_complete":false})";
    out += R"(,"last_step_from":"campaign")";
    append_id(out, R"(,"last_step_id":")", step);
    append_time(out, R"(,"last_step_timestamp_executed":")", facts.contacted);
    if (facts.opens > 0) out += R"(,"email_opened_step":1,"email_opened_variant":1)";
    if (facts.replies > 0) out += R"(,"email_replied_step":1,"email_replied_variant":1)";
    if (facts.clicks > 0) out += R"(,"email_clicked_step":1,"email_clicked_variant":1)";
    append_time(out, R"(,"timestamp_last_contact":")", facts.contacted);
    append_time(out, R"(,"timestamp_last_touch":")", facts.contacted);
    out += R"(,"last_contacted_from":"campaign")";
    if (facts.opens > 0) append_time(out, R"(,"timestamp_last_open":")", facts.opened);
    if (facts.clicks > 0) append_time(out, R"(,"timestamp_last_click":")", facts.clicked);
    if (facts.replies > 0) append_time(out, R"(,"timestamp_last_reply":")", facts.replied);
    if (facts.in_subsequence) {
        append_id(out, R"(,"subsequence_id":")", uuid_v4(draws.bits(Draw::subsequence), draws.bits(Draw::esp)));
        append_time(out, R"(,"timestamp_added_subsequence":")", facts.replied);
    }
}

void Population::append_closing(std::uint32_t rank, const Facts& facts, std::string& out) const {
    const auto draws = dice(rank);
    if (facts.interest) {
        append_number(out, R"(,"lt_interest_status":)", *facts.interest);
        append_time(out, R"(,"timestamp_last_interest_change":")", facts.interest_changed);
    }
    append_number(out, R"(,"verification_status":)", facts.verification);
    if (facts.enrichment != 0) append_number(out, R"(,"enrichment_status":)", facts.enrichment);
    if (draws.below(Draw::value, 3) == 0) {
        out += draws.below(Draw::value, 2) == 0 ? R"(,"pl_value_lead":"High")" : R"(,"pl_value_lead":"1500")";
    }
    if (!facts.home.list.nil()) append_id(out, R"(,"list_id":")", facts.home.list);
    append_id(out, R"(,"uploaded_by_user":")", pick(users_, draws.bits(Draw::uploaded_by)));
    out += R"(,"upload_method":"manual")";
    if (!facts.assigned_to.nil()) append_id(out, R"(,"assigned_to":")", facts.assigned_to);
    out += facts.website_visitor ? R"(,"is_website_visitor":true)" : R"(,"is_website_visitor":false)";
    constexpr int codes[] = {1, 1, 2, 2, 3, 9, 999};
    append_number(out, R"(,"esp_code":)", codes[draws.below(Draw::esp, std::size(codes))]);
    if (draws.chance(Draw::odd, odd_share_)) out.append(",").append(pick(words_.odd_fields, draws.bits(Draw::odd)));
}

}  // namespace leadsync::sandbox
