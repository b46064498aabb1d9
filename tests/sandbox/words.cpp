#include "tests/sandbox/words.hpp"

#include "tests/sandbox/lead.hpp"

namespace leadsync::sandbox {
namespace {

std::string quoted(std::string_view text) {
    std::string json;
    append_json_string(json, text);
    return json;
}

std::vector<FirstName> make_first_names() {
    return {{"Ada", "ada"},           {"Grace", "grace"},     {"Linus", "linus"},    {"Zoë", "zoe"},
            {"José", "jose"},         {"Jose\u0301", "jose"}, {"Łukasz", "lukasz"},  {"Søren", "soren"},
            {"Nguyễn", "nguyen"},     {"مريم", "maryam"},     {"יעל", "yael"},       {"太郎", "taro"},
            {"Дмитрий", "dmitri"},    {"Anne-Marie", "anne"}, {"O'Neil", "oneil"},   {"Jean \"JJ\"", "jj"},
            {"Sam 🚀", "sam"},         {"İpek", "ipek"},       {"Mary Jane", "mary"}, {" Tim ", "tim"},
            {"MARGARET", "margaret"}, {"bob", "bob"},         {"Ελένη", "eleni"},    {"Priya", "priya"}};
}

std::vector<FirstName> make_last_names() {
    return {{"Lovelace", "lovelace"},
            {"Hopper", "hopper"},
            {"Müller", "mueller"},
            {"O'Brien", "obrien"},
            {"García", "garcia"},
            {"de la Cruz", "delacruz"},
            {"van 't Hof", "hof"},
            {"Smith-Jones", "smith"},
            {"العربي", "alarabi"},
            {"כהן", "cohen"},
            {"山田", "yamada"},
            {"Иванова", "ivanova"},
            {"Ångström", "angstrom"},
            {"Back\\Slash", "back"},
            {"", "noname"},
            {"Nakamura", "nakamura"},
            {"Şahin", "sahin"},
            {"Null", "null"},
            {"X", "x"},
            {"Papadopoulou", "papa"}};
}

std::vector<Company> make_companies() {
    return {{"Acme Corp", "acme"},
            {"Müller & Söhne GmbH", "mueller-soehne"},
            {"\"Quoted\" Industries", "quoted"},
            {"C:\\Temp Solutions", "temp-solutions"},
            {"Café Olé, Inc.", "cafe-ole"},
            {"株式会社サンプル", "sample"},
            {"شركة المثال", "almithal"},
            {"Rocket 🚀 Labs", "rocketlabs"},
            {"100% Organic <b>Foods</b>", "organic"},
            {"Smith, Jones; Partners\tLLP", "sjp"},
            {"", "stealth"},
            {"Globex", "globex"},
            {"Initech", "initech"},
            {"Umbrella", "umbrella"},
            {"Hooli", "hooli"},
            {"Stark Industries", "stark"}};
}

std::vector<Word> words(std::initializer_list<std::string_view> texts) { return {texts.begin(), texts.end()}; }

std::vector<Word> make_job_titles() {
    return words({"Head of Growth", "CTO", "VP Sales (EMEA)", "Geschäftsführerin", "Co-Founder & CEO", "",
                  "Sr. \"Ninja\" Engineer", "Directeur général", "采购经理", "Owner"});
}

std::vector<Word> make_sentences() {
    return words(
        {"Hello, how are you?", "Loved your talk on pipeline hygiene: \"measure twice, mail once\" stuck with me.",
         "Noticed that you're hiring 3 SDRs in München, congratulations! 🎉",
         "Hi {{first_name}}, I noticed you work at {{company_name}}...", "Line one\nLine two\ttabbed \\ backslashed.",
         "שלום, ראיתי את המוצר החדש שלכם.",
         "Your team's post about churn (−12 % in a quarter) was the clearest I have read this year.",
         "We help revenue teams keep their CRM and their outreach in agreement, both ways, in seconds.",
         "P.S. <a href=\"https://example.com/?a=1&b=2\">a link</a> with an ampersand & an apostrophe's tail.",
         "Family emoji 👨‍👩‍👧 and a flag 🇺🇦 in one line."});
}

std::vector<Variable> make_variables() {
    const auto variable = [](std::string_view key, std::initializer_list<std::string> values) {
        return Variable{quoted(key), values};
    };
    return {variable("past_customer", {"true", "false"}),
            variable("score", {"42", "7", "0", "-3", "99.5"}),
            variable("score_text", {quoted("42"), quoted("007"), quoted("1e3")}),
            variable("Last Seen At", {quoted("2025-11-03"), quoted("yesterday")}),
            variable("größe", {quoted("klein"), quoted("groß")}),
            variable("emoji 🎯", {quoted("🎯🎯"), quoted("")}),
            variable("empty", {quoted("")}),
            variable("nothing", {"null"}),
            variable("quote\"key", {quoted("say \"hi\""), quoted("back\\slash")}),
            variable("notes", {quoted("Met at SaaStr; asked for a quote.\nFollow up in Q3."), quoted(" padded ")}),
            variable("linkedIn", {quoted("https://www.linkedin.com/in/example-person-0123456789/")}),
            variable("employees", {"12", "250", quoted("1,000+")}),
            variable("عمود", {quoted("قيمة")}),
            variable("city", {quoted("Zürich"), quoted("São Paulo"), quoted("New York")}),
            variable("is_true_text", {quoted("true"), quoted("null")}),
            variable("big_number", {"9007199254740993", "1234567890123"})};
}

std::vector<std::string> make_odd_fields() {
    return {R"("lead_temperature":"warm")", R"("internal_flags":{"reviewed":true,"tags":["a","b"]})",
            R"("crm_sync_version":3)"};
}

}  // namespace

Word::Word(std::string_view text) : plain{text}, json{quoted(text)} {}

const Words& Words::get() {
    static const Words all{make_first_names(), make_last_names(), make_companies(), make_job_titles(),
                           make_sentences(),   make_variables(),  make_odd_fields()};
    return all;
}

}  // namespace leadsync::sandbox
