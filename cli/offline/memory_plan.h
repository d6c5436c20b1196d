// What a job, or an offline training, needs of the memory of each device, before any of it is taken.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/vision_language_model.h"
#include "nlohmann/json.hpp"
#include "rein/v1/job.pb.h"
#include "rein/v1/trainer.pb.h"
#include "training/memory.h"

namespace rein::cli {

inline constexpr char kHost[] = "cpu";

// Set aside for what is not counted: code and buffers of LibTorch and gRPC, pictures, fragments. Of a process
// on the host, of the coordinator, and of a process that works on a GPU: there, and on the host.
inline constexpr int64_t kHostReserve = int64_t{192} << 20;
inline constexpr int64_t kCoordinatorReserve = int64_t{96} << 20;
inline constexpr int64_t kDeviceReserve = int64_t{1} << 30;
inline constexpr int64_t kHostReserveOfDevice = int64_t{2} << 30;

// Bytes of one process. Exact: parameters, kv_cache. Estimates: activations. Bounds: sync, reserve.
struct ProcessMemory {
  std::string name;  // "cost/harm/0", "rein-coordinator", "sft"
  std::string role;  // empty where it is no actor
  bool offload = false;
  std::string device = kHost;
  training::ParameterMemory parameters;
  training::ActivationMemory activations;  // of what does not train: both those of a pass
  bool checkpointed = false;
  int64_t kv_cache = 0;
  int64_t sync = 0;  // copies of weights and buckets on their way
  int64_t reserve = 0;
  // The most that it holds at one time, on its device and, where that is another, on the host.
  int64_t needs = 0;
  int64_t needs_of_host = 0;
  // The same while it is put away (`offload`).
  int64_t away = 0;
  int64_t away_on_host = 0;

  int64_t activations_used() const { return checkpointed ? activations.checkpointed : activations.kept; }
};

struct DeviceMemory {
  std::string device;
  // Of all processes together, in the stage of a step in which that is most.
  int64_t needs = 0;
  std::optional<int64_t> there;  // not known: nothing
};

struct MemoryPlan {
  std::vector<ProcessMemory> processes;
  std::vector<DeviceMemory> devices;
  // Changes of settings that together make it fit; empty where it fits, or where none do.
  std::vector<std::string> advice;

  // Nothing where the memory of a device is not known and the others fit.
  std::optional<bool> fits() const;
  // Bytes over what is there, all devices together.
  int64_t excess() const;
};

// Bytes that can still be taken of a device; nothing where that is not known.
using AvailableFn = std::function<std::optional<int64_t>(const std::string& device)>;

// Reads config.json of every model folder once, and no weights. One thread.
class MemoryPlanner {
 public:
  explicit MemoryPlanner(AvailableFn available) : available_(std::move(available)) {}

  // `job` is complete (transport::CompleteJob). Errors: those of models::OutlineModel and of
  // training::MemoryOfTraining; they name the actor.
  absl::StatusOr<MemoryPlan> Plan(const v1::Job& job);
  // rein train sft, reward, cost, guard, dpo.
  absl::StatusOr<MemoryPlan> Plan(const v1::SftJob& job);
  absl::StatusOr<MemoryPlan> Plan(const v1::PreferenceJob& job);
  absl::StatusOr<MemoryPlan> Plan(const v1::GuardJob& job);
  absl::StatusOr<MemoryPlan> Plan(const v1::DpoJob& job);

 private:
  using Model = models::VisionLanguageModel;
  absl::StatusOr<Model*> Outline(const std::string& folder, bool score_head);
  absl::StatusOr<ProcessMemory> Process(const v1::Job& job, const v1::ActorSpec& actor);
  absl::Status FillTrained(const v1::Job& job, const v1::ActorSpec& actor, ProcessMemory& process);
  absl::Status FillRollout(const v1::Job& job, const v1::ActorSpec& actor, ProcessMemory& process);
  absl::Status FillScorer(const v1::Job& job, const v1::ActorSpec& actor, ProcessMemory& process);
  absl::StatusOr<std::vector<ProcessMemory>> Processes(const v1::Job& job);
  static int64_t NeedsOf(const std::string& device, const std::vector<ProcessMemory>& processes);
  MemoryPlan Sum(std::vector<ProcessMemory> processes) const;
  // What tells trainers apart.
  struct TrainerKind {
    std::string name;
    bool score_head = false;
    bool guard_head = false;
    std::string reference;  // folder of a second model; empty: none
  };
  template <typename Trainer>
  absl::StatusOr<MemoryPlan> PlanTrainer(const Trainer& job, const TrainerKind& kind);
  template <typename Trainer>
  absl::StatusOr<MemoryPlan> SumTrainer(const Trainer& job, const TrainerKind& kind);

  const AvailableFn available_;
  std::map<std::string, std::unique_ptr<Model>> outlines_;
};

// `plan` as `rein plan` prints it, and with --json.
std::string ToText(const MemoryPlan& plan);
nlohmann::json ToJson(const MemoryPlan& plan);

// OK where the plan fits. Errors: RESOURCE_EXHAUSTED (device, what it needs, what is there, what to change),
// FAILED_PRECONDITION (the memory of a device is not known).
absl::Status Verdict(const MemoryPlan& plan);

// "1.5 GiB", "512 MiB".
std::string FormatBytes(int64_t bytes);
// From "80GiB", "512 MiB", "1000" (bytes). Errors: INVALID_ARGUMENT.
absl::StatusOr<int64_t> ParseBytes(const std::string& text);

}  // namespace rein::cli
