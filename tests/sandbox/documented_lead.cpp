#include "tests/sandbox/documented_lead.hpp"

namespace leadsync::sandbox {

const std::string_view documented_lead = R"json({
    "id": "01959272-5d2b-7a87-a5d7-199e472e6366",
    "timestamp_created": "2025-03-14T02:18:43.371Z",
    "timestamp_updated": "2025-03-14T02:18:43.371Z",
    "organization": "01959272-5d2b-7a87-a5d7-199f18e7bfc7",
    "campaign": "01959272-5d2b-7a87-a5d7-19a0c5e1fc64",
    "status": 1,
    "email": "example@example.com",
    "personalization": "Hello, how are you?",
    "website": "https://example.com",
    "last_name": "Doe",
    "first_name": "John",
    "company_name": "Example Inc.",
    "phone": "+1234567890",
    "email_open_count": 0,
    "email_reply_count": 0,
    "email_click_count": 0,
    "company_domain": "example.com",
    "status_summary": {
        "from": "campaign",
        "stepID": "01959272-5d2b-7a87-a5d7-19a16e3e6e6d",
        "timestamp_executed": "2025-03-14T02:18:43.371Z"
    },
    "payload": {
        "firstName": "John",
        "lastName": "Doe",
        "companyName": "Acme Corp",
        "website": "https://example.com",
        "phone": "+1234567890",
        "personalization": "Hi {{first_name}}, I noticed you work at {{company_name}}...",
        "property1": null,
        "property2": null
    },
    "status_summary_subseq": {
        "from": "campaign",
        "stepID": "01959272-5d2b-7a87-a5d7-19a2b3a9c292",
        "timestampExecuted": "2025-03-14T02:18:43.371Z"
    },
    "last_step_from": "campaign",
    "last_step_id": "01959272-5d2b-7a87-a5d7-19a341212045",
    "last_step_timestamp_executed": "2025-03-14T02:18:43.371Z",
    "email_opened_step": 1,
    "email_opened_variant": 1,
    "email_replied_step": 1,
    "email_replied_variant": 1,
    "email_clicked_step": 1,
    "email_clicked_variant": 1,
    "lt_interest_status": 1,
    "subsequence_id": "01959272-5d2b-7a87-a5d7-19a4a1eedf0d",
    "verification_status": 1,
    "pl_value_lead": "High",
    "timestamp_added_subsequence": "2025-03-14T02:18:43.371Z",
    "timestamp_last_contact": "2025-03-14T02:18:43.371Z",
    "timestamp_last_open": "2025-03-14T02:18:43.371Z",
    "timestamp_last_reply": "2025-03-14T02:18:43.371Z",
    "timestamp_last_interest_change": "2025-03-14T02:18:43.371Z",
    "timestamp_last_click": "2025-03-14T02:18:43.371Z",
    "enrichment_status": 1,
    "list_id": "01959272-5d2b-7a87-a5d7-19a53f860c5e",
    "last_contacted_from": "email",
    "uploaded_by_user": "01959272-5d2b-7a87-a5d7-19a694ff3588",
    "upload_method": "manual",
    "assigned_to": "01959272-5d2b-7a87-a5d7-19a7ec8d1ed6",
    "is_website_visitor": true,
    "timestamp_last_touch": "2025-03-14T02:18:43.371Z",
    "esp_code": 1
})json";

}  // namespace leadsync::sandbox
