#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace leadsync::sync {

/// How a field's value is typed in SQL and in JSON, and so what its canonical text looks like:
/// integer `-12`, boolean `true`, uuid lower case with hyphens, timestamp `2026-01-02T03:04:05.678Z`, json compact.
enum class Kind : std::uint8_t { text, integer, boolean, uuid, timestamp, json };

/// Who may set a field (DESIGN §1.3).
enum class Owner : std::uint8_t {
    both_ways,  ///< either side; merged three ways
    on_insert,  ///< local INSERT, then fixed
    instantly,  ///< Instantly alone; an UPDATE in SQL is refused
};

/// The call that carries a local change of the field to Instantly.
enum class Call : std::uint8_t { none, patch, interest, move, subsequence };

/// Every scalar field of a lead. Custom variables are no field of this table: each of them is merged by itself.
enum class Field : std::uint8_t {
    email,
    first_name,
    last_name,
    company_name,
    job_title,
    phone,
    website,
    personalization,
    pl_value_lead,
    lt_interest_status,
    assigned_to,
    campaign,
    list_id,
    subsequence_id,
    status,
    verification_status,
    enrichment_status,
    esp_code,
    esg_code,
    email_open_count,
    email_reply_count,
    email_click_count,
    email_opened_step,
    email_opened_variant,
    email_replied_step,
    email_replied_variant,
    email_clicked_step,
    email_clicked_variant,
    company_domain,
    status_summary,
    status_summary_subseq,
    last_step_from,
    last_step_id,
    last_step_timestamp_executed,
    timestamp_created,
    timestamp_updated,
    timestamp_added_subsequence,
    timestamp_last_contact,
    timestamp_last_open,
    timestamp_last_reply,
    timestamp_last_interest_change,
    timestamp_last_click,
    timestamp_last_touch,
    last_contacted_from,
    uploaded_by_user,
    upload_method,
    is_website_visitor,
    organization,
};

/// One line of the field table. `name` is the JSON key and the column of `crm.leads` alike.
struct FieldSpec {
    Field field;
    std::string_view name;
    Kind kind;
    Owner owner;
    Call call;
};

inline constexpr std::size_t field_count = static_cast<std::size_t>(Field::organization) + 1;

/// The one table that drives codec, merge, SQL and documentation; in the order of `Field`.
/// Source: the lead schema of the vendor's API document; who owns what: DESIGN §1.3.
std::span<const FieldSpec, field_count> field_table();

const FieldSpec& spec(Field field);

/// Nothing when no field is called so.
std::optional<Field> field_named(std::string_view name);

constexpr std::size_t index(Field field) { return static_cast<std::size_t>(field); }

/// A field's value as canonical text; nothing when absent.
using Value = std::optional<std::string>;

/// A value that says something: Instantly shows what is empty as "", as null or not at all.
inline bool present(const Value& value) { return value && !value->empty(); }
using FieldValues = std::array<Value, field_count>;

/// Whether two values of a field count as equal: absent, null and "" agree for text (INSTANTLY.md, Reading leads).
bool agree(const Value& one, const Value& other);

/// Whether two texts are the same but for blanks, punctuation and the case of ASCII letters: what a server that
/// normalises makes of one another. Numbers that differ (`-1` and `1`, `1.5` and `15`) are not.
bool same_but_for_form(const Value& one, const Value& other);

/// `value` as canonical text of `kind`; nothing when it is no such value. Upper-case UUIDs and timestamps with an
/// offset or without fraction are brought to the canonical form; integers must fit 32 bits (the column's type).
std::optional<std::string> canonical(Kind kind, std::string_view value);

}  // namespace leadsync::sync
