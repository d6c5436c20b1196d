#include "training/image_encoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

#include "training/rl_trainer.h"

namespace rein::training {
namespace {

int64_t Bytes(const models::ImageFeatures& features) {
  return static_cast<int64_t>(features.features.nbytes());
}

}  // namespace

ImageEncoder::ImageEncoder(models::VisionLanguageModel* model, bool reuse, int64_t max_bytes)
    : model_(model), reuse_(reuse), max_bytes_(max_bytes) {}

std::vector<models::ImageFeatures> ImageEncoder::Encode(absl::Span<const Sequence* const> sequences) {
  std::unordered_map<const models::ProcessedImage*, models::ImageFeatures> known;
  std::vector<Picture> missing;
  for (const Sequence* sequence : sequences) {
    for (const Picture& picture : sequence->images) {
      const auto [entry, is_new] = known.try_emplace(picture.get());
      if (!is_new) continue;
      if (const models::ImageFeatures* features = Find(picture)) {
        entry->second = *features;
      } else {
        missing.push_back(picture);
      }
    }
  }
  const std::vector<models::ImageFeatures> fresh = RunTower(missing);
  for (size_t i = 0; i < missing.size(); ++i) known[missing[i].get()] = fresh[i];
  if (reuse_ && !missing.empty()) {
    ForgetReleased();
    for (size_t i = 0; i < missing.size(); ++i) Keep(missing[i], fresh[i]);
  }
  std::vector<models::ImageFeatures> result;
  for (const Sequence* sequence : sequences) {
    for (const Picture& picture : sequence->images) result.push_back(known[picture.get()]);
  }
  return result;
}

std::vector<models::ImageFeatures> ImageEncoder::RunTower(const std::vector<Picture>& pictures) {
  if (pictures.empty()) return {};
  std::vector<models::ProcessedImage> inputs;
  for (const Picture& picture : pictures) inputs.push_back(*picture);
  encoded_ += static_cast<int64_t>(pictures.size());
  if (!reuse_) return model_->EncodeImages(inputs);
  const c10::NoGradGuard no_grad;
  return model_->EncodeImages(inputs);
}

const models::ImageFeatures* ImageEncoder::Find(const Picture& picture) const {
  const auto entry = entries_.find(picture.get());
  // The address may have been given to another picture since.
  return entry != entries_.end() && entry->second.image.lock() == picture ? &entry->second.features : nullptr;
}

void ImageEncoder::Keep(const Picture& picture, const models::ImageFeatures& features) {
  if (Bytes(features) > max_bytes_) return;
  while (cached_bytes_ + Bytes(features) > max_bytes_) ForgetOldest();
  // A copy of its own: the tower's result may be a view of the whole batch.
  models::ImageFeatures kept = features;
  kept.features = features.features.clone();
  entries_[picture.get()] = {picture, std::move(kept)};
  oldest_first_.push_back(picture.get());
  cached_bytes_ += Bytes(features);
}

void ImageEncoder::ForgetOldest() {
  const auto entry = entries_.find(oldest_first_.front());
  oldest_first_.pop_front();
  cached_bytes_ -= Bytes(entry->second.features);
  entries_.erase(entry);
}

void ImageEncoder::ForgetReleased() {
  std::deque<const models::ProcessedImage*> kept;
  for (const models::ProcessedImage* key : oldest_first_) {
    const auto entry = entries_.find(key);
    if (!entry->second.image.expired()) {
      kept.push_back(key);
      continue;
    }
    cached_bytes_ -= Bytes(entry->second.features);
    entries_.erase(entry);
  }
  oldest_first_ = std::move(kept);
}

}  // namespace rein::training
