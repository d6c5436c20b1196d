#include "actors/scorer/scorer_role.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/loaded_model.h"
#include "actors/host/samples.h"
#include "actors/scorer/retokenize.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log_line.h"
#include "base/status.h"
#include "rein/v1/scorer.grpc.pb.h"
#include "training/rl_trainer.h"
#include "transport/job_file.h"

namespace rein::scorer {
namespace {

// Digest of the tokenizer whose tokens the samples hold; empty where it cannot be read here.
std::string PolicyTokenizerDigest(const v1::Job& job) {
  const v1::ActorSpec* policy = transport::FindActor(job, "policy");
  if (policy == nullptr) return "";
  const absl::StatusOr<std::string> tokenizer =
      ReadFile(std::filesystem::path(policy->model()) / "tokenizer.json");
  return tokenizer.ok() ? Sha256Hex(*tokenizer) : "";
}

class ScorerRole : public host::Role, public v1::Scorer::Service {
 public:
  explicit ScorerRole(host::Host& host) : host_(host) {}

  std::vector<grpc::Service*> services() override { return {this}; }

  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration) override {
    REIN_ASSIGN_OR_RETURN(loaded_, host::LoadRoleModel(configuration));
    if (!loaded_.model->shape().has_score_head) {
      return absl::InvalidArgumentError(
          absl::StrCat("model folder ", configuration.model.string(),
                       " has no score head; train one with `rein train reward` or `rein train cost`"));
    }
    micro_batch_tokens_ = configuration.job.policy_optimizer().micro_batch_tokens();
    host_.images().SetProcessor(loaded_.processor);
    ChooseInput(PolicyTokenizerDigest(configuration.job));
    return loaded_.info;
  }

  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeRequest*,
                        v1::DescribeResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      if (!host_.configured()) {
        return absl::FailedPreconditionError(
            "this scorer has not been configured; send Actor.Configure first");
      }
      response->set_name(host_.address().name());
      response->set_digest(loaded_.info.digest());
      response->set_input(takes_tokens_ ? v1::SCORER_INPUT_TOKENS : v1::SCORER_INPUT_TEXT);
      response->set_images(v1::IMAGE_TRANSFER_DIGEST);
      response->set_tokenizer_digest(loaded_.info.tokenizer_digest());
      response->set_max_batch(host::kMaxBatch);
      return absl::OkStatus();
    });
  }

  grpc::Status Score(grpc::ServerContext*, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_.Admit(request->fence()));
      REIN_RETURN_IF_ERROR(host::CheckBatch(request->samples()));
      host::PrefetchImages(request->samples(), host_.images());
      return host_.Run(absl::StrCat("Score ", request->samples_size(), " samples"),
                       [&] { return Compute(*request, response); });
    });
  }

  absl::StatusOr<host::Releasable> Release() override { return host::Held(*loaded_.model); }

 private:
  void ChooseInput(const std::string& policy_tokenizer) {
    takes_tokens_ = loaded_.info.tokenizer_digest() == policy_tokenizer;
    if (takes_tokens_) {
      LogInfo("takes the policy's tokens: its tokenizer equals this scorer's");
    } else {
      LogWarning(absl::StrCat("takes text and tokenises it anew: the policy's tokenizer (",
                              policy_tokenizer.empty() ? "unknown" : policy_tokenizer.substr(0, 12),
                              ") is not this scorer's (", loaded_.info.tokenizer_digest().substr(0, 12),
                              ")"));
    }
  }

  absl::Status Compute(const v1::ScoreRequest& request, v1::ScoreResponse* response) {
    const models::ModelShape& shape = loaded_.model->shape();
    const std::vector<training::Sequence> sequences =
        takes_tokens_
            ? host::ToSequences(request.samples(), shape, host_.images(), response->mutable_errors())
            : Retokenize(request.samples(), *loaded_.processor, host_.images(), response->mutable_errors());
    host::ComputeEach<float>(
        sequences,
        [this](absl::Span<const training::Sequence> batch) {
          return training::EndScores(*loaded_.model, batch, micro_batch_tokens_);
        },
        [response](const std::string& sample_id, float score) { return Accept(sample_id, score, response); },
        response->mutable_errors());
    response->set_scorer_digest(loaded_.info.digest());
    host_.counters().Add("samples", response->scores_size());
    host_.counters().Add("sample_errors", response->errors_size());
    return absl::OkStatus();
  }

  static absl::Status Accept(const std::string& sample_id, float score, v1::ScoreResponse* response) {
    if (!std::isfinite(score)) {
      return absl::DataLossError(absl::StrCat("sample '", sample_id, "': the score is ", score,
                                              ", not a finite number; the model is broken"));
    }
    v1::Score* answer = response->add_scores();
    answer->set_sample_id(sample_id);
    answer->set_value(score);
    return absl::OkStatus();
  }

  host::Host& host_;
  host::LoadedModel loaded_;
  int64_t micro_batch_tokens_ = 0;
  bool takes_tokens_ = true;
};

}  // namespace

std::unique_ptr<host::Role> MakeRole(host::Host& host) { return std::make_unique<ScorerRole>(host); }

}  // namespace rein::scorer
