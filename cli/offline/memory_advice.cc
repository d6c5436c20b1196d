#include "cli/offline/memory_advice.h"

#include "absl/strings/str_cat.h"
#include "rein/v1/trainer.pb.h"

namespace rein::cli {
namespace {

constexpr int kMicroBatches[] = {2048, 1024, 512, 256};
constexpr int kBatches[] = {32, 16, 8, 4};
constexpr int kAdapterRank = 16;

bool Checkpoint(v1::Optimizer& optimizer) {
  if (optimizer.checkpoint_activations()) return false;
  optimizer.set_checkpoint_activations(true);
  return true;
}

bool LimitTokens(v1::Optimizer& optimizer, int tokens) {
  if (optimizer.micro_batch_tokens() <= tokens) return false;
  optimizer.set_micro_batch_tokens(tokens);
  return true;
}

bool Adapt(v1::Lora& lora) {
  if (lora.rank() > 0) return false;
  lora.set_rank(kAdapterRank);
  return true;
}

bool AdaptAll(v1::Job& job, const char* role) {
  bool changed = false;
  for (v1::ActorSpec& actor : *job.mutable_actors()) {
    if (actor.role() == role && Adapt(*actor.mutable_lora())) changed = true;
  }
  return changed;
}

bool OffloadAll(v1::Job& job) {
  bool changed = false;
  for (v1::ActorSpec& actor : *job.mutable_actors()) {
    if (actor.offload() || !actor.address().empty()) continue;
    actor.set_offload(true);
    changed = true;
  }
  return changed;
}

bool LimitBatch(v1::Sampling& rollout, int batch) {
  if (rollout.kv_cache_bytes() > 0 || rollout.max_batch() <= batch) return false;
  rollout.set_max_batch(batch);
  return true;
}

std::string AdapterText(const std::string& of) {
  return absl::StrCat("lora: {rank: ", kAdapterRank, "}", of);
}

}  // namespace

std::vector<Saving<v1::Job>> JobSavings() {
  using Job = v1::Job;
  std::vector<Saving<Job>> savings = {{"policy_optimizer.checkpoint_activations=true",
                                       [](Job& job) { return Checkpoint(*job.mutable_policy_optimizer()); }},
                                      {"critic_optimizer.checkpoint_activations=true",
                                       [](Job& job) { return Checkpoint(*job.mutable_critic_optimizer()); }}};
  for (const int tokens : kMicroBatches) {
    savings.push_back({absl::StrCat("policy_optimizer.micro_batch_tokens=", tokens),
                       [tokens](Job& job) { return LimitTokens(*job.mutable_policy_optimizer(), tokens); }});
    savings.push_back({absl::StrCat("critic_optimizer.micro_batch_tokens=", tokens),
                       [tokens](Job& job) { return LimitTokens(*job.mutable_critic_optimizer(), tokens); }});
  }
  for (const int batch : kBatches) {
    savings.push_back({absl::StrCat("rollout.max_batch=", batch),
                       [batch](Job& job) { return LimitBatch(*job.mutable_rollout(), batch); }});
  }
  savings.push_back({"offload: true of every actor", OffloadAll});
  savings.push_back({AdapterText(" of every critic"), [](Job& job) { return AdaptAll(job, "critic"); }});
  savings.push_back({AdapterText(" of the policy"), [](Job& job) { return AdaptAll(job, "policy"); }});
  return savings;
}

template <typename Trainer>
std::vector<Saving<Trainer>> TrainerSavings() {
  std::vector<Saving<Trainer>> savings = {{"optimizer.checkpoint_activations=true", [](Trainer& job) {
                                             return Checkpoint(*job.mutable_optimizer());
                                           }}};
  for (const int tokens : kMicroBatches) {
    savings.push_back({absl::StrCat("optimizer.micro_batch_tokens=", tokens),
                       [tokens](Trainer& job) { return LimitTokens(*job.mutable_optimizer(), tokens); }});
  }
  savings.push_back({AdapterText(""), [](Trainer& job) { return Adapt(*job.mutable_lora()); }});
  return savings;
}

template std::vector<Saving<v1::SftJob>> TrainerSavings();
template std::vector<Saving<v1::PreferenceJob>> TrainerSavings();
template std::vector<Saving<v1::GuardJob>> TrainerSavings();
template std::vector<Saving<v1::DpoJob>> TrainerSavings();

}  // namespace rein::cli
