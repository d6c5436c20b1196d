#include "data/columns.h"

#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace rein::data {
namespace {

template <typename Array>
absl::string_view ViewAt(const arrow::Array& column, int64_t row) {
  const auto view = static_cast<const Array&>(column).GetView(row);
  return {view.data(), view.size()};
}

template <typename Array>
int64_t ValueAt(const arrow::Array& column, int64_t row) {
  return static_cast<int64_t>(static_cast<const Array&>(column).Value(row));
}

std::optional<int64_t> WholeNumber(double value) {
  if (std::abs(value) > 1e15 || std::nearbyint(value) != value) return std::nullopt;
  return static_cast<int64_t>(value);
}

std::optional<int64_t> ParseInt(std::optional<absl::string_view> text) {
  int64_t value = 0;
  if (!text || !absl::SimpleAtoi(*text, &value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<absl::string_view> TextAt(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return std::nullopt;
  switch (column.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return ViewAt<arrow::BinaryArray>(column, row);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return ViewAt<arrow::LargeBinaryArray>(column, row);
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = static_cast<const arrow::DictionaryArray&>(column);
      return TextAt(*dictionary.dictionary(), dictionary.GetValueIndex(row));
    }
    default:
      return std::nullopt;
  }
}

std::optional<int64_t> IntAt(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return std::nullopt;
  switch (column.type_id()) {
    case arrow::Type::INT8:
      return ValueAt<arrow::Int8Array>(column, row);
    case arrow::Type::INT16:
      return ValueAt<arrow::Int16Array>(column, row);
    case arrow::Type::INT32:
      return ValueAt<arrow::Int32Array>(column, row);
    case arrow::Type::INT64:
      return ValueAt<arrow::Int64Array>(column, row);
    case arrow::Type::UINT8:
      return ValueAt<arrow::UInt8Array>(column, row);
    case arrow::Type::UINT16:
      return ValueAt<arrow::UInt16Array>(column, row);
    case arrow::Type::UINT32:
      return ValueAt<arrow::UInt32Array>(column, row);
    case arrow::Type::FLOAT:
      return WholeNumber(static_cast<const arrow::FloatArray&>(column).Value(row));
    case arrow::Type::DOUBLE:
      return WholeNumber(static_cast<const arrow::DoubleArray&>(column).Value(row));
    default:
      return ParseInt(TextAt(column, row));
  }
}

std::optional<bool> YesNoAt(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return std::nullopt;
  if (column.type_id() == arrow::Type::BOOL)
    return static_cast<const arrow::BooleanArray&>(column).Value(row);
  if (const std::optional<absl::string_view> text = TextAt(column, row)) {
    const std::string word = absl::AsciiStrToLower(*text);
    if (word == "yes" || word == "true") return true;
    if (word == "no" || word == "false") return false;
  }
  const std::optional<int64_t> number = IntAt(column, row);
  if (number == 0) return false;
  if (number == 1) return true;
  return std::nullopt;
}

}  // namespace rein::data
