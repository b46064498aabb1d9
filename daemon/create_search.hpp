#pragma once

#include <optional>

#include <boost/asio/awaitable.hpp>

#include "daemon/pages.hpp"
#include "daemon/push_context.hpp"
#include "daemon/unborn_row.hpp"

namespace leadsync::daemon {

/// Looks for the lead of a create that has left, and whose outcome is not known. What is shown goes through the
/// merge, which adopts the lead. All throw ApiError and StoreError.
class CreateSearch {
public:
    explicit CreateSearch(PushContext& context) : context_{context} {}

    /// What looks for the lead of a create showed.
    struct Seen {
        bool made = false;
        bool others = false;                ///< leads of that email that are not of this row
        bool is_row_being_written = false;  ///< by somebody: whether it was made can't be told yet
    };

    /// By the row's email, wherever the lead is by now; at most so many looks, until one tells.
    boost::asio::awaitable<Seen> look_for(const UnbornRow& row, int looks);

    /// One look for a lead without an email, which is known by what was sent. Of Seen only what can be told there.
    boost::asio::awaitable<Seen> find_posted(const UnbornRow& row);

private:
    boost::asio::awaitable<bool> takes_made_up_cursors();

    PushContext& context_;
    std::optional<UnknownCursor> unknown_cursor_;  ///< nothing: not tried yet
};

}  // namespace leadsync::daemon
