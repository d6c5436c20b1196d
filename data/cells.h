// Cells of Arrow columns as JSON values, whatever type a writer has chosen for them. Not for other folders.
#pragma once

#include <arrow/array.h>

#include <cstdint>

#include "nlohmann/json.hpp"

namespace rein::data {

// Text becomes a string, bytes a binary value (in a struct: a string, which can be moved out of it), struct
// an object, list an array; of a dictionary the value. Null stays null. Other types (dates, decimals) become
// their text. The array is valid (ValidateFull).
nlohmann::json CellAt(const arrow::Array& column, int64_t row);

}  // namespace rein::data
