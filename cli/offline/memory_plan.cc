#include "cli/offline/memory_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/optimizer_options.h"
#include "actors/rollout/engine/engine.h"
#include "base/status.h"
#include "cli/offline/memory_advice.h"
#include "guard/decision.h"
#include "transport/stages.h"

namespace rein::cli {
namespace {

using training::PassEnd;
using training::PassSize;

// Prompts that a rollout prefills at once, at least (actors/rollout/engine/scheduler.h).
constexpr int64_t kPrefillTokens = 8192;
// Of weights, gradients and moments.
constexpr int64_t kFloatBytes = 4;

int64_t LongestSample(const v1::Job& job, const models::ModelShape& shape) {
  return std::min<int64_t>(job.rollout().max_prompt_tokens() + job.rollout().max_response_tokens(),
                           shape.max_positions);
}

// A micro-batch holds no more than a step has, and never less than the longest sample; it may hold little but
// pictures.
PassSize MicroBatch(const v1::Job& job, const models::ModelShape& shape, int64_t micro_batch_tokens) {
  const int64_t longest = LongestSample(job, shape);
  const int64_t samples = int64_t{job.data().prompts_per_step()} * job.data().samples_per_prompt();
  const int64_t tokens = std::min(std::max(micro_batch_tokens, longest), samples * longest);
  return {.tokens = tokens,
          .ends = std::min(tokens, samples * job.rollout().max_response_tokens()),
          .placeholders = tokens};
}

// Elements of the head of a guard (guard/head/guard_head.h), which stands beside its model.
int64_t GuardHeadElements(const models::ModelShape& shape) { return guard::kHeadLogits * (shape.hidden + 1); }

void AddGuardHead(const models::ModelShape& shape, training::ParameterMemory& parameters) {
  parameters.parameters += GuardHeadElements(shape);
  parameters.weights += GuardHeadElements(shape) * kFloatBytes;
}

void AddTrainedGuardHead(const models::ModelShape& shape, training::ParameterMemory& parameters) {
  AddGuardHead(shape, parameters);
  parameters.trained += GuardHeadElements(shape);
  parameters.gradients += GuardHeadElements(shape) * kFloatBytes;
  parameters.optimizer += 2 * GuardHeadElements(shape) * kFloatBytes;
}

at::ScalarType PrecisionOf(const v1::Optimizer& optimizer) {
  return host::ToOptimizerOptions(optimizer).precision;
}

bool OverGroup(const v1::Job& job) { return job.weight_sync().backend() != "grpc"; }

// When copies of the weights are on their way.
enum class Sync { kBetweenSteps, kDuringSteps };

// `host_sync`: the part of `sync` that is on the host wherever the process works.
void AddUp(ProcessMemory& process, int64_t host_sync, Sync when) {
  const bool on_host = process.device == kHost;
  process.reserve = on_host ? kHostReserve : kDeviceReserve;
  const training::ParameterMemory& parameters = process.parameters;
  const int64_t step = parameters.gradients + process.activations_used();
  const int64_t sync = process.sync - (on_host ? 0 : host_sync);
  process.needs = process.reserve + parameters.weights + parameters.optimizer + process.kv_cache +
                  (when == Sync::kDuringSteps ? step + sync : std::max(step, sync));
  process.away = process.reserve;
  if (on_host) return;
  process.needs_of_host = kHostReserveOfDevice + host_sync;
  process.away_on_host = kHostReserveOfDevice + parameters.weights + parameters.optimizer;
}

absl::Status Naming(const absl::Status& status, const std::string& name) {
  return status.ok() ? status : WithContext(status, name);
}

}  // namespace

std::optional<bool> MemoryPlan::fits() const {
  bool known = true;
  for (const DeviceMemory& device : devices) {
    if (!device.there) {
      known = false;
    } else if (device.needs > *device.there) {
      return false;
    }
  }
  return known ? std::optional<bool>(true) : std::nullopt;
}

int64_t MemoryPlan::excess() const {
  int64_t bytes = 0;
  for (const DeviceMemory& device : devices)
    bytes += std::max<int64_t>(0, device.needs - device.there.value_or(device.needs));
  return bytes;
}

absl::StatusOr<models::VisionLanguageModel*> MemoryPlanner::Outline(const std::string& folder,
                                                                    bool score_head) {
  std::unique_ptr<Model>& outline = outlines_[absl::StrCat(folder, score_head ? " with head" : "")];
  if (outline == nullptr) {
    REIN_ASSIGN_OR_RETURN(outline, models::OutlineModel(folder));
    if (score_head) outline->AddScoreHead(1);
  }
  return outline.get();
}

absl::Status MemoryPlanner::FillTrained(const v1::Job& job, const v1::ActorSpec& actor,
                                        ProcessMemory& process) {
  const bool policy = actor.role() == "policy";
  const v1::Optimizer& optimizer = policy ? job.policy_optimizer() : job.critic_optimizer();
  REIN_ASSIGN_OR_RETURN(Model* const model, Outline(actor.model(), !policy));
  REIN_ASSIGN_OR_RETURN(
      const training::TrainingMemory memory,
      training::MemoryOfTraining(*model, {actor.freeze().begin(), actor.freeze().end()},
                                 host::ToLoraOptions(actor.lora(), job.seed()),
                                 MicroBatch(job, model->shape(), optimizer.micro_batch_tokens()),
                                 policy ? PassEnd::kLogits : PassEnd::kScores, PrecisionOf(optimizer)));
  process.parameters = memory.parameters;
  process.activations = memory.activations;
  process.checkpointed = optimizer.checkpoint_activations();
  if (!policy) {
    AddUp(process, 0, Sync::kBetweenSteps);
    return absl::OkStatus();
  }
  // Two buckets for the group. The stream, also for rollouts that were started anew, reads a copy.
  const int64_t copy = training::MemoryOfWeights(*model).weights;
  process.sync = copy + (OverGroup(job) ? 2 * job.weight_sync().bucket_bytes() : 0);
  AddUp(process, copy, Sync::kBetweenSteps);
  return absl::OkStatus();
}

absl::Status MemoryPlanner::FillRollout(const v1::Job& job, const v1::ActorSpec& actor,
                                        ProcessMemory& process) {
  REIN_ASSIGN_OR_RETURN(Model* const model, Outline(actor.model(), false));
  const v1::Sampling& options = job.rollout();
  REIN_ASSIGN_OR_RETURN(
      process.kv_cache,
      rollout::Engine::CacheBytes(*model, {.max_batch = options.max_batch(),
                                           .block_tokens = options.kv_block_tokens(),
                                           .cache_bytes = options.kv_cache_bytes(),
                                           .max_prompt_tokens = options.max_prompt_tokens(),
                                           .max_response_tokens = options.max_response_tokens()}));
  process.parameters = training::MemoryOfWeights(*model);
  const int64_t longest = LongestSample(job, model->shape());
  const int64_t prefill = std::min(std::max(kPrefillTokens, longest), options.max_batch() * longest);
  process.activations.kept = training::MemoryOfPass(
      *model, {.tokens = prefill, .ends = options.max_batch(), .placeholders = prefill}, PassEnd::kLogits,
      at::kFloat);
  process.activations.checkpointed = process.activations.kept;
  // New weights arrive beside those in use, on a GPU where they come over NCCL, and the room for them stays.
  const bool staged_on_host = process.device == kHost || !OverGroup(job);
  process.sync = process.parameters.weights;
  AddUp(process, staged_on_host ? process.sync : 0, Sync::kDuringSteps);
  return absl::OkStatus();
}

absl::Status MemoryPlanner::FillScorer(const v1::Job& job, const v1::ActorSpec& actor,
                                       ProcessMemory& process) {
  const bool reference = actor.role() == "reference", guard = actor.role() == "guard";
  REIN_ASSIGN_OR_RETURN(Model* const model, Outline(actor.model(), !reference && !guard));
  process.parameters = training::MemoryOfWeights(*model);
  if (guard) AddGuardHead(model->shape(), process.parameters);
  process.activations.kept = training::MemoryOfPass(
      *model, MicroBatch(job, model->shape(), job.policy_optimizer().micro_batch_tokens()),
      reference ? PassEnd::kLogits : PassEnd::kScores, at::kFloat);
  process.activations.checkpointed = process.activations.kept;
  AddUp(process, 0, Sync::kBetweenSteps);
  return absl::OkStatus();
}

absl::StatusOr<ProcessMemory> MemoryPlanner::Process(const v1::Job& job, const v1::ActorSpec& actor) {
  ProcessMemory process{.name = absl::StrCat(actor.role(), "/", actor.name()),
                        .role = actor.role(),
                        .offload = actor.offload(),
                        .device = actor.device()};
  absl::Status status;
  if (actor.role() == "policy" || actor.role() == "critic") {
    status = FillTrained(job, actor, process);
  } else if (actor.role() == "rollout") {
    status = FillRollout(job, actor, process);
  } else {
    status = FillScorer(job, actor, process);
  }
  REIN_RETURN_IF_ERROR(Naming(status, process.name));
  return process;
}

absl::StatusOr<std::vector<ProcessMemory>> MemoryPlanner::Processes(const v1::Job& job) {
  std::vector<ProcessMemory> processes;
  for (const v1::ActorSpec& actor : job.actors()) {
    if (!actor.address().empty()) continue;
    REIN_ASSIGN_OR_RETURN(ProcessMemory process, Process(job, actor));
    const std::string name = process.name;
    for (int replica = 0; replica < actor.replicas(); ++replica) {
      process.name = absl::StrCat(name, "/", replica);
      processes.push_back(process);
    }
  }
  processes.push_back(
      {.name = "rein-coordinator", .reserve = kCoordinatorReserve, .needs = kCoordinatorReserve});
  return processes;
}

int64_t MemoryPlanner::NeedsOf(const std::string& device, const std::vector<ProcessMemory>& processes) {
  int64_t most = 0;
  for (const transport::Stage stage : transport::kStages) {
    int64_t bytes = 0;
    for (const ProcessMemory& process : processes) {
      const bool away = process.offload && !transport::WorksIn(stage, process.role);
      if (process.device == device) bytes += away ? process.away : process.needs;
      if (device == kHost) bytes += away ? process.away_on_host : process.needs_of_host;
    }
    most = std::max(most, bytes);
  }
  return most;
}

MemoryPlan MemoryPlanner::Sum(std::vector<ProcessMemory> processes) const {
  std::set<std::string> devices = {kHost};
  for (const ProcessMemory& process : processes) devices.insert(process.device);
  MemoryPlan plan;
  for (const std::string& device : devices) {
    plan.devices.push_back(
        {.device = device, .needs = NeedsOf(device, processes), .there = available_(device)});
  }
  plan.processes = std::move(processes);
  return plan;
}

namespace {

// Takes those of `savings` that save something, until the job fits. `plan` makes a plan of a changed job.
template <typename Job, typename PlanFn>
absl::Status Advise(Job job, const std::vector<Saving<Job>>& savings, const PlanFn& plan_of,
                    MemoryPlan& plan) {
  if (plan.fits().value_or(true)) return absl::OkStatus();
  std::vector<std::string> changes;
  std::string last_key;
  int64_t excess = plan.excess();
  for (const Saving<Job>& saving : savings) {
    Job changed = job;
    if (!saving.apply(changed)) continue;
    REIN_ASSIGN_OR_RETURN(const MemoryPlan better, plan_of(changed));
    if (better.excess() >= excess) continue;
    // A smaller value of the same setting takes the place of the larger one.
    const std::string key = saving.change.substr(0, saving.change.find('='));
    std::erase_if(changes,
                  [&](const std::string& change) { return change.substr(0, change.find('=')) == key; });
    changes.push_back(saving.change);
    job = std::move(changed);
    excess = better.excess();
    if (excess > 0) continue;
    plan.advice = std::move(changes);
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MemoryPlan> MemoryPlanner::Plan(const v1::Job& job) {
  const auto plan_of = [this](const v1::Job& changed) -> absl::StatusOr<MemoryPlan> {
    REIN_ASSIGN_OR_RETURN(std::vector<ProcessMemory> processes, Processes(changed));
    return Sum(std::move(processes));
  };
  REIN_ASSIGN_OR_RETURN(MemoryPlan plan, plan_of(job));
  REIN_RETURN_IF_ERROR(Advise(job, JobSavings(), plan_of, plan));
  return plan;
}

template <typename Trainer>
absl::StatusOr<MemoryPlan> MemoryPlanner::SumTrainer(const Trainer& job, const TrainerKind& kind) {
  REIN_ASSIGN_OR_RETURN(Model* const model, Outline(job.model(), kind.score_head));
  const int64_t tokens = job.optimizer().micro_batch_tokens();
  const PassSize micro_batch{.tokens = tokens, .ends = tokens, .placeholders = tokens};
  const PassEnd end = kind.score_head || kind.guard_head ? PassEnd::kScores : PassEnd::kLogits;
  const at::ScalarType precision = PrecisionOf(job.optimizer());
  REIN_ASSIGN_OR_RETURN(
      training::TrainingMemory memory,
      training::MemoryOfTraining(*model, {job.freeze().begin(), job.freeze().end()},
                                 host::ToLoraOptions(job.lora(), job.seed()), micro_batch, end, precision));
  if (kind.guard_head) AddTrainedGuardHead(model->shape(), memory.parameters);
  ProcessMemory process{.name = kind.name,
                        .parameters = memory.parameters,
                        .activations = memory.activations,
                        .checkpointed = job.optimizer().checkpoint_activations()};
  AddUp(process, 0, Sync::kBetweenSteps);
  if (!kind.reference.empty()) {
    // Before the first step it stands beside the model, whose gradients and moments are not there yet.
    REIN_ASSIGN_OR_RETURN(Model* const beside, Outline(kind.reference, false));
    process.sync = training::MemoryOfWeights(*beside).weights;
    process.needs = std::max(process.needs, process.reserve + memory.parameters.weights + process.sync +
                                                training::MemoryOfPass(*beside, micro_batch, end, precision));
  }
  return Sum({process});
}

template <typename Trainer>
absl::StatusOr<MemoryPlan> MemoryPlanner::PlanTrainer(const Trainer& job, const TrainerKind& kind) {
  const auto plan_of = [&](const Trainer& changed) { return SumTrainer(changed, kind); };
  REIN_ASSIGN_OR_RETURN(MemoryPlan plan, plan_of(job));
  REIN_RETURN_IF_ERROR(Advise(job, TrainerSavings<Trainer>(), plan_of, plan));
  return plan;
}

absl::StatusOr<MemoryPlan> MemoryPlanner::Plan(const v1::SftJob& job) {
  return PlanTrainer(job, {.name = "sft"});
}

absl::StatusOr<MemoryPlan> MemoryPlanner::Plan(const v1::PreferenceJob& job) {
  return PlanTrainer(job, {.name = job.name(), .score_head = true});
}

absl::StatusOr<MemoryPlan> MemoryPlanner::Plan(const v1::GuardJob& job) {
  return PlanTrainer(job, {.name = "guard", .guard_head = true});
}

absl::StatusOr<MemoryPlan> MemoryPlanner::Plan(const v1::DpoJob& job) {
  return PlanTrainer(job,
                     {.name = "dpo", .reference = job.reference().empty() ? job.model() : job.reference()});
}

}  // namespace rein::cli
