#include "actors/host/image_store.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/image.h"

namespace rein::host {
namespace {

int64_t Bytes(const Picture& picture) { return static_cast<int64_t>(picture->pixels.nbytes()); }

absl::Status NotConfigured() {
  return absl::FailedPreconditionError("this actor has not been configured; send Actor.Configure first");
}

}  // namespace

void ImageStore::SetSource(std::shared_ptr<transport::BlobCache> source) {
  absl::MutexLock lock(&mutex_);
  source_ = std::move(source);
}

void ImageStore::SetProcessor(std::shared_ptr<const models::Processor> processor) {
  absl::MutexLock lock(&mutex_);
  processor_ = std::move(processor);
}

void ImageStore::Prefetch(const google::protobuf::RepeatedPtrField<v1::ImageRef>& images) {
  std::shared_ptr<transport::BlobCache> source;
  {
    absl::MutexLock lock(&mutex_);
    source = source_;
  }
  if (source == nullptr) return;
  for (const v1::ImageRef& image : images) {
    if (Find(image.digest()) == nullptr) source->Get(image.digest()).IgnoreError();
  }
}

absl::StatusOr<Picture> ImageStore::Get(const std::string& digest) {
  if (Picture found = Find(digest); found != nullptr) return found;
  absl::StatusOr<Picture> fetched = Fetch(digest);
  if (!fetched.ok()) return WithContext(fetched.status(), absl::StrCat("image ", digest));
  return Keep(digest, *std::move(fetched));
}

absl::StatusOr<Picture> ImageStore::GetDecoded(const std::string& digest, const std::string& encoded) {
  if (Picture found = Find(digest); found != nullptr) return found;
  absl::StatusOr<Picture> processed = Process(encoded);
  if (!processed.ok()) return WithContext(processed.status(), absl::StrCat("image ", digest));
  return Keep(digest, *std::move(processed));
}

Picture ImageStore::Find(const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end()) return nullptr;
  if (found->second.is_kept) recent_.splice(recent_.begin(), recent_, found->second.kept);
  return found->second.picture.lock();
}

absl::StatusOr<transport::Blob> ImageStore::Encoded(const std::string& digest) {
  std::shared_ptr<transport::BlobCache> source;
  {
    absl::MutexLock lock(&mutex_);
    source = source_;
  }
  if (source == nullptr) return NotConfigured();
  return source->Get(digest);
}

absl::StatusOr<Picture> ImageStore::Fetch(const std::string& digest) {
  REIN_ASSIGN_OR_RETURN(const transport::Blob encoded, Encoded(digest));
  return Process(*encoded);
}

absl::StatusOr<Picture> ImageStore::Process(const std::string& encoded) {
  std::shared_ptr<const models::Processor> processor;
  {
    absl::MutexLock lock(&mutex_);
    processor = processor_;
  }
  if (processor == nullptr) return NotConfigured();
  REIN_ASSIGN_OR_RETURN(const data::RgbImage image, data::DecodeImage(encoded));
  REIN_ASSIGN_OR_RETURN(models::ProcessedImage processed, processor->ProcessImage(image));
  return std::make_shared<const models::ProcessedImage>(std::move(processed));
}

Picture ImageStore::Keep(const std::string& digest, Picture picture) {
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[digest];
  if (Picture other = entry.picture.lock(); other != nullptr) picture = std::move(other);
  entry.picture = picture;
  if (!entry.is_kept) {
    recent_.emplace_front(digest, picture);
    entry.kept = recent_.begin();
    entry.is_kept = true;
    bytes_ += Bytes(picture);
  }
  Evict();
  return picture;
}

void ImageStore::Evict() {
  while (bytes_ > capacity_bytes_ && recent_.size() > 1) {
    bytes_ -= Bytes(recent_.back().second);
    Entry& entry = entries_[recent_.back().first];
    entry.is_kept = false;
    recent_.pop_back();
  }
  // Entries whose picture nobody holds any more go when they outnumber the others.
  if (entries_.size() > 2 * recent_.size() + 64) {
    std::erase_if(entries_, [](const auto& entry) { return entry.second.picture.expired(); });
  }
}

}  // namespace rein::host
