// Verbs of `rein` that another program of its folder does: `rein` itself loads neither LibTorch nor Arrow nor
// OpenCV and starts in milliseconds.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rein::cli {

struct HandedOverVerb {
  const char* verb;  // "data", or "eval pairs" where only that part of `eval` is another program's
  const char* program;
  const char* about;  // the line in the help of `rein`
};

inline constexpr HandedOverVerb kEvalPairs = {"eval pairs", "rein-data",
                                              "Compare the answers of two models to the same questions"};
inline constexpr HandedOverVerb kEvalReport = {
    "eval report", "rein-data", "Judge the answers of one model, or of several, by themselves"};
inline constexpr HandedOverVerb kEvalReproduce = {
    "eval reproduce", "rein-data",
    "The paper's comparison on scenes (synthetic): policies, controllers, models, guard"};

// The first one that fits is taken.
inline constexpr HandedOverVerb kHandedOverVerbs[] = {
    {"train", "rein-models", "Train a model offline: sft, reward, cost, guard or dpo"},
    kEvalPairs,
    kEvalReport,
    kEvalReproduce,
    {"eval", "rein-models", "Evaluate models side by side"},
    {"generate", "rein-models", "Answer a prompt, with or without pictures"},
    {"score", "rein-models", "Print the score of an answer; of a cost model, > 0 means unsafe"},
    {"guard", "rein-models", "Moderate with a guard, or run its guardrail over a data set"},
    {"logits", "rein-models", "Write input_ids [T] and logits [T, V] of a prompt to a safetensors file"},
    {"plan", "rein-models", "Say how much memory a job needs, and whether it fits"},
    {"data", "rein-data", "Make the built-in data, or look into a data set"},
};

// Folder of this program; the others of a build or an installation lie beside it. Errors: UNAVAILABLE.
absl::StatusOr<std::filesystem::path> ProgramFolder();

// Becomes the program `folder`/`program` with the arguments from argv[1] on, so that process, streams and
// exit status are that program's. Returns only where it cannot: NOT_FOUND (it is not there), UNAVAILABLE.
absl::Status HandOver(const std::filesystem::path& folder, const std::string& program, int argc,
                      const char* const* argv);

}  // namespace rein::cli
