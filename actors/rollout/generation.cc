#include "actors/rollout/generation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/samples.h"
#include "base/status.h"

namespace rein::rollout {
namespace {

v1::WeightVersion ToProto(const Version& version) {
  v1::WeightVersion proto;
  proto.set_coordinator_epoch(version.epoch);
  proto.set_number(version.number);
  return proto;
}

v1::PromptRefusal ToRefusal(const std::string& prompt_id, const absl::Status& status) {
  v1::PromptRefusal refusal;
  refusal.set_prompt_id(prompt_id);
  refusal.set_code(static_cast<int>(status.code()));
  refusal.set_message(std::string(status.message()));
  return refusal;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Generation>> Generation::Create(host::Host* host,
                                                               const host::LoadedModel* loaded,
                                                               const v1::Sampling& options) {
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine,
                        Engine::Create(loaded->model.get(), loaded->processor.get(),
                                       {.max_batch = options.max_batch(),
                                        .block_tokens = options.kv_block_tokens(),
                                        .cache_bytes = options.kv_cache_bytes(),
                                        .max_prompt_tokens = options.max_prompt_tokens(),
                                        .max_response_tokens = options.max_response_tokens()}));
  return std::unique_ptr<Generation>(new Generation(host, loaded, std::move(engine)));
}

absl::Status Generation::Open(const Call& call) {
  if (!steps_.empty() && steps_.rbegin()->first.epoch > call.step.epoch) {
    return absl::AbortedError(absl::StrCat("a call of coordinator epoch ", call.step.epoch,
                                           " came after epoch ", steps_.rbegin()->first.epoch,
                                           " had taken over"));
  }
  steps_[call.step].Join(call.stream);
  DropOldSteps();
  return absl::OkStatus();
}

void Generation::DropOldSteps() {
  const StepKey newest = steps_.rbegin()->first;
  for (auto it = steps_.begin(); it->first != newest;) {
    auto& [step, memory] = *it;
    if (step.epoch < newest.epoch) {
      memory.Fail(absl::AbortedError(absl::StrCat("coordinator epoch ", newest.epoch, " has taken over")));
    }
    if (memory.HasListeners()) {
      ++it;
    } else {
      Cancel(step);
      it = steps_.erase(it);
    }
  }
}

void Generation::Cancel(const StepKey& step) {
  std::erase_if(admitted_, [&](const auto& entry) {
    if (entry.second.step != step) return false;
    engine_->Cancel(entry.first);
    return true;
  });
}

void Generation::Admit(const Call& call, const v1::PromptSpec& wanted) {
  const std::string& prompt_id = wanted.prompt().prompt_id();
  // Nothing of an older step is started for a caller that is gone.
  const auto step = steps_.find(call.step);
  if (!call.stream->open() || step == steps_.end()) return;
  const std::vector<int32_t> missing = step->second.Ask(call.mode, wanted, call.stream);
  if (missing.empty()) return;
  const absl::Status started = host::Guarded([&] { return Start(call, wanted.prompt(), missing); });
  if (started.ok()) {
    step->second.Start(call.mode, prompt_id, missing, call.stream);
  } else {
    host_->counters().Add("refusals", 1);
    call.stream->Refuse(ToRefusal(prompt_id, started), static_cast<int64_t>(missing.size()));
  }
}

absl::Status Generation::Start(const Call& call, const v1::Prompt& prompt,
                               const std::vector<int32_t>& samples) {
  REIN_ASSIGN_OR_RETURN(GenerationRequest request, Encode(prompt));
  request.samples = samples;
  request.params = call.params;
  request.tag = ++last_tag_;
  Admitted admitted{.step = call.step,
                    .mode = call.mode,
                    .prompt = prompt,
                    .tokens = request.prompt_tokens,
                    .unfinished = samples.size()};
  REIN_RETURN_IF_ERROR(engine_->Add(std::move(request)));
  admitted_[last_tag_] = std::move(admitted);
  return absl::OkStatus();
}

absl::StatusOr<GenerationRequest> Generation::Encode(const v1::Prompt& prompt) {
  GenerationRequest request;
  request.prompt_id = prompt.prompt_id();
  REIN_ASSIGN_OR_RETURN(const std::vector<host::Picture> pictures,
                        host::Pictures(prompt.images(), host_->images()));
  for (const host::Picture& picture : pictures) request.images.push_back(*picture);
  REIN_ASSIGN_OR_RETURN(request.prompt_tokens,
                        loaded_->processor->EncodePrompt(prompt.question(), request.images));
  return request;
}

absl::Status Generation::Step() {
  if (idle()) return absl::OkStatus();
  DropOldSteps();
  const absl::Status status = engine_->Step([this](const GeneratedSample& generated) { Finish(generated); });
  const EngineCounters counters = engine_->counters();
  host_->counters().Set("tokens", static_cast<double>(counters.generated_tokens));
  host_->counters().Set("prefilled_tokens", static_cast<double>(counters.prefilled_tokens));
  host_->counters().Set("running", static_cast<double>(counters.running));
  host_->counters().Set("waiting", static_cast<double>(counters.waiting));
  host_->counters().Set("preempted", static_cast<double>(counters.preempted));
  host_->counters().Set("kv_blocks", static_cast<double>(counters.total_blocks));
  host_->counters().Set("kv_blocks_free", static_cast<double>(counters.free_blocks));
  return status;
}

void Generation::Finish(const GeneratedSample& generated) {
  const auto found = admitted_.find(generated.tag);
  Admitted& admitted = found->second;
  host_->counters().Add("samples", 1);
  steps_[admitted.step].Finish(admitted.mode,
                               std::make_shared<const v1::Sample>(ToSample(admitted, generated)));
  if (--admitted.unfinished == 0) admitted_.erase(found);
}

v1::Sample Generation::ToSample(const Admitted& admitted, const GeneratedSample& generated) const {
  v1::Sample sample;
  sample.set_sample_id(SampleId(generated.prompt_id, generated.sample));
  sample.set_prompt_id(generated.prompt_id);
  *sample.mutable_images() = admitted.prompt.images();
  sample.mutable_prompt_tokens()->Assign(admitted.tokens.begin(), admitted.tokens.end());
  sample.mutable_response_tokens()->Assign(generated.tokens.begin(), generated.tokens.end());
  sample.mutable_behaviour_logprobs()->Assign(generated.logprobs.begin(), generated.logprobs.end());
  sample.set_finish_reason(generated.stopped ? v1::FINISH_REASON_STOP : v1::FINISH_REASON_LENGTH);
  *sample.mutable_first_version() = ToProto(generated.first_version);
  *sample.mutable_last_version() = ToProto(generated.last_version);
  sample.set_question(admitted.prompt.question());
  sample.set_answer(loaded_->processor->Decode(generated.tokens));
  return sample;
}

void Generation::Fail(const absl::Status& status) {
  engine_->Clear();
  admitted_.clear();
  for (auto& [step, memory] : steps_) memory.Fail(status);
}

host::Releasable Generation::Held() {
  host::Releasable held = host::Held(*loaded_->model);
  held.constant = false;
  held.scratch = engine_->ForgetCache();
  return held;
}

void Generation::WeightsChanged(const v1::WeightVersion& version) {
  engine_->WeightsChanged({.epoch = version.coordinator_epoch(), .number = version.number()});
}

}  // namespace rein::rollout
