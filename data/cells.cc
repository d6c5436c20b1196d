#include "data/cells.h"

#include <arrow/scalar.h>

namespace rein::data {
namespace {

using nlohmann::json;

template <typename Array>
json TextAt(const arrow::Array& column, int64_t row) {
  const auto view = static_cast<const Array&>(column).GetView(row);
  return std::string(view.data(), view.size());
}

template <typename Array>
json BytesAt(const arrow::Array& column, int64_t row) {
  const auto view = static_cast<const Array&>(column).GetView(row);
  return json::binary({view.begin(), view.end()});
}

template <typename Array>
json ValueAt(const arrow::Array& column, int64_t row) {
  return static_cast<const Array&>(column).Value(row);
}

json FieldAt(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return nullptr;
  if (column.type_id() == arrow::Type::BINARY) return TextAt<arrow::BinaryArray>(column, row);
  if (column.type_id() == arrow::Type::LARGE_BINARY) return TextAt<arrow::LargeBinaryArray>(column, row);
  return CellAt(column, row);
}

json StructAt(const arrow::Array& column, int64_t row) {
  const auto& fields = static_cast<const arrow::StructArray&>(column);
  json object = json::object();
  for (int i = 0; i < fields.num_fields(); ++i)
    object[fields.struct_type()->field(i)->name()] = FieldAt(*fields.field(i), row);
  return object;
}

template <typename Array>
json ListAt(const arrow::Array& column, int64_t row) {
  const auto& list = static_cast<const Array&>(column);
  json array = json::array();
  for (int64_t i = list.value_offset(row); i < list.value_offset(row + 1); ++i)
    array.push_back(CellAt(*list.values(), i));
  return array;
}

json DictionaryAt(const arrow::Array& column, int64_t row) {
  const auto& dictionary = static_cast<const arrow::DictionaryArray&>(column);
  return CellAt(*dictionary.dictionary(), dictionary.GetValueIndex(row));
}

json OtherAt(const arrow::Array& column, int64_t row) {
  const auto scalar = column.GetScalar(row);
  return scalar.ok() ? json((*scalar)->ToString()) : json();
}

}  // namespace

json CellAt(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return nullptr;
  switch (column.type_id()) {
    case arrow::Type::STRING:
      return TextAt<arrow::StringArray>(column, row);
    case arrow::Type::LARGE_STRING:
      return TextAt<arrow::LargeStringArray>(column, row);
    case arrow::Type::BINARY:
      return BytesAt<arrow::BinaryArray>(column, row);
    case arrow::Type::LARGE_BINARY:
      return BytesAt<arrow::LargeBinaryArray>(column, row);
    case arrow::Type::BOOL:
      return ValueAt<arrow::BooleanArray>(column, row);
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
    case arrow::Type::UINT64:
      return ValueAt<arrow::UInt64Array>(column, row);
    case arrow::Type::FLOAT:
      return ValueAt<arrow::FloatArray>(column, row);
    case arrow::Type::DOUBLE:
      return ValueAt<arrow::DoubleArray>(column, row);
    case arrow::Type::STRUCT:
      return StructAt(column, row);
    case arrow::Type::LIST:
      return ListAt<arrow::ListArray>(column, row);
    case arrow::Type::LARGE_LIST:
      return ListAt<arrow::LargeListArray>(column, row);
    case arrow::Type::DICTIONARY:
      return DictionaryAt(column, row);
    default:
      return OtherAt(column, row);
  }
}

}  // namespace rein::data
