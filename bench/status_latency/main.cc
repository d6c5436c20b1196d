// rein-status-latency: what watching a running job costs. Calls Coordinator.GetStatus many times while the
// job trains, and reads the processes' CPU time and memory from /proc meanwhile (docs/benchmarks.md).
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "transport/peer.h"
#include "transport/token.h"

namespace rein::bench {
namespace {

namespace fs = std::filesystem;

struct Usage {
  std::string program;
  double cpu_seconds = 0;
  int64_t pss_bytes = 0;
};

// Files of /proc tell size 0: read as streams.
std::string Text(const fs::path& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// User and system time: fields 14 and 15, counted after the name, which may hold anything.
double CpuSeconds(const fs::path& process) {
  const std::string stat = Text(process / "stat");
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(stat.rfind(')') + 2), ' ');
  double user = 0, system = 0;
  if (fields.size() < 13 || !absl::SimpleAtod(fields[11], &user) || !absl::SimpleAtod(fields[12], &system)) {
    return 0;
  }
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Proportional set size: pages that processes share count once in the sum.
int64_t PssBytes(const fs::path& process) {
  std::istringstream rollup(Text(process / "smaps_rollup"));
  for (std::string word; rollup >> word;) {
    int64_t kilobytes = 0;
    if (word == "Pss:" && rollup >> kilobytes) return kilobytes << 10;
  }
  return 0;
}

// All processes with the run folder among their arguments, by process id.
std::map<int, Usage> Measure(const fs::path& run_dir) {
  std::map<int, Usage> usage;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid) || pid == getpid()) continue;
    const std::vector<std::string> words = absl::StrSplit(Text(entry.path() / "cmdline"), '\0');
    const std::string program = fs::path(words[0]).filename();
    if (!absl::StartsWith(program, "rein")) continue;
    if (std::find(words.begin(), words.end(), run_dir.string()) == words.end()) continue;
    usage[pid] = {program, CpuSeconds(entry.path()), PssBytes(entry.path())};
  }
  return usage;
}

struct Totals {
  double coordinator_cpu = 0, cpu = 0;
  int64_t coordinator_pss = 0, pss = 0;
};

Totals Between(const std::map<int, Usage>& before, const std::map<int, Usage>& after) {
  Totals totals;
  for (const auto& [pid, usage] : after) {
    const auto old = before.find(pid);
    const double cpu = usage.cpu_seconds - (old == before.end() ? 0 : old->second.cpu_seconds);
    totals.cpu += cpu;
    totals.pss += usage.pss_bytes;
    if (usage.program != "rein-coordinator") continue;
    totals.coordinator_cpu += cpu;
    totals.coordinator_pss += usage.pss_bytes;
  }
  return totals;
}

double Megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

absl::Status Run(const std::string& folder, int calls, absl::Duration interval) {
  const fs::path run_dir = fs::absolute(folder).lexically_normal();
  REIN_ASSIGN_OR_RETURN(const std::string address, ReadFile(run_dir / "coordinator.address", 4096));
  REIN_ASSIGN_OR_RETURN(const std::string token, transport::ReadToken(run_dir / "token"));
  REIN_ASSIGN_OR_RETURN(
      const transport::Peer peer,
      transport::Peer::Open(std::string(absl::StripAsciiWhitespace(address)), {.token = token}));
  const auto stub = v1::Coordinator::NewStub(peer.channel());
  const auto status = [&] {
    return transport::Call<v1::Coordinator::Stub, v1::JobStatusRequest, v1::JobStatus>(
        peer, *stub, &v1::Coordinator::Stub::GetStatus, {}, absl::Seconds(10));
  };
  REIN_ASSIGN_OR_RETURN(const v1::JobStatus first, status());
  const std::map<int, Usage> before = Measure(run_dir);
  const absl::Time start = absl::Now();
  std::vector<absl::Duration> latencies;
  v1::JobStatus last;
  for (int i = 0; i < calls; ++i) {
    const absl::Time sent = absl::Now();
    REIN_ASSIGN_OR_RETURN(last, status());
    latencies.push_back(absl::Now() - sent);
    absl::SleepFor(interval - latencies.back());
  }
  const double wall = absl::ToDoubleSeconds(absl::Now() - start);
  const Totals totals = Between(before, Measure(run_dir));
  std::sort(latencies.begin(), latencies.end());
  const auto quantile = [&](double q) {
    return absl::ToDoubleMilliseconds(latencies[static_cast<size_t>(q * static_cast<double>(calls - 1))]);
  };
  printf("| figure | value |\n|---|---|\n");
  printf("| GetStatus p50 / p99 / max | %.2f / %.2f / %.2f ms |\n", quantile(0.5), quantile(0.99),
         quantile(1));
  printf("| calls, wall time, steps meanwhile | %d, %.1f s, %ld to %ld |\n", calls, wall,
         static_cast<long>(first.step()), static_cast<long>(last.step()));
  printf("| coordinator CPU | %.1f %% of one CPU, %.1f %% of all processes of the job |\n",
         100 * totals.coordinator_cpu / wall, 100 * totals.coordinator_cpu / std::max(totals.cpu, 1e-9));
  printf("| memory (PSS), all processes / coordinator | %.0f MB / %.0f MB |\n", Megabytes(totals.pss),
         Megabytes(totals.coordinator_pss));
  return absl::OkStatus();
}

}  // namespace
}  // namespace rein::bench

int main(int argc, char** argv) {
  CLI::App app("Measures status calls to a running job, and what its processes use.", "rein-status-latency");
  std::string run_dir;
  int calls = 2000;
  int interval_ms = 20;
  app.add_option("--run-dir", run_dir, "run folder of a job that is training")->required();
  app.add_option("--calls", calls, "calls")->check(CLI::Range(1, 10000000))->capture_default_str();
  app.add_option("--interval-ms", interval_ms, "from one call to the next")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = rein::bench::Run(run_dir, calls, absl::Milliseconds(interval_ms));
  if (!status.ok()) fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
