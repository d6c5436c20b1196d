#include "data/row_table.h"

#include <arrow/api.h>

#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace rein::data {
namespace {

using Rows = std::vector<Row>;
template <typename T>
using Getter = std::function<std::optional<T>(const Row&)>;

// Builds one column; a nullopt becomes null.
template <typename Builder, typename T>
arrow::Result<std::shared_ptr<arrow::Array>> Column(const Rows& rows, const Getter<T>& get) {
  Builder builder;
  for (const Row& row : rows) {
    const std::optional<T> value = get(row);
    ARROW_RETURN_NOT_OK(value ? builder.Append(*value) : builder.AppendNull());
  }
  return builder.Finish();
}

struct Columns {
  const Rows& rows;
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;

  arrow::Status Add(const std::string& name, arrow::Result<std::shared_ptr<arrow::Array>> array) {
    ARROW_RETURN_NOT_OK(array.status());
    fields.push_back(arrow::field(name, (*array)->type()));
    arrays.push_back(*std::move(array));
    return arrow::Status::OK();
  }
  arrow::Status AddText(const std::string& name, const Getter<std::string>& get) {
    return Add(name, Column<arrow::StringBuilder, std::string>(rows, get));
  }
  arrow::Status AddInt(const std::string& name, const Getter<int>& get) {
    return Add(name, Column<arrow::Int64Builder, int>(rows, get));
  }
};

arrow::Status AddImage(Columns& columns) {
  arrow::BinaryBuilder bytes;
  arrow::StringBuilder paths;
  arrow::TypedBufferBuilder<bool> is_there;
  const Picture none;
  for (const Row& row : columns.rows) {
    const Picture& picture = row.pictures.empty() ? none : row.pictures[0];
    ARROW_RETURN_NOT_OK(bytes.Append(picture.bytes));
    ARROW_RETURN_NOT_OK(paths.Append(picture.path));
    ARROW_RETURN_NOT_OK(is_there.Append(!row.pictures.empty()));
  }
  ARROW_ASSIGN_OR_RAISE(const auto bytes_array, bytes.Finish());
  ARROW_ASSIGN_OR_RAISE(const auto paths_array, paths.Finish());
  ARROW_ASSIGN_OR_RAISE(const auto validity, is_there.Finish());
  const arrow::FieldVector fields = {arrow::field("bytes", arrow::binary()),
                                     arrow::field("path", arrow::utf8())};
  return columns.Add(
      "image", arrow::StructArray::Make(arrow::ArrayVector{bytes_array, paths_array}, fields, validity));
}

// A value of answer `i`, where the row has one.
template <typename T>
Getter<T> OfResponse(size_t i, std::optional<T> (*get)(const Response&)) {
  return [i, get](const Row& row) { return i < row.responses.size() ? get(row.responses[i]) : std::nullopt; };
}

std::optional<std::string> TextOfResponse(const Response& response) { return response.text; }
std::optional<int> HarmlessRate(const Response& response) { return response.harmless_rate; }
std::optional<int> HelpfulRate(const Response& response) { return response.helpful_rate; }
std::optional<std::string> SafeLabel(const Response& response) {
  if (!response.is_safe) return std::nullopt;
  return *response.is_safe ? "yes" : "no";
}

arrow::Status AddResponses(Columns& columns) {
  for (size_t i = 0; i < 2; ++i) {
    const std::string name = absl::StrCat("response_", i + 1);
    ARROW_RETURN_NOT_OK(columns.AddText(name, OfResponse<std::string>(i, TextOfResponse)));
    ARROW_RETURN_NOT_OK(columns.AddInt(name + "_harmless_rate", OfResponse<int>(i, HarmlessRate)));
    ARROW_RETURN_NOT_OK(columns.AddInt(name + "_helpful_rate", OfResponse<int>(i, HelpfulRate)));
    ARROW_RETURN_NOT_OK(
        columns.AddText(absl::StrCat("is_", name, "_safe"), OfResponse<std::string>(i, SafeLabel)));
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Table>> ToTable(const Rows& rows) {
  Columns columns{rows, {}, {}};
  ARROW_RETURN_NOT_OK(columns.AddText("question", [](const Row& row) { return row.question; }));
  ARROW_RETURN_NOT_OK(AddImage(columns));
  ARROW_RETURN_NOT_OK(AddResponses(columns));
  ARROW_RETURN_NOT_OK(
      columns.AddInt("more_helpful_response_id", [](const Row& row) { return row.more_helpful; }));
  ARROW_RETURN_NOT_OK(columns.AddInt("safer_response_id", [](const Row& row) { return row.safer; }));
  ARROW_RETURN_NOT_OK(columns.AddText("category", [](const Row& row) { return row.category; }));
  ARROW_RETURN_NOT_OK(columns.AddText("image_severity", [](const Row& row) {
    return row.severity.empty() ? std::nullopt : std::optional<std::string>(row.severity);
  }));
  return arrow::Table::Make(arrow::schema(columns.fields), columns.arrays);
}

}  // namespace rein::data
