// Pictures by digest, as the vision tower takes them: fetched, decoded and processed once per process.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "models/processor.h"
#include "rein/v1/common.pb.h"
#include "transport/blobs.h"

namespace rein::host {

using Picture = std::shared_ptr<const models::ProcessedImage>;

// Keeps at most `capacity_bytes` of pixels, least recently used first out. A digest gives the same object for
// as long as anybody holds it, so that its features are computed once. Thread-safe.
class ImageStore {
 public:
  explicit ImageStore(int64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // Both are set before the first use, and again when the source moves.
  void SetSource(std::shared_ptr<transport::BlobCache> source);
  void SetProcessor(std::shared_ptr<const models::Processor> processor);

  // RPC threads: waits until the encoded bytes of all pictures are in this process. Errors of single pictures
  // are left for Get to report.
  void Prefetch(const google::protobuf::RepeatedPtrField<v1::ImageRef>& images);
  // Executor thread. Errors: NOT_FOUND, INVALID_ARGUMENT (undecodable, over the limits), UNAVAILABLE; the
  // message names the digest.
  absl::StatusOr<Picture> Get(const std::string& digest);
  // Any thread: the picture as it was sent. Errors: NOT_FOUND, UNAVAILABLE; FAILED_PRECONDITION (no source).
  absl::StatusOr<transport::Blob> Encoded(const std::string& digest);
  // The same as Get for a picture whose encoded bytes are here already.
  absl::StatusOr<Picture> GetDecoded(const std::string& digest, const std::string& encoded);

 private:
  struct Entry {
    std::weak_ptr<const models::ProcessedImage> picture;
    std::list<std::pair<std::string, Picture>>::iterator kept;
    bool is_kept = false;
  };
  Picture Find(const std::string& digest);
  Picture Keep(const std::string& digest, Picture picture);
  void Evict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Picture> Fetch(const std::string& digest);
  absl::StatusOr<Picture> Process(const std::string& encoded);

  const int64_t capacity_bytes_;
  absl::Mutex mutex_;
  std::shared_ptr<transport::BlobCache> source_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const models::Processor> processor_ ABSL_GUARDED_BY(mutex_);
  std::list<std::pair<std::string, Picture>> recent_ ABSL_GUARDED_BY(mutex_);  // newest first
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rein::host
