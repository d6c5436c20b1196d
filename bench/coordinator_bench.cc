// The whole schedule of a job with actors that answer at once: what the coordinator itself costs. Compare
// items_per_second (samples). The CPU column is the job thread's; process_us counts every thread of
// coordinator and fake actors, RPC on both sides included.
#include <benchmark/benchmark.h>
#include <time.h>

#include "absl/strings/str_cat.h"
#include "bench/inputs.h"
#include "coordinator/fakes/run_reader.h"
#include "coordinator/fakes/world.h"

namespace rein::bench {
namespace {

double ProcessSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Ten steps of range(0) samples, four a prompt; ledger, sample log and two commits on this machine's disk.
// Without the start of the actors.
void CoordinatorSchedule(benchmark::State& state) {
  const int64_t samples = state.range(0);
  double process_seconds = 0;
  for (auto _ : state) {
    coordinator::fakes::World world({"steps=10", "data.samples_per_prompt=4", "checkpoint.every=5",
                                     absl::StrCat("data.prompts_per_step=", samples / 4),
                                     absl::StrCat("constraints.0.window=", samples),
                                     "limits.score_batch=16"});
    const auto job = Require(coordinator::Job::Open(world.options()));
    const double before = ProcessSeconds();
    Require(job->Run());
    process_seconds += ProcessSeconds() - before;
    double seconds = 0;
    for (const auto& line : coordinator::fakes::RunReader(world.run_dir()).Lines("metrics.jsonl")) {
      seconds += line["seconds"]["total"].get<double>();
    }
    state.SetIterationTime(seconds);
  }
  const int64_t all = state.iterations() * 10 * samples;
  state.SetItemsProcessed(all);
  state.counters["process_us"] = process_seconds * 1e6 / static_cast<double>(all);
}
BENCHMARK(CoordinatorSchedule)->Arg(64)->Arg(256)->Arg(1024)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rein::bench
