#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/data/data_summary.h"
#include "cli/data/read_flags.h"
#include "cli/data/verbs.h"
#include "data/row_reader.h"
#include "data/row_writer.h"

namespace rein::cli {
namespace {

struct ConvertFlags {
  std::string in, out;
  ReadFlags reading;
};

absl::Status Convert(const ConvertFlags& flags) {
  if (std::filesystem::path(flags.out).extension() != ".parquet") {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.out, ": parquet is written; give the file a name that ends in .parquet"));
  }
  REIN_ASSIGN_OR_RETURN(const data::ReadOptions options, ToReadOptions(flags.reading));
  REIN_ASSIGN_OR_RETURN(data::RowReader reader, data::RowReader::Open(flags.in, options));
  REIN_ASSIGN_OR_RETURN(data::RowWriter writer, data::RowWriter::Open(flags.out));
  int64_t several_pictures = 0;
  while (true) {
    REIN_ASSIGN_OR_RETURN(std::optional<data::Row> row, reader.Next());
    if (!row) break;
    if (row->pictures.size() > 1) {
      ++several_pictures;
      continue;
    }
    REIN_RETURN_IF_ERROR(writer.Add(*std::move(row)));
  }
  data::ReadReport report = reader.report();
  report.kept -= several_pictures;
  if (several_pictures > 0) report.dropped["several pictures"] = several_pictures;
  const std::string counts = CountsText(report);
  if (report.kept == 0)
    return absl::InvalidArgumentError(absl::StrCat(flags.in, ": no row can be converted: ", counts));
  REIN_RETURN_IF_ERROR(writer.Finish());
  printf("%s: %s\n", flags.out.c_str(), counts.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddConvertVerb(CLI::App& data, Action& action) {
  CLI::App* verb = data.add_subcommand("convert", "Write a data set in the BeaverTails-V schema");
  const auto flags = std::make_shared<ConvertFlags>();
  verb->add_option("IN", flags->in, "parquet, JSON or JSONL file, or folder of them")->required();
  verb->add_option("OUT", flags->out, "parquet file to write; replaced where it exists")->required();
  AddReadFlags(*verb, flags->reading);
  verb->callback([&action, flags] { action = [flags] { return Convert(*flags); }; });
}

}  // namespace rein::cli
