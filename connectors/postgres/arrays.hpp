#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "connectors/postgres/binary_array.hpp"
#include "sync/ids.hpp"

namespace leadsync::postgres {

/// An array of what `text` makes of each item.
template <class Items, class Text>
pqxx::binarystring array_of(BinaryArray::Element element, const Items& items, Text text) {
    BinaryArray array{element};
    for (const auto& item : items) array.add(std::string_view{text(item)});
    return array.finish();
}

/// `uuid[]` of ids, ours or theirs.
template <class Tag>
pqxx::binarystring array_of(const std::vector<sync::Id<Tag>>& ids) {
    return array_of(BinaryArray::Element::uuid, ids, [](const auto& id) -> const std::string& { return id.text; });
}

/// `text[]`.
inline pqxx::binarystring array_of(const std::vector<std::string>& texts) {
    return array_of(BinaryArray::Element::text, texts, [](const auto& text) -> const std::string& { return text; });
}

}  // namespace leadsync::postgres
