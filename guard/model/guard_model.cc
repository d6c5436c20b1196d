#include "guard/model/guard_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "training/guard.h"
#include "training/pairs.h"

namespace rein::guard {
namespace {

// Most errors name the file or the folder already.
absl::Status Naming(const absl::Status& status, const std::filesystem::path& folder) {
  return absl::StrContains(status.message(), folder.string()) ? status : WithContext(status, folder.string());
}

int64_t TokensOf(const training::Sequence& sequence) {
  return training::ForwardTokens(sequence, training::Positions::kLast);
}

}  // namespace

// Items that are computed together.
class GuardModel::Pack {
 public:
  void Add(size_t place, bool is_answer, training::Sequence sequence) {
    tokens_ += TokensOf(sequence);
    places_.push_back(place);
    is_answer_.push_back(is_answer);
    sequences_.push_back(std::move(sequence));
  }
  bool empty() const { return sequences_.empty(); }
  bool HasRoomFor(const training::Sequence& sequence, int64_t limit) const {
    return empty() || tokens_ + TokensOf(sequence) <= limit;
  }
  const std::vector<training::Sequence>& sequences() const { return sequences_; }
  size_t place(size_t i) const { return places_[i]; }
  bool is_answer(size_t i) const { return is_answer_[i]; }

 private:
  int64_t tokens_ = 0;
  std::vector<size_t> places_;  // of the verdicts
  std::vector<bool> is_answer_;
  std::vector<training::Sequence> sequences_;
};

absl::StatusOr<std::unique_ptr<GuardModel>> GuardModel::Load(const std::filesystem::path& folder,
                                                             const GuardModelOptions& options) {
  std::unique_ptr<GuardModel> guard(new GuardModel(options));
  const absl::Status loaded = training::Guarded([&] { return guard->LoadFolder(folder); });
  if (!loaded.ok()) return Naming(loaded, folder);
  return guard;
}

absl::Status GuardModel::LoadFolder(const std::filesystem::path& folder) {
  // The small files first: a folder that is no guard is told so before its weights are read.
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<models::VisionLanguageModel> outline,
                        models::OutlineModel(folder));
  REIN_ASSIGN_OR_RETURN(head_, ReadGuardHead(folder, outline->shape().hidden));
  REIN_ASSIGN_OR_RETURN(config_, ReadGuardConfig(folder));
  REIN_ASSIGN_OR_RETURN(processor_, models::Processor::Load(folder));
  REIN_ASSIGN_OR_RETURN(model_, models::LoadModel(folder, options_.load));
  REIN_RETURN_IF_ERROR(models::CheckVocabulary(*processor_, *model_));
  REIN_ASSIGN_OR_RETURN(digest_, GuardDigest(folder));
  head_.weight = head_.weight.to(options_.load.device);
  head_.bias = head_.bias.to(options_.load.device);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Verdict>> GuardModel::Moderate(absl::Span<const Item> items) {
  return training::Guarded([&] {
    const c10::NoGradGuard no_grad;
    return ModerateAll(items);
  });
}

absl::StatusOr<std::vector<Verdict>> GuardModel::ModerateAll(absl::Span<const Item> items) {
  std::vector<Verdict> verdicts(items.size());
  Pack pack;
  const training::Sequence* last = nullptr;
  for (size_t i = 0; i < items.size(); ++i) {
    const bool same_question = i > 0 && items[i - 1].question == items[i].question;
    absl::StatusOr<training::Sequence> sequence = SequenceOf(items[i], same_question ? last : nullptr);
    last = nullptr;
    if (!sequence.ok()) {
      verdicts[i] = NotModerated(std::string(sequence.status().message()));
      continue;
    }
    if (!pack.HasRoomFor(*sequence, options_.micro_batch_tokens)) {
      REIN_RETURN_IF_ERROR(Judge(pack, verdicts));
      pack = Pack();
    }
    pack.Add(i, items[i].answer != nullptr, *std::move(sequence));
    last = &pack.sequences().back();
  }
  if (!pack.empty()) REIN_RETURN_IF_ERROR(Judge(pack, verdicts));
  return verdicts;
}

absl::StatusOr<training::Sequence> GuardModel::SequenceOf(const Item& item,
                                                          const training::Sequence* same_question) const {
  training::Sequence sequence;
  if (same_question != nullptr) {
    sequence.prompt = same_question->prompt;
    sequence.images = same_question->images;
  } else {
    REIN_RETURN_IF_ERROR(LookAtPictures(*item.question, sequence));
  }
  const models::ModelShape& shape = model_->shape();
  if (item.answer != nullptr) {
    sequence.response = processor_->EncodeResponse(*item.answer);
    const auto& response = sequence.response;
    if (std::find(response.begin(), response.end(), shape.image_token_id) != response.end())
      return absl::InvalidArgumentError("the answer contains the image placeholder");
  }
  if (shape.max_positions > 0 && TokensOf(sequence) > shape.max_positions) {
    return absl::InvalidArgumentError(absl::StrCat(TokensOf(sequence), " tokens; the guard takes ",
                                                   shape.max_positions, " (max_position_embeddings)"));
  }
  return sequence;
}

absl::Status GuardModel::LookAtPictures(const Question& question, training::Sequence& sequence) const {
  std::vector<models::ProcessedImage> images;
  for (size_t i = 0; i < question.pictures.size(); ++i) {
    const std::string name = absl::StrCat("picture ", i + 1);
    const absl::StatusOr<data::RgbImage> decoded =
        data::DecodeImage(question.pictures[i].bytes, options_.images);
    if (!decoded.ok()) return WithContext(decoded.status(), name);
    absl::StatusOr<models::ProcessedImage> processed = processor_->ProcessImage(*decoded);
    if (!processed.ok()) return WithContext(processed.status(), name);
    images.push_back(*std::move(processed));
  }
  REIN_ASSIGN_OR_RETURN(sequence.prompt, processor_->EncodePrompt(question.text, images));
  for (models::ProcessedImage& image : images)
    sequence.images.push_back(std::make_shared<const models::ProcessedImage>(std::move(image)));
  return absl::OkStatus();
}

absl::Status GuardModel::Judge(const Pack& pack, std::vector<Verdict>& verdicts) {
  training::SequenceForward forward(model_.get(), /*reuse_features=*/false);
  REIN_ASSIGN_OR_RETURN(const training::SequenceForward::Output output,
                        forward.Run(training::Pointers(pack.sequences()), training::Positions::kLast));
  const at::Tensor logits = HeadLogits(head_, output.hidden).to(at::kCPU).contiguous();
  for (size_t i = 0; i < pack.sequences().size(); ++i) {
    const auto row = absl::MakeConstSpan(logits.const_data_ptr<float>() + i * kHeadLogits, kHeadLogits);
    verdicts[pack.place(i)] = VerdictOf(row, config_.thresholds, pack.is_answer(i));
  }
  return absl::OkStatus();
}

}  // namespace rein::guard
