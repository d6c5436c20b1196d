#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "cli/data/data_summary.h"
#include "cli/data/read_flags.h"
#include "cli/data/verbs.h"
#include "data/leaks.h"
#include "data/row_reader.h"

namespace rein::cli {
namespace {

struct InspectFlags {
  std::string path, against, against_split = "all";
  ReadFlags reading;
  bool json = false;
};

// All rows of the other data set; nothing where none was named.
absl::StatusOr<std::optional<data::LeakCheck>> LeakCheckOf(const InspectFlags& flags,
                                                           data::ReadOptions options) {
  if (flags.against.empty()) return std::nullopt;
  // The other set may be of another format and has pictures of its own; its columns have names of their own.
  options.format.reset();
  options.columns.clear();
  options.images.clear();
  REIN_ASSIGN_OR_RETURN(options.split, data::ParseSplit(flags.against_split));
  REIN_ASSIGN_OR_RETURN(data::RowReader reader, data::RowReader::Open(flags.against, options));
  data::LeakCheck check;
  while (true) {
    REIN_ASSIGN_OR_RETURN(const std::optional<data::Row> row, reader.Next());
    if (!row) return check;
    check.AddTraining(*row);
  }
}

absl::Status Inspect(const InspectFlags& flags) {
  REIN_ASSIGN_OR_RETURN(const data::ReadOptions options, ToReadOptions(flags.reading));
  REIN_ASSIGN_OR_RETURN(data::RowReader reader, data::RowReader::Open(flags.path, options));
  REIN_ASSIGN_OR_RETURN(std::optional<data::LeakCheck> leaks, LeakCheckOf(flags, options));
  DataSummary summary;
  while (true) {
    REIN_ASSIGN_OR_RETURN(const std::optional<data::Row> row, reader.Next());
    if (!row) break;
    summary.Add(*row);
    if (leaks) leaks->Check(*row);
  }
  nlohmann::json json = summary.ToJson(reader.report());
  if (leaks) json["leaks"] = ToJson(leaks->report());
  if (flags.json) {
    printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return absl::OkStatus();
  }
  printf("%s", summary.ToText(flags.path, reader.report()).c_str());
  if (leaks) printf("\n%s", ToText(flags.against, leaks->report()).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddInspectVerb(CLI::App& data, Action& action) {
  CLI::App* verb = data.add_subcommand("inspect", "Say what a data set holds");
  const auto flags = std::make_shared<InspectFlags>();
  verb->add_option("PATH", flags->path, "parquet, JSON or JSONL file, or folder of them")->required();
  AddReadFlags(*verb, flags->reading);
  verb->add_option("--against", flags->against,
                   "training data: count the rows of PATH whose picture or question is in it");
  verb->add_option("--against-split", flags->against_split, "files of the training data; default all");
  verb->add_flag("--json", flags->json, "as JSON");
  verb->callback([&action, flags] { action = [flags] { return Inspect(*flags); }; });
}

}  // namespace rein::cli
