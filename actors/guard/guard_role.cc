#include "actors/guard/guard_role.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/loaded_model.h"
#include "actors/host/samples.h"
#include "base/status.h"
#include "guard/model/guard_model.h"
#include "rein/v1/guard.grpc.pb.h"

namespace rein::guard {
namespace {

v1::Severity ToProto(Severity severity) { return static_cast<v1::Severity>(static_cast<int>(severity) + 1); }

void AddTo(google::protobuf::RepeatedField<double>* out, const LevelValues& values) {
  out->Assign(values.begin(), values.end());
}

// Errors: RESOURCE_EXHAUSTED (too many), INVALID_ARGUMENT (an id is empty or stands twice).
absl::Status CheckItems(const google::protobuf::RepeatedPtrField<v1::ModerationItem>& items) {
  if (items.size() > host::kMaxBatch) {
    return absl::ResourceExhaustedError(
        absl::StrCat(items.size(), " items in one request, at most ", host::kMaxBatch, " are taken"));
  }
  std::set<std::string> ids;
  for (const v1::ModerationItem& item : items) {
    if (item.item_id().empty()) return absl::InvalidArgumentError("an item has no item_id");
    if (!ids.insert(item.item_id()).second)
      return absl::InvalidArgumentError(absl::StrCat("item '", item.item_id(), "' stands twice"));
  }
  return absl::OkStatus();
}

class GuardRole : public host::Role, public v1::Guard::Service {
 public:
  explicit GuardRole(host::Host& host) : host_(host) {}

  std::vector<grpc::Service*> services() override { return {this}; }

  absl::StatusOr<v1::ModelInfo> Configure(const host::Configuration& configuration) override {
    GuardModelOptions options;
    options.micro_batch_tokens = configuration.job.policy_optimizer().micro_batch_tokens();
    REIN_ASSIGN_OR_RETURN(options.load, host::LoadOptionsOf(configuration));
    REIN_ASSIGN_OR_RETURN(model_, GuardModel::Load(configuration.model, options));
    info_ = host::InfoOf(model_->model(), model_->processor(), configuration.model, model_->digest());
    return info_;
  }

  grpc::Status DescribeGuard(grpc::ServerContext*, const v1::DescribeGuardRequest*,
                             v1::DescribeGuardResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      if (!host_.configured()) {
        return absl::FailedPreconditionError(
            "this guard has not been configured; send Actor.Configure first");
      }
      response->set_name(host_.address().name());
      response->set_digest(info_.digest());
      response->set_images(v1::IMAGE_TRANSFER_DIGEST);
      response->set_max_batch(host::kMaxBatch);
      AddTo(response->mutable_question_thresholds(), model_->config().thresholds.question);
      AddTo(response->mutable_answer_thresholds(), model_->config().thresholds.answer);
      return absl::OkStatus();
    });
  }

  grpc::Status Moderate(grpc::ServerContext*, const v1::ModerateRequest* request,
                        v1::ModerateResponse* response) override {
    return host::Answer([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(host_.Admit(request->fence()));
      REIN_RETURN_IF_ERROR(CheckItems(request->items()));
      const std::vector<absl::StatusOr<Question>> questions = Fetch(*request);
      return host_.Run(absl::StrCat("Moderate ", request->items_size(), " items"),
                       [&] { return Compute(*request, questions, response); });
    });
  }

  absl::StatusOr<host::Releasable> Release() override { return host::Held(model_->model()); }

 private:
  // On the RPC thread: the pictures' encoded bytes are waited for. Errors: why a question lacks a picture.
  std::vector<absl::StatusOr<Question>> Fetch(const v1::ModerateRequest& request) {
    std::vector<absl::StatusOr<Question>> questions;
    for (const v1::ModerationItem& item : request.items()) questions.push_back(QuestionOf(item, request));
    return questions;
  }

  absl::StatusOr<Question> QuestionOf(const v1::ModerationItem& item, const v1::ModerateRequest& request) {
    Question question{.id = item.item_id(), .text = item.question()};
    for (const v1::ImageRef& image : item.images()) {
      const auto inlined = request.inline_images().find(image.digest());
      if (inlined != request.inline_images().end()) {
        question.pictures.push_back({inlined->second, image.digest()});
        continue;
      }
      REIN_ASSIGN_OR_RETURN(const transport::Blob encoded, host_.images().Encoded(image.digest()));
      question.pictures.push_back({*encoded, image.digest()});
    }
    return question;
  }

  absl::Status Compute(const v1::ModerateRequest& request,
                       const std::vector<absl::StatusOr<Question>>& questions,
                       v1::ModerateResponse* response) {
    std::vector<Item> items;
    std::vector<const v1::ModerationItem*> asked;
    for (int i = 0; i < request.items_size(); ++i) {
      const v1::ModerationItem& item = request.items(i);
      if (!questions[i].ok()) {
        *response->add_errors() = host::ToSampleError(item.item_id(), questions[i].status());
        continue;
      }
      items.push_back({&*questions[i], item.has_answer() ? &item.answer() : nullptr});
      asked.push_back(&item);
    }
    REIN_ASSIGN_OR_RETURN(const std::vector<Verdict> verdicts, model_->Moderate(items));
    for (size_t i = 0; i < verdicts.size(); ++i) Answer(asked[i]->item_id(), verdicts[i], response);
    response->set_guard_digest(info_.digest());
    host_.counters().Add("items", response->verdicts_size());
    host_.counters().Add("item_errors", response->errors_size());
    return absl::OkStatus();
  }

  static void Answer(const std::string& id, const Verdict& verdict, v1::ModerateResponse* response) {
    if (!verdict.not_moderated.empty()) {
      *response->add_errors() = host::ToSampleError(id, absl::InvalidArgumentError(verdict.not_moderated));
      return;
    }
    v1::ItemVerdict* answer = response->add_verdicts();
    answer->set_item_id(id);
    answer->set_severity(ToProto(verdict.severity));
    AddTo(answer->mutable_at_or_above(), verdict.at_or_above);
    for (const std::string& category : verdict.categories) answer->add_categories(category);
  }

  host::Host& host_;
  std::unique_ptr<GuardModel> model_;
  v1::ModelInfo info_;
};

}  // namespace

std::unique_ptr<host::Role> MakeRole(host::Host& host) { return std::make_unique<GuardRole>(host); }

}  // namespace rein::guard
