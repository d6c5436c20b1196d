// Pictures of sequences through vision tower and projector, no picture twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"
#include "models/vision_language_model.h"

namespace rein::training {

struct Sequence;

// Not thread-safe; one owner.
class ImageEncoder {
 public:
  // `reuse`: vision and projector never change, so features are kept (without gradient) from call to call,
  // the oldest dropped beyond `max_bytes`. Pictures are told apart by object; a picture that nobody holds any
  // more is forgotten.
  ImageEncoder(models::VisionLanguageModel* model, bool reuse, int64_t max_bytes = int64_t{256} << 20);

  // The features of every picture of the sequences in their order, each distinct object encoded once.
  std::vector<models::ImageFeatures> Encode(absl::Span<const Sequence* const> sequences);

  int64_t cached_bytes() const { return cached_bytes_; }
  // Pictures that went through the tower so far.
  int64_t encoded() const { return encoded_; }

 private:
  struct Entry {
    std::weak_ptr<const models::ProcessedImage> image;
    models::ImageFeatures features;
  };
  using Picture = std::shared_ptr<const models::ProcessedImage>;

  const models::ImageFeatures* Find(const Picture& picture) const;
  std::vector<models::ImageFeatures> RunTower(const std::vector<Picture>& pictures);
  void Keep(const Picture& picture, const models::ImageFeatures& features);
  void ForgetOldest();
  void ForgetReleased();

  models::VisionLanguageModel* model_;
  bool reuse_;
  int64_t max_bytes_;
  int64_t cached_bytes_ = 0;
  int64_t encoded_ = 0;
  std::unordered_map<const models::ProcessedImage*, Entry> entries_;
  std::deque<const models::ProcessedImage*> oldest_first_;
};

}  // namespace rein::training
