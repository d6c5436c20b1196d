#include "data/scenes.h"

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "cli/data/verbs.h"
#include "data/base_model.h"

namespace rein::cli {
namespace {

struct ScenesFlags {
  std::string out;
  data::ScenesOptions options;
};

absl::Status Scenes(const ScenesFlags& flags) {
  REIN_RETURN_IF_ERROR(data::MakeScenes(flags.options, flags.out));
  printf("%s: scenes (synthetic), %d training and %d evaluation rows\n", flags.out.c_str(),
         flags.options.train_rows, flags.options.evaluation_rows);
  return absl::OkStatus();
}

}  // namespace

void AddScenesVerb(CLI::App& data, Action& action) {
  CLI::App* verb = data.add_subcommand(
      "scenes", "Make the synthetic data: pictures of shapes, questions, answers with ground truth");
  const auto flags = std::make_shared<ScenesFlags>();
  verb->add_option("--out", flags->out, "folder to write; must not exist or be empty")->required();
  verb->add_option("--family", flags->options.family,
                   absl::StrCat("of the base model: ", absl::StrJoin(data::BaseModelFamilies(), ", "),
                                "; default ", flags->options.family));
  verb->add_option("--seed", flags->options.seed, "default 1");
  verb->add_option("--picture-size", flags->options.picture_size, "pixels, square; default 32");
  verb->add_option("--harmful-share", flags->options.harmful_share, "of the questions; default 0.4");
  verb->add_option("--train-rows", flags->options.train_rows, "default 6000");
  verb->add_option("--evaluation-rows", flags->options.evaluation_rows, "default 500");
  verb->callback([&action, flags] { action = [flags] { return Scenes(*flags); }; });
}

}  // namespace rein::cli
