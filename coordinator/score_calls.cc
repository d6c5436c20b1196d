#include "coordinator/score_calls.h"

#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rein/v1/guard.grpc.pb.h"
#include "rein/v1/scorer.grpc.pb.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::coordinator {
namespace {

using Values = std::map<std::string, absl::StatusOr<std::vector<float>>>;

// Room for what gRPC and protobuf add to a message.
constexpr int64_t kMessageMargin = 4096;

template <typename Request>
Request MakeRequest(const ScoreCall& call) {
  Request request;
  *request.mutable_fence() = call.fence;
  for (const v1::Sample* sample : call.samples) *request.add_samples() = *sample;
  return request;
}

absl::Status AddPictures(const ScoreCall& call, v1::ScoreRequest& request) {
  for (const v1::Sample* sample : call.samples) {
    for (const v1::ImageRef& image : sample->images()) {
      REIN_ASSIGN_OR_RETURN(const transport::Blob blob, call.pictures(image.digest()));
      (*request.mutable_inline_images())[image.digest()] = *blob;
    }
  }
  return absl::OkStatus();
}

void AddErrors(const google::protobuf::RepeatedPtrField<v1::SampleError>& errors, Values& values) {
  for (const v1::SampleError& error : errors) {
    // An error with the code of success is one all the same.
    const auto code = error.code() == 0 ? absl::StatusCode::kUnknown : absl::StatusCode(error.code());
    values.insert_or_assign(error.sample_id(), absl::Status(code, error.message()));
  }
}

void AddTokenValues(const google::protobuf::RepeatedPtrField<v1::TokenValues>& answers, Values& values) {
  for (const v1::TokenValues& answer : answers) {
    values.insert_or_assign(answer.sample_id(),
                            std::vector<float>(answer.values().begin(), answer.values().end()));
  }
}

absl::StatusOr<Values> Score(const ScoreCall& call, const v1::ScoreRequest& request, std::string& digest) {
  const auto stub = v1::Scorer::NewStub(call.target->peer.channel());
  REIN_ASSIGN_OR_RETURN(const v1::ScoreResponse response,
                        (transport::Call<v1::Scorer::Stub, v1::ScoreRequest, v1::ScoreResponse>(
                            call.target->peer, *stub, &v1::Scorer::Stub::Score, request, call.timeout)));
  Values values;
  for (const v1::Score& score : response.scores()) {
    values.insert_or_assign(score.sample_id(), std::vector<float>{score.value()});
  }
  AddErrors(response.errors(), values);
  digest = response.scorer_digest().empty() ? call.target->scorer.digest() : response.scorer_digest();
  return values;
}

absl::StatusOr<Values> LogProbs(const ScoreCall& call, const v1::LogProbsRequest& request) {
  const auto stub = v1::Reference::NewStub(call.target->peer.channel());
  REIN_ASSIGN_OR_RETURN(
      const v1::LogProbsResponse response,
      (transport::Call<v1::Reference::Stub, v1::LogProbsRequest, v1::LogProbsResponse>(
          call.target->peer, *stub, &v1::Reference::Stub::LogProbs, request, call.timeout)));
  Values values;
  AddTokenValues(response.logprobs(), values);
  AddErrors(response.errors(), values);
  return values;
}

absl::StatusOr<Values> CriticValues(const ScoreCall& call, const v1::ValuesRequest& request) {
  const auto stub = v1::Critic::NewStub(call.target->peer.channel());
  REIN_ASSIGN_OR_RETURN(const v1::ValuesResponse response,
                        (transport::Call<v1::Critic::Stub, v1::ValuesRequest, v1::ValuesResponse>(
                            call.target->peer, *stub, &v1::Critic::Stub::Values, request, call.timeout)));
  Values values;
  AddTokenValues(response.values(), values);
  AddErrors(response.errors(), values);
  return values;
}

v1::ModerateRequest MakeModeration(const ScoreCall& call) {
  v1::ModerateRequest request;
  *request.mutable_fence() = call.fence;
  for (const v1::Sample* sample : call.samples) {
    v1::ModerationItem* item = request.add_items();
    item->set_item_id(sample->sample_id());
    item->set_question(sample->question());
    *item->mutable_images() = sample->images();
    item->set_answer(sample->answer());
  }
  return request;
}

absl::StatusOr<Values> Moderate(const ScoreCall& call, const v1::ModerateRequest& request,
                                std::string& digest) {
  const auto stub = v1::Guard::NewStub(call.target->peer.channel());
  REIN_ASSIGN_OR_RETURN(const v1::ModerateResponse response,
                        (transport::Call<v1::Guard::Stub, v1::ModerateRequest, v1::ModerateResponse>(
                            call.target->peer, *stub, &v1::Guard::Stub::Moderate, request, call.timeout)));
  Values values;
  for (const v1::ItemVerdict& verdict : response.verdicts()) {
    if (verdict.severity() < v1::SEVERITY_SAFE || verdict.severity() > v1::SEVERITY_SEVERE) {
      values.insert_or_assign(verdict.item_id(), absl::DataLossError("its verdict has no severity"));
    } else {
      values.insert_or_assign(verdict.item_id(),
                              std::vector<float>{static_cast<float>(verdict.severity() - v1::SEVERITY_SAFE)});
    }
  }
  AddErrors(response.errors(), values);
  if (!response.guard_digest().empty()) digest = response.guard_digest();
  return values;
}

absl::StatusOr<std::vector<float>> Checked(const v1::Sample& sample, size_t wanted, Values& values) {
  const auto found = values.find(sample.sample_id());
  if (found == values.end()) return absl::UnavailableError("it was not answered for this sample");
  if (!found->second.ok()) return found->second;
  const std::vector<float>& numbers = *found->second;
  if (numbers.size() != wanted) {
    return absl::DataLossError(absl::StrCat("it answered ", numbers.size(), " numbers, expected ", wanted));
  }
  for (const float number : numbers) {
    if (!std::isfinite(number)) {
      return absl::DataLossError(absl::StrCat("it answered ", number, ", not a finite number"));
    }
  }
  return std::move(found->second);
}

template <typename Request>
bool TooLarge(const ScoreCall& call, const Request& request) {
  return static_cast<int64_t>(request.ByteSizeLong()) > call.max_message_bytes - kMessageMargin;
}

absl::StatusOr<Answers> CallHalves(Column::Kind kind, const ScoreCall& call) {
  const size_t half = call.samples.size() / 2;
  ScoreCall first = call, second = call;
  first.samples.resize(half);
  second.samples.erase(second.samples.begin(), second.samples.begin() + half);
  REIN_ASSIGN_OR_RETURN(Answers answers, CallActor(kind, first));
  REIN_ASSIGN_OR_RETURN(Answers more, CallActor(kind, second));
  if (more.digest != answers.digest) {
    return absl::UnavailableError("the scorer changed between two halves of a batch");
  }
  for (auto& values : more.values) answers.values.push_back(std::move(values));
  return answers;
}

template <typename Request, typename Send>
absl::StatusOr<Answers> SendOrSplit(Column::Kind kind, const ScoreCall& call, const Request& request,
                                    const Send& send) {
  if (TooLarge(call, request)) {
    if (call.samples.size() > 1) return CallHalves(kind, call);
    return absl::ResourceExhaustedError(absl::StrCat("one sample takes ", request.ByteSizeLong(),
                                                     " bytes, over limits.max_message_bytes ",
                                                     call.max_message_bytes));
  }
  Answers answers;
  answers.digest = call.target->model.digest();
  REIN_ASSIGN_OR_RETURN(Values values, send(request, answers.digest));
  const bool one = kind != Column::Kind::kReference && kind != Column::Kind::kValues;
  for (const v1::Sample* sample : call.samples) {
    const size_t wanted = one ? 1 : static_cast<size_t>(sample->response_tokens_size());
    answers.values.push_back(Checked(*sample, wanted, values));
  }
  return answers;
}

}  // namespace

absl::StatusOr<Answers> CallActor(Column::Kind kind, const ScoreCall& call) {
  if (kind == Column::Kind::kReference) {
    return SendOrSplit(kind, call, MakeRequest<v1::LogProbsRequest>(call),
                       [&](const auto& request, std::string&) { return LogProbs(call, request); });
  }
  if (kind == Column::Kind::kValues) {
    return SendOrSplit(kind, call, MakeRequest<v1::ValuesRequest>(call),
                       [&](const auto& request, std::string&) { return CriticValues(call, request); });
  }
  if (kind == Column::Kind::kGuard) {
    return SendOrSplit(kind, call, MakeModeration(call), [&](const auto& request, std::string& digest) {
      return Moderate(call, request, digest);
    });
  }
  auto request = MakeRequest<v1::ScoreRequest>(call);
  if (call.target->scorer.images() == v1::IMAGE_TRANSFER_INLINE) {
    REIN_RETURN_IF_ERROR(AddPictures(call, request));
  }
  return SendOrSplit(kind, call, request,
                     [&](const auto& sent, std::string& digest) { return Score(call, sent, digest); });
}

}  // namespace rein::coordinator
