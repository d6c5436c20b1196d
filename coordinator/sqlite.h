// SQLite with statuses instead of result codes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <variant>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace rein::coordinator::sqlite {

using Value = std::variant<int64_t, double, absl::string_view>;

// The row that a query stands on.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t Int(int column) const;
  double Double(int column) const;
  // NULL is the empty string.
  std::string Text(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class Database;

// A prepared statement; may run any number of times. Must not outlive its database.
class Statement {
 public:
  // Binds `values` to the parameters in order and runs it; returns how many rows it changed.
  absl::StatusOr<int64_t> Run(std::initializer_list<Value> values);
  // Binds, runs, and calls `visit` with every row of the result.
  absl::Status Query(std::initializer_list<Value> values, absl::FunctionRef<void(const Row&)> visit);

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3_stmt* statement, const Database* database) : statement_(statement), database_(database) {}
  absl::Status Bind(std::initializer_list<Value> values);

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  const Database* database_;
};

// One connection, one thread. Errors of all calls: RESOURCE_EXHAUSTED (disk full), DATA_LOSS (no SQLite
// database, or a damaged one), UNAVAILABLE (another I/O error, or locked by another process for longer than
// the busy timeout).
class Database {
 public:
  // Makes the file if it is not there.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::filesystem::path& file,
                                                        absl::Duration busy_timeout);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs one or more statements without parameters.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(absl::string_view sql);
  // The first column of the first row of a query without parameters, as text; empty without rows.
  absl::StatusOr<std::string> QueryText(absl::string_view sql);
  // BEGIN IMMEDIATE, `body`, COMMIT; what `body` did is rolled back where it or the commit fails.
  absl::Status InTransaction(absl::FunctionRef<absl::Status()> body);

  const std::filesystem::path& file() const { return file_; }

 private:
  friend class Statement;
  Database(std::filesystem::path file, sqlite3* handle) : file_(std::move(file)), handle_(handle) {}
  // The error that the last call left in the connection.
  absl::Status Error() const;
  int64_t Changes() const;

  std::filesystem::path file_;
  sqlite3* handle_;
};

}  // namespace rein::coordinator::sqlite
