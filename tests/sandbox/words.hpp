#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace leadsync::sandbox {

/// A text beside its JSON form, quoted once at start and not once a lead.
struct Word {
    explicit Word(std::string_view text);

    std::string_view plain;
    std::string json;
};

struct FirstName : Word {
    FirstName(std::string_view text, std::string_view in_mail) : Word{text}, mail{in_mail} {}

    std::string_view mail;
};

struct Company : Word {
    Company(std::string_view text, std::string_view in_domain) : Word{text}, domain{in_domain} {}

    std::string_view domain;
};

/// A custom variable: the key as JSON and the values it takes, as JSON.
struct Variable {
    std::string key;
    std::vector<std::string> values;
};

/// What leads are made of: ordinary words, and among them what breaks careless code.
struct Words {
    std::vector<FirstName> first_names;
    std::vector<FirstName> last_names;
    std::vector<Company> companies;
    std::vector<Word> job_titles;
    std::vector<Word> sentences;
    std::vector<Variable> variables;
    std::vector<std::string> odd_fields;  ///< Undocumented lead keys, each `"key":value`.

    static const Words& get();
};

}  // namespace leadsync::sandbox
