// rein-bench: all micro-benchmarks (docs/benchmarks.md).
// usage: rein-bench [--threads=N] [--model=FOLDER] [--benchmark_filter=REGEX ...]
//        rein-bench --write_model=FOLDER | [--llava=7b|small] --write_llava=FOLDER
//   --threads=N           threads of tensor operations; default 1, so that machines can be compared
//   --model=FOLDER        what whole models, pictures and loading are measured on
//   --write_model=FOLDER  only writes the scenes model with random weights, for the peers
//   --write_llava=FOLDER  only writes a model of the LLaVA-1.5 layout with random weights in bfloat16: small
//                         (default, 0.8 GB) or 7b (14.1 GB, with all threads of the machine)

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/heap.h"
#include "bench/inputs.h"
#include "bench/llava_folder.h"
#include "bench/model_folder.h"

namespace {

struct Flags {
  int threads = 1;
  std::string llava = "small";
};

// Takes an argument of our own. Writing a folder is all that the process does then.
bool Take(absl::string_view argument, Flags& flags) {
  if (absl::ConsumePrefix(&argument, "--write_model=")) {
    rein::bench::WriteScenesModel(std::string(argument));
    std::exit(0);
  }
  if (absl::ConsumePrefix(&argument, "--write_llava=")) {
    rein::bench::WriteLlava(flags.llava, std::string(argument));
    std::exit(0);
  }
  if (absl::ConsumePrefix(&argument, "--llava=")) {
    flags.llava = std::string(argument);
    return true;
  }
  if (absl::ConsumePrefix(&argument, "--model=")) {
    rein::bench::SetModelFolder(std::string(argument));
    return true;
  }
  if (!absl::ConsumePrefix(&argument, "--threads=")) return false;
  if (!absl::SimpleAtoi(argument, &flags.threads) || flags.threads < 1) {
    rein::bench::Require(absl::InvalidArgumentError(
        absl::StrCat("--threads must be a number from 1 on, got '", argument, "'")));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  rein::UseHugePages();  // as rein-actor and rein-models
  Flags flags;
  std::vector<char*> left = {argv[0]};
  for (int i = 1; i < argc; ++i) {
    if (!Take(argv[i], flags)) left.push_back(argv[i]);
  }
  at::set_num_threads(flags.threads);
  int count = static_cast<int>(left.size());
  benchmark::Initialize(&count, left.data());
  if (benchmark::ReportUnrecognizedArguments(count, left.data())) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
