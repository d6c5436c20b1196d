// rein score: one number from a reward or cost model.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command.h"
#include "cli/offline/scoring.h"
#include "training/guard.h"

namespace rein::cli {
namespace {

struct Flags {
  std::string model, prompt, response;
  std::string dtype = "float32";
  std::vector<std::string> images;
};

absl::Status Score(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const ModelFolder scorer, LoadModelFolder(flags.model, flags.dtype));
  Answered answered{.question = flags.prompt, .answer = flags.response};
  REIN_ASSIGN_OR_RETURN(answered.images, ReadPictures(*scorer.processor, flags.images));
  REIN_ASSIGN_OR_RETURN(const std::vector<float> scores, ScoreAnswers(scorer, {answered}));
  printf("%.9g\n", scores[0]);
  return absl::OkStatus();
}

}  // namespace

void AddScoreCommand(CLI::App& rein, Action& action) {
  CLI::App* verb =
      rein.add_subcommand("score", "Print the score of an answer; of a cost model, > 0 means unsafe");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--model", flags->model, "folder of a reward or cost model")->required();
  verb->add_option("--image", flags->images, "a picture: PNG, JPEG or WebP; may be given several times")
      ->allow_extra_args(false);
  verb->add_option("--prompt", flags->prompt, "the question")->required();
  verb->add_option("--response", flags->response, "the answer")->required();
  verb->add_option("--dtype", flags->dtype, "of weights: float32 (default), bfloat16, float16");
  verb->callback(
      [&action, flags] { action = [flags] { return training::Guarded([&] { return Score(*flags); }); }; });
}

}  // namespace rein::cli
