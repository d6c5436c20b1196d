// rein data scenes|inspect: the built-in data, and what a data set holds.
#include <cstdio>
#include <memory>
#include <string>

#include "base/status.h"
#include "cli/command.h"
#include "cli/data/data_summary.h"
#include "data/preferences.h"
#include "data/scenes.h"

namespace rein::cli {
namespace {

struct ScenesFlags {
  std::string out;
  data::ScenesOptions options;
};

struct InspectFlags {
  std::string path;
  bool json = false;
};

absl::Status Scenes(const ScenesFlags& flags) {
  REIN_RETURN_IF_ERROR(data::MakeScenes(flags.options, flags.out));
  printf("%s: scenes (synthetic), %d training and %d evaluation rows\n", flags.out.c_str(),
         flags.options.train_rows, flags.options.evaluation_rows);
  return absl::OkStatus();
}

absl::Status Inspect(const InspectFlags& flags) {
  DataSummary summary;
  const auto count = [&summary](const data::PreferenceRow& row) {
    summary.Add(row);
    return absl::OkStatus();
  };
  REIN_ASSIGN_OR_RETURN(const data::ReadReport report, data::ReadPreferences(flags.path, {}, count));
  if (flags.json) {
    const std::string text =
        summary.ToJson(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
    printf("%s\n", text.c_str());
  } else {
    printf("%s", summary.ToText(flags.path, report).c_str());
  }
  return absl::OkStatus();
}

void AddScenes(CLI::App& data, Action& action) {
  CLI::App* verb = data.add_subcommand(
      "scenes", "Make the synthetic data: pictures of shapes, questions, answers with ground truth");
  const auto flags = std::make_shared<ScenesFlags>();
  verb->add_option("--out", flags->out, "folder to write; must not exist or be empty")->required();
  verb->add_option("--seed", flags->options.seed, "default 1");
  verb->add_option("--picture-size", flags->options.picture_size, "pixels, square; default 32");
  verb->add_option("--harmful-share", flags->options.harmful_share, "of the questions; default 0.4");
  verb->add_option("--train-rows", flags->options.train_rows, "default 6000");
  verb->add_option("--evaluation-rows", flags->options.evaluation_rows, "default 500");
  verb->callback([&action, flags] { action = [flags] { return Scenes(*flags); }; });
}

void AddInspect(CLI::App& data, Action& action) {
  CLI::App* verb = data.add_subcommand("inspect", "Say what a preference data set holds");
  const auto flags = std::make_shared<InspectFlags>();
  verb->add_option("PATH", flags->path, "parquet file, or folder of them, in the BeaverTails-V schema")
      ->required();
  verb->add_flag("--json", flags->json, "as JSON");
  verb->callback([&action, flags] { action = [flags] { return Inspect(*flags); }; });
}

}  // namespace

void AddDataCommand(CLI::App& rein, Action& action) {
  CLI::App* data = rein.add_subcommand("data", "Make the built-in data, or look into a data set");
  data->require_subcommand(1);
  AddScenes(*data, action);
  AddInspect(*data, action);
}

}  // namespace rein::cli
