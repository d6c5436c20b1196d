#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "data/columns.h"
#include "data/preferences.h"

namespace rein::data {
namespace {

// Rows of one record batch: bounds memory when pictures are large.
constexpr int64_t kBatchRows = 256;

constexpr const char* kRequired[] = {"question",
                                     "image",
                                     "response_1",
                                     "response_2",
                                     "more_helpful_response_id",
                                     "safer_response_id",
                                     "response_1_harmless_rate",
                                     "response_2_harmless_rate",
                                     "is_response_1_safe",
                                     "is_response_2_safe",
                                     "category"};
constexpr const char* kOptional[] = {"response_1_helpful_rate", "response_2_helpful_rate", "image_severity"};

absl::Status BadFile(const std::filesystem::path& file, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(file.string(), ": ", why));
}

absl::Status FromArrow(const std::filesystem::path& file, const arrow::Status& status) {
  return BadFile(file, absl::StrCat("cannot be read as parquet: ", status.message()));
}

// Both ends of a parquet file read "PAR1".
absl::Status CheckMagic(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream)
    return absl::NotFoundError(absl::StrCat(file.string(), ": there is no such file, or it is locked"));
  const std::streamoff size = stream.tellg();
  if (size == 0) return BadFile(file, "is empty; a parquet file is needed");
  std::string head(4, '\0'), tail(4, '\0');
  if (size >= 12) {
    stream.seekg(0).read(head.data(), 4);
    stream.seekg(size - 4).read(tail.data(), 4);
  }
  if (head != "PAR1") return BadFile(file, "is not a parquet file");
  if (tail != "PAR1") return BadFile(file, "is truncated: the end of a parquet file is missing");
  return absl::OkStatus();
}

bool IsKnown(const std::string& name) {
  const auto is = [&](const char* known) { return name == known; };
  return std::any_of(std::begin(kRequired), std::end(kRequired), is) ||
         std::any_of(std::begin(kOptional), std::end(kOptional), is);
}

absl::Status CheckColumnNames(const ColumnNames& columns) {
  for (const auto& [name, mapped] : columns) {
    if (!IsKnown(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", name, "\" is not a column that can be mapped; known: ", absl::StrJoin(kRequired, ", "), ", ",
          absl::StrJoin(kOptional, ", ")));
    }
  }
  return absl::OkStatus();
}

// The arrays of one record batch by canonical name; optional ones may be null.
using Arrays = std::map<std::string, std::shared_ptr<arrow::Array>>;

std::string NameInFile(const ColumnNames& columns, const std::string& name) {
  const auto mapped = columns.find(name);
  return mapped == columns.end() ? name : mapped->second;
}

absl::Status CheckSchema(const std::filesystem::path& file, const arrow::Schema& schema,
                         const ColumnNames& columns) {
  std::vector<std::string> missing;
  for (const char* name : kRequired) {
    if (schema.GetFieldIndex(NameInFile(columns, name)) < 0) missing.push_back(NameInFile(columns, name));
  }
  if (missing.empty()) return absl::OkStatus();
  if (missing.size() > 3) missing.resize(3);
  return BadFile(file, absl::StrCat("lacks the column ", absl::StrJoin(missing, ", "),
                                    "; its columns are: ", absl::StrJoin(schema.field_names(), ", "),
                                    ". Map other names onto those of the BeaverTails-V schema"));
}

Arrays ArraysOf(const arrow::RecordBatch& batch, const ColumnNames& columns) {
  Arrays arrays;
  for (const char* name : kRequired) arrays[name] = batch.GetColumnByName(NameInFile(columns, name));
  for (const char* name : kOptional) arrays[name] = batch.GetColumnByName(NameInFile(columns, name));
  return arrays;
}

// One row of a batch, or the reason why it is dropped.
class RowReader {
 public:
  RowReader(const Arrays& arrays, int64_t row) : arrays_(arrays), row_(row) {}

  absl::StatusOr<PreferenceRow> Read() {
    PreferenceRow row;
    row.question = Text("question", "no question");
    ReadImage(row);
    for (int i = 0; i < 2; ++i) ReadResponse(i, row);
    row.more_helpful = Int("more_helpful_response_id", 1, 2, "more_helpful_response_id outside {1, 2}");
    row.safer = Int("safer_response_id", 1, 2, "safer_response_id outside {1, 2}");
    row.category = Text("category", "no category");
    row.severity = OptionalText("image_severity");
    if (row.response[0] == row.response[1]) Drop("equal responses");
    if (!reason_.empty()) return absl::FailedPreconditionError(reason_);
    return row;
  }

 private:
  void Drop(const std::string& reason) {
    if (reason_.empty()) reason_ = reason;
  }

  std::string Text(const std::string& column, const std::string& reason) {
    const std::optional<absl::string_view> text = TextAt(*arrays_.at(column), row_);
    if (!text) Drop(reason);
    return std::string(text.value_or(""));
  }

  std::string OptionalText(const std::string& column) {
    const auto& array = arrays_.at(column);
    return array == nullptr ? "" : std::string(TextAt(*array, row_).value_or(""));
  }

  int Int(const std::string& column, int low, int high, const std::string& reason) {
    const std::optional<int64_t> value = IntAt(*arrays_.at(column), row_);
    if (value && *value >= low && *value <= high) return static_cast<int>(*value);
    Drop(reason);
    return low;
  }

  void ReadResponse(int i, PreferenceRow& row) {
    const std::string name = absl::StrCat("response_", i + 1);
    row.response[i] = Text(name, "no response");
    row.harmless_rate[i] = Int(name + "_harmless_rate", -3, 3, "harmless rate outside -3..3");
    const std::optional<bool> safe = YesNoAt(*arrays_.at(absl::StrCat("is_", name, "_safe")), row_);
    if (!safe) Drop("is_response_safe is neither yes nor no");
    row.is_safe[i] = safe.value_or(true);
    const auto& helpful = arrays_.at(name + "_helpful_rate");
    if (helpful != nullptr && !helpful->IsNull(row_)) {
      row.helpful_rate[i] = Int(name + "_helpful_rate", 0, 3, "helpful rate outside 0..3");
    }
  }

  // struct<bytes, path> as the hub writes it, or plain bytes. A null picture is a question without one.
  void ReadImage(PreferenceRow& row) {
    const arrow::Array& column = *arrays_.at("image");
    if (column.IsNull(row_)) return;
    if (column.type_id() != arrow::Type::STRUCT) {
      const std::optional<absl::string_view> bytes = TextAt(column, row_);
      if (!bytes) Drop("image is neither bytes nor a struct with bytes");
      row.image_bytes = std::string(bytes.value_or(""));
      return;
    }
    const auto& image = static_cast<const arrow::StructArray&>(column);
    const std::shared_ptr<arrow::Array> bytes = image.GetFieldByName("bytes"),
                                        path = image.GetFieldByName("path");
    if (bytes == nullptr) return Drop("image has no field \"bytes\"");
    row.image_bytes = std::string(TextAt(*bytes, row_).value_or(""));
    if (path != nullptr) row.image_path = std::string(TextAt(*path, row_).value_or(""));
    if (row.image_bytes.empty()) Drop("image without bytes");
  }

  const Arrays& arrays_;
  int64_t row_;
  std::string reason_;
};

absl::Status VisitBatch(const arrow::RecordBatch& batch, const ColumnNames& columns, ReadReport& report,
                        absl::FunctionRef<absl::Status(PreferenceRow)> visit) {
  const Arrays arrays = ArraysOf(batch, columns);
  for (int64_t i = 0; i < batch.num_rows(); ++i) {
    ++report.rows;
    absl::StatusOr<PreferenceRow> row = RowReader(arrays, i).Read();
    if (!row.ok()) {
      ++report.dropped[std::string(row.status().message())];
      continue;
    }
    ++report.kept;
    REIN_RETURN_IF_ERROR(visit(*std::move(row)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<parquet::arrow::FileReader>> OpenParquet(const std::filesystem::path& file) {
  parquet::arrow::FileReaderBuilder builder;
  parquet::ArrowReaderProperties properties;
  properties.set_batch_size(kBatchRows);
  if (const arrow::Status opened = builder.OpenFile(file.string()); !opened.ok())
    return FromArrow(file, opened);
  auto reader = builder.properties(properties)->Build();
  if (!reader.ok()) return FromArrow(file, reader.status());
  return *std::move(reader);
}

absl::Status ReadFileRows(const std::filesystem::path& file, const ColumnNames& columns, ReadReport& report,
                          absl::FunctionRef<absl::Status(PreferenceRow)> visit) {
  REIN_RETURN_IF_ERROR(CheckMagic(file));
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<parquet::arrow::FileReader> reader, OpenParquet(file));
  auto batches = reader->GetRecordBatchReader();
  if (!batches.ok()) return FromArrow(file, batches.status());
  REIN_RETURN_IF_ERROR(CheckSchema(file, *(*batches)->schema(), columns));
  while (true) {
    const arrow::Result<std::shared_ptr<arrow::RecordBatch>> batch = (*batches)->Next();
    if (!batch.ok()) return FromArrow(file, batch.status());
    if (*batch == nullptr) return absl::OkStatus();
    if (const arrow::Status valid = (*batch)->ValidateFull(); !valid.ok()) return FromArrow(file, valid);
    REIN_RETURN_IF_ERROR(VisitBatch(**batch, columns, report, visit));
  }
}

// The file itself, or the *.parquet files below a folder in name order.
absl::StatusOr<std::vector<std::filesystem::path>> FilesAt(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) return std::vector<std::filesystem::path>{path};
  if (!std::filesystem::is_directory(path, error)) {
    return absl::NotFoundError(absl::StrCat(path.string(), ": no such file or folder"));
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) {
    if (entry.is_regular_file(error) && entry.path().extension() == ".parquet") files.push_back(entry.path());
  }
  if (files.empty()) return absl::NotFoundError(absl::StrCat(path.string(), ": no *.parquet file below it"));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<ReadReport> ReadPreferences(const std::filesystem::path& path, const ColumnNames& columns,
                                           absl::FunctionRef<absl::Status(PreferenceRow)> visit) {
  REIN_RETURN_IF_ERROR(CheckColumnNames(columns));
  REIN_ASSIGN_OR_RETURN(const std::vector<std::filesystem::path> files, FilesAt(path));
  ReadReport report;
  for (const std::filesystem::path& file : files) {
    try {
      REIN_RETURN_IF_ERROR(ReadFileRows(file, columns, report, visit));
    } catch (const std::exception& error) {
      return BadFile(file, absl::StrCat("cannot be read as parquet: ", error.what()));
    }
  }
  if (report.rows == 0) return BadFile(path, "holds no rows");
  return report;
}

absl::StatusOr<std::vector<PreferenceRow>> LoadPreferences(const std::filesystem::path& path,
                                                           const ColumnNames& columns) {
  std::vector<PreferenceRow> rows;
  const auto keep = [&rows](PreferenceRow row) {
    rows.push_back(std::move(row));
    return absl::OkStatus();
  };
  REIN_RETURN_IF_ERROR(ReadPreferences(path, columns, keep).status());
  return rows;
}

}  // namespace rein::data
