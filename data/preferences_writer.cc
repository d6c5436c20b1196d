#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <parquet/arrow/writer.h>

#include <exception>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "data/preferences.h"

namespace rein::data {
namespace {

constexpr int64_t kRowGroupRows = 1024;

using Rows = std::vector<PreferenceRow>;
using Arrays = std::vector<std::shared_ptr<arrow::Array>>;
template <typename T>
using Getter = std::function<std::optional<T>(const PreferenceRow&)>;

// Builds one column; a nullopt becomes null.
template <typename Builder, typename T>
arrow::Result<std::shared_ptr<arrow::Array>> Column(const Rows& rows, const Getter<T>& get) {
  Builder builder;
  for (const PreferenceRow& row : rows) {
    const std::optional<T> value = get(row);
    ARROW_RETURN_NOT_OK(value ? builder.Append(*value) : builder.AppendNull());
  }
  return builder.Finish();
}

struct Table {
  const Rows& rows;
  arrow::FieldVector fields;
  Arrays arrays;

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

arrow::Status AddImage(Table& table) {
  ARROW_ASSIGN_OR_RAISE(auto bytes,
                        (Column<arrow::BinaryBuilder, std::string>(
                            table.rows, [](const PreferenceRow& row) { return row.image_bytes; })));
  ARROW_ASSIGN_OR_RAISE(auto paths,
                        (Column<arrow::StringBuilder, std::string>(
                            table.rows, [](const PreferenceRow& row) { return row.image_path; })));
  const arrow::FieldVector fields = {arrow::field("bytes", arrow::binary()),
                                     arrow::field("path", arrow::utf8())};
  return table.Add("image", arrow::StructArray::Make(arrow::ArrayVector{bytes, paths}, fields));
}

arrow::Status AddResponses(Table& table) {
  for (int i = 0; i < 2; ++i) {
    const std::string name = absl::StrCat("response_", i + 1);
    ARROW_RETURN_NOT_OK(table.AddText(name, [i](const PreferenceRow& row) { return row.response[i]; }));
    ARROW_RETURN_NOT_OK(table.AddInt(name + "_harmless_rate",
                                     [i](const PreferenceRow& row) { return row.harmless_rate[i]; }));
    ARROW_RETURN_NOT_OK(
        table.AddInt(name + "_helpful_rate", [i](const PreferenceRow& row) { return row.helpful_rate[i]; }));
    ARROW_RETURN_NOT_OK(table.AddText(absl::StrCat("is_", name, "_safe"), [i](const PreferenceRow& row) {
      return row.is_safe[i] ? "yes" : "no";
    }));
  }
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::Table>> ToTable(const Rows& rows) {
  Table table{rows, {}, {}};
  ARROW_RETURN_NOT_OK(table.AddText("question", [](const PreferenceRow& row) { return row.question; }));
  ARROW_RETURN_NOT_OK(AddImage(table));
  ARROW_RETURN_NOT_OK(AddResponses(table));
  ARROW_RETURN_NOT_OK(
      table.AddInt("more_helpful_response_id", [](const PreferenceRow& row) { return row.more_helpful; }));
  ARROW_RETURN_NOT_OK(table.AddInt("safer_response_id", [](const PreferenceRow& row) { return row.safer; }));
  ARROW_RETURN_NOT_OK(table.AddText("category", [](const PreferenceRow& row) { return row.category; }));
  ARROW_RETURN_NOT_OK(table.AddText("image_severity", [](const PreferenceRow& row) {
    return row.severity.empty() ? std::nullopt : std::optional<std::string>(row.severity);
  }));
  return arrow::Table::Make(arrow::schema(table.fields), table.arrays);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ToParquet(const Rows& rows) {
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Table> table, ToTable(rows));
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::io::BufferOutputStream> stream,
                        arrow::io::BufferOutputStream::Create());
  const auto properties =
      parquet::WriterProperties::Builder().compression(parquet::Compression::SNAPPY)->build();
  ARROW_RETURN_NOT_OK(
      parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), stream, kRowGroupRows, properties));
  return stream->Finish();
}

}  // namespace

absl::Status WritePreferences(const std::filesystem::path& path, const std::vector<PreferenceRow>& rows) {
  try {
    const arrow::Result<std::shared_ptr<arrow::Buffer>> parquet = ToParquet(rows);
    if (!parquet.ok()) {
      return absl::InternalError(
          absl::StrCat(path.string(), ": cannot be written: ", parquet.status().message()));
    }
    const auto size = static_cast<size_t>((*parquet)->size());
    return WriteFileAtomically(path, {reinterpret_cast<const char*>((*parquet)->data()), size});
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(path.string(), ": cannot be written: ", error.what()));
  }
}

}  // namespace rein::data
