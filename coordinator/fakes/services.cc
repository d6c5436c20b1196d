#include "coordinator/fakes/services.h"

#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"
#include "coordinator/fakes/trainable_services.h"
#include "rein/v1/actor.grpc.pb.h"
#include "rein/v1/guard.grpc.pb.h"
#include "rein/v1/rollout.grpc.pb.h"
#include "rein/v1/scorer.grpc.pb.h"
#include "transport/status.h"

namespace rein::coordinator::fakes {
namespace {

using transport::ToGrpc;

constexpr int kResponseTokens = 3;

class ActorService : public v1::Actor::Service {
 public:
  explicit ActorService(Life* life) : life_(life) {}
  grpc::Status Configure(grpc::ServerContext* context, const v1::ConfigureRequest* request,
                         v1::ConfigureResponse* response) override {
    response->mutable_model()->set_path(request->model());
    response->mutable_model()->set_digest(Sha256Hex(request->model()));
    life_->SetModelDigest(response->model().digest());
    return ToGrpc(life_->Enter("Configure", context, request->fence()));
  }
  grpc::Status Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                       v1::ReleaseResponse*) override {
    return ToGrpc(life_->Enter("Release", context, request->fence()));
  }

 private:
  Life* const life_;
};

v1::Sample MakeSample(const v1::PromptSpec& spec, int32_t number, uint64_t weights,
                      const v1::WeightVersion& version, uint64_t seed) {
  v1::Sample sample;
  const v1::Prompt& prompt = spec.prompt();
  sample.set_sample_id(absl::StrCat(prompt.prompt_id(), "/", number));
  sample.set_prompt_id(prompt.prompt_id());
  *sample.mutable_images() = prompt.images();
  sample.set_question(prompt.question());
  sample.add_prompt_tokens(1);
  for (int i = 0; i < kResponseTokens; ++i) {
    const uint64_t bits = Mix64(HashOf(sample.sample_id()) ^ seed ^ weights ^ static_cast<uint64_t>(i));
    sample.add_response_tokens(static_cast<int32_t>(bits % 100));
    sample.add_behaviour_logprobs(-1.0f - static_cast<float>(bits % 7) / 7);
    absl::StrAppend(sample.mutable_answer(), sample.response_tokens(i), " ");
  }
  sample.set_finish_reason(v1::FINISH_REASON_STOP);
  *sample.mutable_first_version() = version;
  *sample.mutable_last_version() = version;
  return sample;
}

class RolloutService : public v1::Rollout::Service {
 public:
  explicit RolloutService(Life* life) : life_(life) {}
  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    return ToGrpc(GenerateAll(context, *request, *writer));
  }

 private:
  absl::Status GenerateAll(grpc::ServerContext* context, const v1::GenerateRequest& request,
                           grpc::ServerWriter<v1::GenerateResponse>& writer) {
    REIN_RETURN_IF_ERROR(life_->Enter("Generate", context, request.fence()));
    const v1::WeightVersion version = life_->version();
    if (request.weights().number() != version.number() ||
        request.weights().coordinator_epoch() != version.coordinator_epoch()) {
      return absl::FailedPreconditionError("these weights are not active here");
    }
    std::vector<std::string> ids;
    for (const v1::PromptSpec& prompt : request.prompts()) {
      for (const int32_t number : prompt.samples()) {
        ids.push_back(absl::StrCat(prompt.prompt().prompt_id(), "/", number));
      }
    }
    life_->script().NoteRequest(ids);
    for (const v1::PromptSpec& prompt : request.prompts()) {
      REIN_RETURN_IF_ERROR(Answer(context, prompt, request.sampling().seed(), version, writer));
    }
    return absl::OkStatus();
  }
  absl::Status Answer(grpc::ServerContext* context, const v1::PromptSpec& prompt, uint64_t seed,
                      const v1::WeightVersion& version, grpc::ServerWriter<v1::GenerateResponse>& writer) {
    v1::GenerateResponse response;
    if (life_->script().refused(prompt.prompt().prompt_id())) {
      response.mutable_refusal()->set_prompt_id(prompt.prompt().prompt_id());
      response.mutable_refusal()->set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
      response.mutable_refusal()->set_message("the picture does not decode");
      writer.Write(response);
      return absl::OkStatus();
    }
    for (const int32_t number : prompt.samples()) {
      REIN_RETURN_IF_ERROR(life_->Pass("Sample", context));
      *response.mutable_sample() = MakeSample(prompt, number, life_->state(), version, seed);
      if (!life_->script().TakeSpoilt(response.sample().sample_id()).has_value()) writer.Write(response);
    }
    return absl::OkStatus();
  }
  Life* const life_;
};

template <typename Request>
std::vector<std::string> IdsOf(const Request& request) {
  std::vector<std::string> ids;
  for (const v1::Sample& sample : request.samples()) ids.push_back(sample.sample_id());
  return ids;
}

// Answers one sample by number, as it is or spoilt.
template <typename Add>
void AnswerSample(Script& script, const v1::Sample& sample, float value,
                  google::protobuf::RepeatedPtrField<v1::SampleError>& errors, const Add& add) {
  const std::optional<Script::Spoilt> spoilt = script.TakeSpoilt(sample.sample_id());
  if (!spoilt.has_value()) return add(value, sample.response_tokens_size());
  switch (*spoilt) {
    case Script::Spoilt::kNaN:
      return add(std::numeric_limits<float>::quiet_NaN(), sample.response_tokens_size());
    case Script::Spoilt::kWrongLength:
      return add(value, sample.response_tokens_size() + 1);
    case Script::Spoilt::kError: {
      v1::SampleError& error = *errors.Add();
      error.set_sample_id(sample.sample_id());
      error.set_message("spoilt");  // and no code
      return;
    }
    case Script::Spoilt::kMissing:
      return;
  }
}

class ScorerService : public v1::Scorer::Service {
 public:
  explicit ScorerService(Life* life) : life_(life) {}
  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeRequest*,
                        v1::DescribeResponse* response) override {
    response->set_name(life_->address().name());
    response->set_digest(life_->digest());
    response->set_input(v1::SCORER_INPUT_TEXT);
    response->set_images(v1::IMAGE_TRANSFER_DIGEST);
    response->set_max_batch(life_->script().max_batch());
    return ToGrpc(life_->Pass("Describe", context));
  }
  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override {
    life_->script().NoteRequest(IdsOf(*request));
    const absl::Status status = life_->Enter("Score", context, request->fence());
    response->set_scorer_digest(life_->digest());
    for (const v1::Sample& sample : request->samples()) {
      AnswerSample(life_->script(), sample, NumberOf(life_->address().name() + sample.answer(), 0),
                   *response->mutable_errors(), [&](float value, int) {
                     v1::Score& score = *response->add_scores();
                     score.set_sample_id(sample.sample_id());
                     score.set_value(value);
                   });
    }
    return ToGrpc(status);
  }

 private:
  Life* const life_;
};

// Finds severe what its number puts above 0.
class GuardService : public v1::Guard::Service {
 public:
  explicit GuardService(Life* life) : life_(life) {}
  grpc::Status Moderate(grpc::ServerContext* context, const v1::ModerateRequest* request,
                        v1::ModerateResponse* response) override {
    const absl::Status status = life_->Enter("Moderate", context, request->fence());
    response->set_guard_digest(life_->digest());
    for (const v1::ModerationItem& item : request->items()) {
      if (life_->script().TakeSpoilt(item.item_id()).has_value()) continue;
      v1::ItemVerdict& verdict = *response->add_verdicts();
      verdict.set_item_id(item.item_id());
      const bool severe = life_->script().strict() || NumberOf(item.answer(), 0) > 0;
      verdict.set_severity(severe ? v1::SEVERITY_SEVERE : v1::SEVERITY_SAFE);
    }
    return ToGrpc(status);
  }

 private:
  Life* const life_;
};

template <typename Request, typename Response, typename Values>
void AnswerTokens(Life& life, const Request& request, Response& response, Values& values) {
  life.script().NoteRequest(IdsOf(request));
  for (const v1::Sample& sample : request.samples()) {
    AnswerSample(life.script(), sample, NumberOf(sample.answer(), life.state()) - 1,
                 *response.mutable_errors(), [&](float value, int length) {
                   v1::TokenValues& one = *values.Add();
                   one.set_sample_id(sample.sample_id());
                   one.mutable_values()->Resize(length, value);
                 });
  }
}

class ReferenceService : public v1::Reference::Service {
 public:
  explicit ReferenceService(Life* life) : life_(life) {}
  grpc::Status LogProbs(grpc::ServerContext* context, const v1::LogProbsRequest* request,
                        v1::LogProbsResponse* response) override {
    AnswerTokens(*life_, *request, *response, *response->mutable_logprobs());
    return ToGrpc(life_->Enter("LogProbs", context, request->fence()));
  }

 private:
  Life* const life_;
};

class CriticService : public CriticTraining {
 public:
  explicit CriticService(Life* life) : CriticTraining(life), life_(life) {}
  grpc::Status Values(grpc::ServerContext* context, const v1::ValuesRequest* request,
                      v1::ValuesResponse* response) override {
    AnswerTokens(*life_, *request, *response, *response->mutable_values());
    return ToGrpc(life_->Enter("Values", context, request->fence()));
  }

 private:
  Life* const life_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeScorerService(Life* life) { return std::make_unique<ScorerService>(life); }

std::vector<std::unique_ptr<grpc::Service>> MakeServices(const std::string& role, Life* life) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(std::make_unique<ActorService>(life));
  if (role == "rollout") {
    services.push_back(std::make_unique<RolloutService>(life));
    services.push_back(MakeWeightsService(life));
  } else if (role == "reference") {
    services.push_back(std::make_unique<ReferenceService>(life));
  } else if (role == "guard") {
    services.push_back(std::make_unique<GuardService>(life));
  } else if (role == "policy") {
    services.push_back(MakePolicyService(life));
    services.push_back(MakeStateService(life));
    services.push_back(MakeWeightsService(life));
  } else if (role == "critic") {
    services.push_back(std::make_unique<CriticService>(life));
    services.push_back(MakeStateService(life));
  } else {
    services.push_back(MakeScorerService(life));
  }
  return services;
}

}  // namespace rein::coordinator::fakes
