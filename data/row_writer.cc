#include "data/row_writer.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "data/preferences.h"
#include "data/row_table.h"

namespace rein::data {
namespace {

constexpr size_t kGroupRows = 1024;
constexpr size_t kGroupBytes = size_t{32} << 20;
// Values between two looks at a page's size: pages, which a reader holds whole, end after a few pictures.
constexpr int64_t kPageCheckValues = 8;

size_t BytesOf(const Row& row) {
  size_t bytes = row.question.size();
  for (const Picture& picture : row.pictures) bytes += picture.bytes.size();
  for (const Response& response : row.responses) bytes += response.text.size();
  return bytes;
}

absl::Status FromArrow(const std::filesystem::path& path, const arrow::Status& status) {
  const std::string why = absl::StrCat(path.string(), ": cannot be written: ", status.message());
  return status.IsIOError() ? absl::UnavailableError(why) : absl::InternalError(why);
}

}  // namespace

// The open file and its parquet writer, which starts with the first rows. Arrow's exceptions stop here.
class RowWriter::File {
 public:
  explicit File(const std::filesystem::path& path) : path_(path), partial_(path) { partial_ += ".partial"; }
  ~File() {
    if (stream_ == nullptr) return;
    std::error_code error;
    std::filesystem::remove(partial_, error);
  }

  absl::Status Open() {
    return Guarded([this]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(stream_, arrow::io::FileOutputStream::Open(partial_.string()));
      ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Table> table, ToTable({}));
      const auto properties = parquet::WriterProperties::Builder()
                                  .compression(parquet::Compression::SNAPPY)
                                  ->write_batch_size(kPageCheckValues)
                                  ->build();
      ARROW_ASSIGN_OR_RAISE(
          writer_, parquet::arrow::FileWriter::Open(*table->schema(), arrow::default_memory_pool(), stream_,
                                                    properties));
      return arrow::Status::OK();
    });
  }

  absl::Status Write(const std::vector<Row>& rows) {
    return Guarded([&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Table> table, ToTable(rows));
      return writer_->WriteTable(*table, static_cast<int64_t>(kGroupRows));
    });
  }

  absl::Status Finish() {
    REIN_RETURN_IF_ERROR(Guarded([this] {
      const arrow::Status closed = writer_->Close();
      return closed.ok() ? stream_->Close() : closed;
    }));
    REIN_RETURN_IF_ERROR(Fsync(partial_));
    std::error_code error;
    std::filesystem::rename(partial_, path_, error);
    if (error) return SystemError(error.value(), "cannot rename to", path_);
    stream_ = nullptr;
    return Fsync(path_.has_parent_path() ? path_.parent_path() : ".");
  }

 private:
  absl::Status Guarded(absl::FunctionRef<arrow::Status()> write) {
    try {
      const arrow::Status status = write();
      return status.ok() ? absl::OkStatus() : FromArrow(path_, status);
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat(path_.string(), ": cannot be written: ", error.what()));
    }
  }

  std::filesystem::path path_, partial_;
  std::shared_ptr<arrow::io::FileOutputStream> stream_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

RowWriter::RowWriter(std::unique_ptr<File> file) : file_(std::move(file)) {}
RowWriter::RowWriter(RowWriter&&) noexcept = default;
RowWriter::~RowWriter() = default;

absl::StatusOr<RowWriter> RowWriter::Open(const std::filesystem::path& path) {
  auto file = std::make_unique<File>(path);
  REIN_RETURN_IF_ERROR(file->Open());
  return RowWriter(std::move(file));
}

absl::Status RowWriter::Add(Row row) {
  if (row.pictures.size() > 1 || row.responses.size() > 2) {
    return absl::InvalidArgumentError(absl::StrCat("a row with ", row.pictures.size(), " pictures and ",
                                                   row.responses.size(),
                                                   " answers; at most 1 and 2 have a place"));
  }
  pending_bytes_ += BytesOf(row);
  pending_.push_back(std::move(row));
  return pending_.size() >= kGroupRows || pending_bytes_ >= kGroupBytes ? Flush() : absl::OkStatus();
}

absl::Status RowWriter::Flush() {
  REIN_RETURN_IF_ERROR(file_->Write(pending_));
  pending_.clear();
  pending_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status RowWriter::Finish() {
  if (!pending_.empty()) REIN_RETURN_IF_ERROR(Flush());
  return file_->Finish();
}

absl::Status WritePreferences(const std::filesystem::path& path, const std::vector<PreferenceRow>& rows) {
  REIN_ASSIGN_OR_RETURN(RowWriter writer, RowWriter::Open(path));
  for (const PreferenceRow& row : rows) REIN_RETURN_IF_ERROR(writer.Add(FromPreference(row)));
  return writer.Finish();
}

}  // namespace rein::data
