#include "cli/control/trace.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/ledger/ledger_reader.h"
#include "cli/terminal.h"
#include "transport/nearest.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kIdsSearched = 20000;

absl::Status UnknownSample(sqlite3* database, const std::string& sample_id) {
  REIN_ASSIGN_OR_RETURN(
      const std::vector<Json> rows,
      QueryLedger(database, "SELECT DISTINCT sample_id FROM samples LIMIT ?", {kIdsSearched}));
  std::vector<std::string> ids;
  for (const Json& row : rows) ids.push_back(row["sample_id"].get<std::string>());
  const std::string nearest = transport::NearestName(sample_id, ids);
  const std::string hint = !nearest.empty() ? absl::StrCat("; did you mean '", nearest, "'?")
                           : !ids.empty()   ? absl::StrCat("; ids look like '", ids.front(), "'")
                                            : "; the ledger holds none yet";
  return absl::NotFoundError(absl::StrCat("no sample '", sample_id, "' in the ledger", hint));
}

absl::Status AddCosts(sqlite3* database, const std::vector<Json>& key, Json& life) {
  REIN_ASSIGN_OR_RETURN(
      std::vector<Json> rows,
      QueryLedger(database, "SELECT * FROM costs WHERE sample_id = ? AND coordinator_epoch = ? ORDER BY name",
                  key));
  life["costs"] = Json::object();
  for (Json& row : rows) {
    const std::string name = row["name"];
    for (const char* known : {"sample_id", "coordinator_epoch", "name"}) row.erase(known);
    life["costs"][name] = std::move(row);
  }
  return absl::OkStatus();
}

// The table is there only where the job records tokens.
absl::Status AddTokens(sqlite3* database, const std::vector<Json>& key, Json& life) {
  REIN_ASSIGN_OR_RETURN(
      const std::vector<Json> tables,
      QueryLedger(database, "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'tokens'", {}));
  if (tables.empty()) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(
      const std::vector<Json> rows,
      QueryLedger(database, "SELECT columns FROM tokens WHERE sample_id = ? AND coordinator_epoch = ?", key));
  if (rows.empty()) return absl::OkStatus();
  Json columns = Json::parse(rows[0]["columns"].get<std::string>(), nullptr, false);
  if (columns.is_discarded()) {
    return absl::UnavailableError("cannot read the ledger: the token columns of this sample are no JSON");
  }
  life["tokens"] = std::move(columns);
  return absl::OkStatus();
}

std::string CellText(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return FormatFigure(value.get<double>());
  return value.is_null() ? "-" : value.dump();
}

// Per-token lists as one table, a row a token; lists within objects become columns "costs.cost".
void CollectColumns(const Json& object, const std::string& prefix,
                    std::vector<std::pair<std::string, const Json*>>& columns) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_array()) columns.emplace_back(prefix + name, &value);
    if (value.is_object()) CollectColumns(value, absl::StrCat(prefix, name, "."), columns);
  }
}

std::string TokensText(const Json& tokens) {
  std::vector<std::pair<std::string, const Json*>> columns;
  CollectColumns(tokens, "", columns);
  size_t length = 0;
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& [name, values] : columns) {
    rows[0].push_back(name);
    length = std::max(length, values->size());
  }
  for (size_t t = 0; t < length; ++t) {
    auto& row = rows.emplace_back();
    for (const auto& [name, values] : columns)
      row.push_back(t < values->size() ? CellText((*values)[t]) : "");
  }
  return FormatTable(rows, 2);
}

std::string CostsText(const Json& costs) {
  std::vector<std::vector<std::string>> rows = {{"constraint", "cost", "signal", "lambda", "model"}};
  for (const auto& [name, cost] : costs.items()) {
    std::vector<std::string> row = {name};
    for (const char* key : {"cost", "signal", "lambda", "digest"}) {
      row.push_back(cost.contains(key) ? CellText(cost[key]) : "-");
    }
    rows.push_back(std::move(row));
  }
  return rows.size() == 1 ? "" : FormatTable(rows, 2);
}

}  // namespace

absl::StatusOr<Json> TraceSample(const fs::path& run_dir, const std::string& sample_id) {
  REIN_ASSIGN_OR_RETURN(const LedgerHandle database, OpenLedger(run_dir / "ledger.sqlite"));
  REIN_ASSIGN_OR_RETURN(
      std::vector<Json> lives,
      QueryLedger(database.get(), "SELECT * FROM samples WHERE sample_id = ? ORDER BY coordinator_epoch",
                  {sample_id}));
  if (lives.empty()) return UnknownSample(database.get(), sample_id);
  for (Json& life : lives) {
    const std::vector<Json> key = {sample_id, life["coordinator_epoch"]};
    REIN_RETURN_IF_ERROR(AddCosts(database.get(), key, life));
    REIN_RETURN_IF_ERROR(AddTokens(database.get(), key, life));
  }
  Json trace = Json::object();
  trace["sample_id"] = sample_id;
  trace["lives"] = std::move(lives);
  return trace;
}

std::string TraceText(const Json& trace) {
  std::string text = absl::StrCat("sample ", trace["sample_id"].get<std::string>(), "\n");
  for (const Json& life : trace["lives"]) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& [name, value] : life.items()) {
      if (name != "sample_id" && !value.is_structured()) rows.push_back({name, CellText(value)});
    }
    absl::StrAppend(&text, "\n", FormatTable(rows));
    const std::string costs = CostsText(life["costs"]);
    if (!costs.empty()) absl::StrAppend(&text, "costs\n", costs);
    if (life.contains("tokens")) absl::StrAppend(&text, "tokens\n", TokensText(life["tokens"]));
  }
  return text;
}

}  // namespace rein::cli
