#include "actors/rollout/generate_calls.h"

#include <set>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "actors/rollout/engine/request_check.h"
#include "base/log_line.h"
#include "base/status.h"

namespace rein::rollout {
namespace {

// Prompts decoded and admitted between two steps: running sequences do not wait for all pictures of a call.
constexpr size_t kAdmittedAtOnce = 8;

SamplingParams ToParams(const v1::SamplingOptions& options) {
  return {.temperature = options.temperature(),
          .max_response_tokens = options.max_response_tokens(),
          .top_p = options.top_p() == 0 ? 1 : options.top_p(),  // left out: off
          .top_k = options.top_k(),
          .seed = options.seed()};
}

int64_t SamplesOf(const v1::GenerateRequest& request) {
  int64_t samples = 0;
  for (const v1::PromptSpec& prompt : request.prompts()) samples += prompt.samples_size();
  return samples;
}

absl::Status CheckSize(const v1::GenerateRequest& request) {
  if (request.prompts_size() > kMaxPrompts) {
    return absl::ResourceExhaustedError(absl::StrCat("the call has ", request.prompts_size(),
                                                     " prompts, at most ", kMaxPrompts,
                                                     " are taken at once; split it"));
  }
  if (const int64_t samples = SamplesOf(request); samples > kMaxSamples) {
    return absl::ResourceExhaustedError(absl::StrCat("the call wants ", samples, " samples, at most ",
                                                     kMaxSamples, " are taken at once; split it"));
  }
  return absl::OkStatus();
}

absl::Status CheckPrompts(const v1::GenerateRequest& request) {
  std::set<std::string> ids;
  for (const v1::PromptSpec& prompt : request.prompts()) {
    const std::string& id = prompt.prompt().prompt_id();
    if (id.empty()) return absl::InvalidArgumentError("a prompt has no prompt_id");
    if (!ids.insert(id).second) {
      return absl::InvalidArgumentError(absl::StrCat("prompt '", id, "' stands twice in the call"));
    }
    if (absl::Status status = CheckSamples(prompt.samples()); !status.ok()) {
      return WithContext(status, absl::StrCat("prompt '", id, "'"));
    }
  }
  return absl::OkStatus();
}

CallPtr MakeCall(const v1::GenerateRequest& request) {
  return std::make_shared<const Call>(Call{
      .step = {.epoch = request.fence().coordinator_epoch(), .step = request.fence().step()},
      .mode =
          absl::StrCat(request.sampling().SerializeAsString(), "/", request.weights().SerializeAsString()),
      .params = ToParams(request.sampling()),
      .stream = std::make_shared<GenerateStream>(SamplesOf(request))});
}

std::string Text(const v1::WeightVersion& version) {
  return absl::StrCat(version.coordinator_epoch(), ".", version.number());
}

}  // namespace

GenerateCalls::~GenerateCalls() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  const auto ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !pumping_; };
  mutex_.Await(absl::Condition(&ended));
}

void GenerateCalls::Configure(std::unique_ptr<Generation> generation, const v1::Job& job) {
  generation_ = std::move(generation);
  max_response_tokens_ = job.rollout().max_response_tokens();
  deterministic_ = job.deterministic();
}

absl::Status GenerateCalls::Run(const v1::GenerateRequest& request, const GenerateStream::WriteFn& write,
                                const std::function<bool()>& gone) {
  CountCalls(+1);
  const absl::Cleanup leave = [this] { CountCalls(-1); };
  REIN_RETURN_IF_ERROR(host_->Admit(request.fence()));
  REIN_RETURN_IF_ERROR(CheckSize(request));
  REIN_RETURN_IF_ERROR(CheckPrompts(request));
  REIN_RETURN_IF_ERROR(CheckParams(ToParams(request.sampling()), max_response_tokens_));
  const CallPtr call = MakeCall(request);
  const absl::Cleanup close = [&call] { call->stream->Close(); };
  REIN_RETURN_IF_ERROR(host_->Run("Generate", [&] { return Open(request, *call); }));
  const GenerateStream::ProgressFn progress = ProgressSinceNow();
  REIN_RETURN_IF_ERROR(HandIn(request, call, write));
  return call->stream->WriteAll(write, progress, gone);
}

GenerateStream::ProgressFn GenerateCalls::ProgressSinceNow() const {
  return [this, tokens_before = counters().generated_tokens,
          seen = host_->executor().last_progress()]() mutable -> std::optional<v1::GenerateProgress> {
    const absl::Time last_progress = host_->executor().last_progress();
    if (last_progress == seen) return std::nullopt;
    seen = last_progress;
    const EngineCounters now = counters();
    v1::GenerateProgress progress;
    progress.set_tokens(now.generated_tokens - tokens_before);
    progress.set_running(static_cast<int32_t>(now.running));
    progress.set_waiting(static_cast<int32_t>(now.waiting));
    return progress;
  };
}

absl::Status GenerateCalls::Open(const v1::GenerateRequest& request, const Call& call) {
  if (request.has_weights() && !Equal(request.weights(), weights_->active())) {
    return absl::FailedPreconditionError(
        absl::StrCat("wanted are weights of version ", Text(request.weights()), ", active are those of ",
                     Text(weights_->active()), "; activate the wanted ones first"));
  }
  return generation_->Open(call);
}

absl::Status GenerateCalls::HandIn(const v1::GenerateRequest& request, const CallPtr& call,
                                   const GenerateStream::WriteFn& write) {
  std::vector<Wanted> prompts;
  for (const v1::PromptSpec& prompt : request.prompts()) {
    host_->images().Prefetch(prompt.prompt().images());
    prompts.emplace_back(call, prompt);
    if (deterministic_) continue;
    REIN_RETURN_IF_ERROR(Submit(std::move(prompts)));
    prompts.clear();
    REIN_RETURN_IF_ERROR(call->stream->WriteReady(write));
  }
  return Submit(std::move(prompts));
}

absl::Status GenerateCalls::Submit(std::vector<Wanted> prompts) {
  {
    absl::MutexLock lock(&mutex_);
    for (Wanted& prompt : prompts) inbox_.push_back(std::move(prompt));
    if (inbox_.empty() || pumping_) return absl::OkStatus();
    pumping_ = true;
  }
  absl::Status posted = PostPump();
  if (!posted.ok()) {
    absl::MutexLock lock(&mutex_);
    pumping_ = false;
  }
  return posted;
}

absl::Status GenerateCalls::PostPump() {
  return host_->Post("Generate", [this] { return Pump(); });
}

absl::Status GenerateCalls::Pump() {
  while (true) {
    const absl::Status status = host::Guarded([this] { return Advance(); });
    if (!status.ok()) generation_->Fail(status);
    if (!GoOn()) return status;
    const absl::Status posted = PostPump();
    if (posted.ok()) return status;
    // Where the queue is full decoding goes on here: only shutting down ends it.
    if (!absl::IsResourceExhausted(posted)) {
      absl::MutexLock lock(&mutex_);
      pumping_ = false;
      return posted;
    }
  }
}

bool GenerateCalls::GoOn() {
  absl::MutexLock lock(&mutex_);
  counters_ = generation_->counters();
  pumping_ = !stopping_ && (!inbox_.empty() || !generation_->idle());
  return pumping_;
}

absl::Status GenerateCalls::Advance() {
  bool more = false;
  for (const auto& [call, prompt] : TakePrompts(&more)) generation_->Admit(*call, prompt);
  const EngineCounters now = generation_->counters();
  host_->executor().SetActivity(
      absl::StrCat("Generate: ", now.running, " running, ", now.waiting, " waiting"));
  if (deterministic_ && more) return absl::OkStatus();
  return generation_->Step();
}

std::vector<GenerateCalls::Wanted> GenerateCalls::TakePrompts(bool* more) {
  absl::MutexLock lock(&mutex_);
  std::vector<Wanted> prompts;
  while (!inbox_.empty() && prompts.size() < kAdmittedAtOnce) {
    prompts.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
  *more = !inbox_.empty();
  return prompts;
}

EngineCounters GenerateCalls::counters() const {
  absl::MutexLock lock(&mutex_);
  return counters_;
}

void GenerateCalls::CountCalls(int change) {
  absl::MutexLock lock(&mutex_);
  calls_ += change;
}

absl::StatusOr<host::Releasable> GenerateCalls::Release() {
  {
    absl::MutexLock lock(&mutex_);
    if (pumping_ || !inbox_.empty()) {
      return absl::UnavailableError("samples are unfinished; release this actor when they are answered");
    }
  }
  return generation_->Held();
}

absl::Status GenerateCalls::Drain(absl::Time deadline) {
  REIN_RETURN_IF_ERROR(AwaitNoCalls(deadline));
  return host_->RunWithoutTensors("Drain", [this] {
    if (generation_ != nullptr) generation_->Fail(absl::CancelledError("this actor is draining"));
    return absl::OkStatus();
  });
}

absl::Status GenerateCalls::AwaitNoCalls(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_ == 0; };
  if (mutex_.AwaitWithDeadline(absl::Condition(&none), deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat(calls_, " Generate calls still run"));
}

}  // namespace rein::rollout
