#include "cli/ledger/ledger_reader.h"

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A ledger that the coordinator is writing to is busy for milliseconds.
constexpr int kBusyMs = 5000;

absl::Status SqlError(sqlite3* database, const std::string& what) {
  return absl::UnavailableError(
      absl::StrCat("cannot read the ledger: ", what, ": ", sqlite3_errmsg(database)));
}

Json ColumnJson(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_NULL:
      return nullptr;
    default:
      return std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)),
                         sqlite3_column_bytes(statement, column));
  }
}

}  // namespace

absl::StatusOr<LedgerHandle> OpenLedger(const fs::path& file) {
  if (!fs::exists(file)) {
    return absl::NotFoundError(absl::StrCat("no ledger at ", file.string(), "; name the run with --run-dir"));
  }
  sqlite3* raw = nullptr;
  const int result = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  LedgerHandle database(raw, &sqlite3_close);
  if (result != SQLITE_OK) return SqlError(raw, file.string());
  sqlite3_busy_timeout(raw, kBusyMs);
  return database;
}

absl::StatusOr<std::vector<Json>> QueryLedger(sqlite3* ledger, const std::string& sql,
                                              const std::vector<Json>& parameters) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(ledger, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    return SqlError(ledger, sql);
  }
  const auto finalize = absl::MakeCleanup([statement] { sqlite3_finalize(statement); });
  for (size_t i = 0; i < parameters.size(); ++i) {
    const int place = static_cast<int>(i) + 1;
    if (parameters[i].is_number_integer()) {
      sqlite3_bind_int64(statement, place, parameters[i].get<int64_t>());
    } else {
      const std::string text = parameters[i].get<std::string>();
      sqlite3_bind_text(statement, place, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    }
  }
  std::vector<Json> rows;
  int result;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
    Json& row = rows.emplace_back(Json::object());
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      row[sqlite3_column_name(statement, i)] = ColumnJson(statement, i);
    }
  }
  if (result != SQLITE_DONE) return SqlError(ledger, sql);
  return rows;
}

}  // namespace rein::cli
