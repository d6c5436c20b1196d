// rein plan: what a job needs of memory, and whether that is there.
#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "base/host_memory.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/offline/memory_plan.h"
#include "rein/v1/trainer.pb.h"
#include "transport/job_file.h"

namespace rein::cli {
namespace {

struct Flags {
  std::string file;
  std::vector<std::string> settings;
  std::string kind = "run";
  std::string device_memory, host_memory;
  bool json = false;
};

// What a GPU of this host has left; nothing where this build or this host has none.
std::optional<int64_t> FreeOnDevice(const std::string& device) {
  int index = 0;
  if (!at::hasCUDA() || !absl::StartsWith(device, "cuda:") || !absl::SimpleAtoi(device.substr(5), &index))
    return std::nullopt;
  try {
    return static_cast<int64_t>(
        at::getDeviceAllocator(at::kCUDA)->getMemoryInfo(static_cast<at::DeviceIndex>(index)).first);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// Nothing where `text` is empty.
absl::StatusOr<std::optional<int64_t>> GivenBytes(const std::string& text) {
  if (text.empty()) return std::optional<int64_t>();
  REIN_ASSIGN_OR_RETURN(const int64_t bytes, ParseBytes(text));
  return std::optional<int64_t>(bytes);
}

absl::StatusOr<AvailableFn> Available(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const std::optional<int64_t> device_memory, GivenBytes(flags.device_memory));
  REIN_ASSIGN_OR_RETURN(std::optional<int64_t> host_memory, GivenBytes(flags.host_memory));
  if (!host_memory) {
    REIN_ASSIGN_OR_RETURN(host_memory, AvailableHostMemory());
  }
  return AvailableFn([device_memory, host_memory](const std::string& device) {
    if (device == kHost) return host_memory;
    return device_memory ? device_memory : FreeOnDevice(device);
  });
}

template <typename Trainer>
absl::StatusOr<MemoryPlan> PlanTrainer(const Flags& flags, MemoryPlanner& planner) {
  Trainer job;
  REIN_RETURN_IF_ERROR(transport::ReadYaml(flags.file, flags.settings, &job));
  return planner.Plan(job);
}

absl::StatusOr<MemoryPlan> PlanFile(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(AvailableFn available, Available(flags));
  MemoryPlanner planner(std::move(available));
  if (flags.kind == "sft") return PlanTrainer<v1::SftJob>(flags, planner);
  if (flags.kind == "guard") return PlanTrainer<v1::GuardJob>(flags, planner);
  if (flags.kind == "dpo") return PlanTrainer<v1::DpoJob>(flags, planner);
  if (flags.kind != "run") return PlanTrainer<v1::PreferenceJob>(flags, planner);
  REIN_ASSIGN_OR_RETURN(const v1::Job job, transport::ReadJob(flags.file, flags.settings));
  return planner.Plan(job);
}

absl::Status PrintPlan(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const MemoryPlan plan, PlanFile(flags));
  const std::string text = flags.json ? ToJson(plan).dump(2) + "\n" : ToText(plan);
  printf("%s", text.c_str());
  return Verdict(plan);
}

}  // namespace

void AddPlanCommand(CLI::App& rein, Action& action) {
  CLI::App* verb = rein.add_subcommand("plan", "Say how much memory a job needs, and whether it fits");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("FILE", flags->file, "job file, or with --kind a trainer file (YAML)")->required();
  verb->add_option("--set", flags->settings, "KEY=VALUE, overrides a field; may be given several times")
      ->allow_extra_args(false);
  verb->add_option("--kind", flags->kind,
                   "what FILE is for: run, or the trainer sft, reward, cost, guard or dpo")
      ->check(CLI::IsMember({"run", "sft", "reward", "cost", "guard", "dpo"}))
      ->capture_default_str();
  verb->add_option("--device-memory", flags->device_memory,
                   "memory of each GPU, e.g. 80GiB; default: what its driver says is free");
  verb->add_option("--host-memory", flags->host_memory,
                   "memory of this host; default: what the kernel and the cgroup's limit leave");
  verb->add_flag("--json", flags->json, "print one JSON object");
  verb->footer(
      "Reads config.json of the model folders, no weights. Parameters are counted exactly, activations are "
      "estimates. Exit status 0: it fits; 1: it does not, or cannot be told.");
  verb->callback([&action, flags] { action = [flags] { return PrintPlan(*flags); }; });
}

}  // namespace rein::cli
