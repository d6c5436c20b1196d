// rein-bench: all micro-benchmarks (docs/benchmarks.md).
// usage: rein-bench [--threads=N] [--model=FOLDER] [--write_model=FOLDER] [--benchmark_filter=REGEX ...]
//   --threads=N           threads of tensor operations; default 1, so that machines can be compared
//   --model=FOLDER        what whole models and pictures are measured on
//   --write_model=FOLDER  only writes the scenes model with random weights, for the peers

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bench/inputs.h"
#include "bench/model_folder.h"

int main(int argc, char** argv) {
  int threads = 1;
  std::vector<char*> left = {argv[0]};
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--write_model=")) {
      rein::bench::WriteScenesModel(std::string(argument));
      return 0;
    }
    if (absl::ConsumePrefix(&argument, "--model=")) {
      rein::bench::SetModelFolder(std::string(argument));
    } else if (absl::ConsumePrefix(&argument, "--threads=")) {
      if (!absl::SimpleAtoi(argument, &threads) || threads < 1)
        rein::bench::Require(absl::InvalidArgumentError(
            absl::StrCat("--threads must be a number from 1 on, got '", argument, "'")));
    } else {
      left.push_back(argv[i]);
    }
  }
  at::set_num_threads(threads);
  int count = static_cast<int>(left.size());
  benchmark::Initialize(&count, left.data());
  if (benchmark::ReportUnrecognizedArguments(count, left.data())) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
