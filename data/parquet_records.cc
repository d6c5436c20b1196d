#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <numeric>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/cells.h"
#include "data/record_files.h"

namespace rein::data {
namespace {

// What one record batch may hold, so that memory does not grow with the pictures.
constexpr int64_t kBatchBytes = 4 << 20;
constexpr int64_t kMaxBatchRows = 256;
// Column chunks are read piece by piece: a chunk of pictures is most of its row group.
constexpr int64_t kReadBytes = 1 << 20;

absl::Status FromArrow(const std::filesystem::path& file, const arrow::Status& status) {
  return BadFile(file, absl::StrCat("cannot be read as parquet: ", status.message()));
}

// Arrow and Parquet throw on some broken files.
absl::Status Guarded(const std::filesystem::path& file, absl::FunctionRef<absl::Status()> read) {
  try {
    return read();
  } catch (const std::exception& error) {
    return BadFile(file, absl::StrCat("cannot be read as parquet: ", error.what()));
  }
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

using FileReader = parquet::arrow::FileReader;

// Rows of a batch such that it stays about within kBatchBytes in every row group.
int64_t BatchRows(const parquet::FileMetaData& metadata) {
  int64_t row_bytes = 1;
  for (int i = 0; i < metadata.num_row_groups(); ++i) {
    const auto group = metadata.RowGroup(i);
    row_bytes = std::max(row_bytes, group->total_byte_size() / std::max<int64_t>(1, group->num_rows()));
  }
  return std::clamp<int64_t>(kBatchBytes / row_bytes, 1, kMaxBatchRows);
}

absl::StatusOr<std::unique_ptr<FileReader>> OpenReader(const std::filesystem::path& file) {
  REIN_RETURN_IF_ERROR(CheckMagic(file));
  std::unique_ptr<FileReader> reader;
  REIN_RETURN_IF_ERROR(Guarded(file, [&]() -> absl::Status {
    parquet::ReaderProperties reading;
    reading.enable_buffered_stream();
    reading.set_buffer_size(kReadBytes);
    parquet::arrow::FileReaderBuilder builder;
    if (const arrow::Status opened = builder.OpenFile(file.string(), /*memory_map=*/false, reading);
        !opened.ok())
      return FromArrow(file, opened);
    parquet::ArrowReaderProperties properties;
    properties.set_pre_buffer(false);
    properties.set_batch_size(BatchRows(*builder.raw_reader()->metadata()));
    auto built = builder.properties(properties)->Build();
    if (!built.ok()) return FromArrow(file, built.status());
    reader = *std::move(built);
    return absl::OkStatus();
  }));
  return reader;
}

std::vector<std::string> NamesOf(FileReader& reader) {
  const parquet::schema::GroupNode& root = *reader.parquet_reader()->metadata()->schema()->group_node();
  std::vector<std::string> names;
  for (int i = 0; i < root.field_count(); ++i) names.push_back(root.field(i)->name());
  return names;
}

// Indices of the leaves below these columns.
std::vector<int> LeavesOf(FileReader& reader, const std::vector<std::string>& columns) {
  const parquet::SchemaDescriptor& schema = *reader.parquet_reader()->metadata()->schema();
  std::vector<int> leaves;
  for (int i = 0; i < schema.num_columns(); ++i) {
    const std::string& name = schema.GetColumnRoot(i)->name();
    if (columns.empty() || std::find(columns.begin(), columns.end(), name) != columns.end())
      leaves.push_back(i);
  }
  return leaves;
}

class ParquetSource : public RecordSource {
 public:
  ParquetSource(std::filesystem::path file, std::unique_ptr<FileReader> reader)
      : file_(std::move(file)), reader_(std::move(reader)) {}

  absl::Status Start(const std::vector<std::string>& columns) {
    return Guarded(file_, [&]() -> absl::Status {
      std::vector<int> groups(static_cast<size_t>(reader_->num_row_groups()));
      std::iota(groups.begin(), groups.end(), 0);
      auto batches = reader_->GetRecordBatchReader(groups, LeavesOf(*reader_, columns));
      if (!batches.ok()) return FromArrow(file_, batches.status());
      batches_ = *std::move(batches);
      return absl::OkStatus();
    });
  }

  absl::StatusOr<bool> Next(Record& record) override {
    while (batch_ == nullptr || row_ == batch_->num_rows()) {
      REIN_RETURN_IF_ERROR(Guarded(file_, [this] { return NextBatch(); }));
      if (batch_ == nullptr) return false;
    }
    record.problem.clear();
    record.fields = nlohmann::json::object();
    for (int i = 0; i < batch_->num_columns(); ++i)
      record.fields[batch_->column_name(i)] = CellAt(*batch_->column(i), row_);
    ++row_;
    return true;
  }

 private:
  // Null at the end.
  absl::Status NextBatch() {
    batch_ = nullptr;  // before the next one is there: memory holds one
    auto batch = batches_->Next();
    if (!batch.ok()) return FromArrow(file_, batch.status());
    if (*batch == nullptr) return absl::OkStatus();
    if (const arrow::Status valid = (*batch)->ValidateFull(); !valid.ok()) return FromArrow(file_, valid);
    batch_ = *std::move(batch);
    row_ = 0;
    return absl::OkStatus();
  }

  std::filesystem::path file_;
  std::unique_ptr<FileReader> reader_;
  std::shared_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t row_ = 0;
};

}  // namespace

bool IsParquet(const std::filesystem::path& file) {
  if (file.extension() == ".parquet") return true;
  std::string head(4, '\0');
  std::ifstream(file, std::ios::binary).read(head.data(), 4);
  return head == "PAR1";
}

absl::StatusOr<std::unique_ptr<RecordSource>> OpenParquet(const std::filesystem::path& file,
                                                          const std::vector<std::string>& columns) {
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<FileReader> reader, OpenReader(file));
  auto source = std::make_unique<ParquetSource>(file, std::move(reader));
  REIN_RETURN_IF_ERROR(source->Start(columns));
  return source;
}

absl::StatusOr<std::vector<std::string>> ParquetColumns(const std::filesystem::path& file) {
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<FileReader> reader, OpenReader(file));
  return NamesOf(*reader);
}

}  // namespace rein::data
