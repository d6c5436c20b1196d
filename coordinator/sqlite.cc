#include "coordinator/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::coordinator::sqlite {
namespace {

constexpr int kPrimaryCode = 0xff;

bool DiskIsFull(sqlite3* handle, int code) {
  if (code == SQLITE_FULL) return true;
  const int system = sqlite3_system_errno(handle);
  return code == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT);
}

}  // namespace

int64_t Row::Int(int column) const { return sqlite3_column_int64(statement_, column); }

double Row::Double(int column) const { return sqlite3_column_double(statement_, column); }

std::string Row::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return "";
  return std::string(reinterpret_cast<const char*>(text),
                     static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

absl::Status Statement::Bind(std::initializer_list<Value> values) {
  int index = 0;
  for (const Value& value : values) {
    ++index;
    int code = SQLITE_OK;
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      code = sqlite3_bind_int64(statement_.get(), index, *integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      code = sqlite3_bind_double(statement_.get(), index, *real);
    } else {
      const auto text = std::get<absl::string_view>(value);
      code =
          sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    if (code != SQLITE_OK) return database_->Error();
  }
  return absl::OkStatus();
}

absl::Status Statement::Query(std::initializer_list<Value> values,
                              absl::FunctionRef<void(const Row&)> visit) {
  // The texts belong to the caller and are gone after this call.
  const auto reset = absl::MakeCleanup([this] {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
  });
  REIN_RETURN_IF_ERROR(Bind(values));
  while (true) {
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_DONE) return absl::OkStatus();
    if (code != SQLITE_ROW) return database_->Error();
    visit(Row(statement_.get()));
  }
}

absl::StatusOr<int64_t> Statement::Run(std::initializer_list<Value> values) {
  REIN_RETURN_IF_ERROR(Query(values, [](const Row&) {}));
  return database_->Changes();
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::filesystem::path& file,
                                                         absl::Duration busy_timeout) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  // The handle exists and must be closed even where the open failed.
  std::unique_ptr<Database> database(new Database(file, handle));
  if (code != SQLITE_OK) return database->Error();
  sqlite3_busy_timeout(handle, static_cast<int>(absl::ToInt64Milliseconds(busy_timeout)));
  return database;
}

Database::~Database() { sqlite3_close(handle_); }

absl::Status Database::Execute(const std::string& sql) {
  return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus()
                                                                                    : Error();
}

absl::StatusOr<Statement> Database::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) !=
      SQLITE_OK) {
    return Error();
  }
  return Statement(statement, this);
}

absl::StatusOr<std::string> Database::QueryText(absl::string_view sql) {
  REIN_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  std::string text;
  bool first = true;
  REIN_RETURN_IF_ERROR(statement.Query({}, [&](const Row& row) {
    if (std::exchange(first, false)) text = row.Text(0);
  }));
  return text;
}

absl::Status Database::InTransaction(absl::FunctionRef<absl::Status()> body) {
  REIN_RETURN_IF_ERROR(Execute("BEGIN IMMEDIATE"));
  absl::Status status = body();
  if (status.ok()) status = Execute("COMMIT");
  // After some errors SQLite has rolled back by itself; a second time does no harm.
  if (!status.ok()) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

absl::Status Database::Error() const {
  const int code = sqlite3_errcode(handle_) & kPrimaryCode;
  const std::string message = absl::StrCat(file_.string(), ": ", sqlite3_errmsg(handle_));
  if (DiskIsFull(handle_, code)) {
    return absl::ResourceExhaustedError(absl::StrCat(message, "; free space and try again"));
  }
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
    return absl::DataLossError(absl::StrCat(message, "; move the file away, a new one will be made"));
  }
  if (code == SQLITE_BUSY) {
    return absl::UnavailableError(
        absl::StrCat(message, "; another process writes to it, end that one first"));
  }
  return absl::UnavailableError(message);
}

int64_t Database::Changes() const { return sqlite3_changes(handle_); }

}  // namespace rein::coordinator::sqlite
