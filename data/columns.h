// Cells of Arrow columns, whatever type a writer has chosen for them. Nothing outside this folder includes
// it.
#pragma once

#include <arrow/array.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/strings/string_view.h"

namespace rein::data {

// Text or bytes: string, binary, their large forms, or a dictionary of these. nullopt: null or another type.
std::optional<absl::string_view> TextAt(const arrow::Array& column, int64_t row);
// A whole number: any integer or floating type that holds one, or text that spells one.
std::optional<int64_t> IntAt(const arrow::Array& column, int64_t row);
// Boolean, 0 or 1, or "yes", "no", "true", "false" in any case.
std::optional<bool> YesNoAt(const arrow::Array& column, int64_t row);

}  // namespace rein::data
