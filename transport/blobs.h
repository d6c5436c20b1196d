// Encoded images by digest: served by the coordinator, fetched once per process.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "rein/v1/actor.grpc.pb.h"
#include "rein/v1/common.pb.h"
#include "transport/peer.h"

namespace rein::transport {

// Encoded bytes; shared by everyone who uses them at the same time.
using Blob = std::shared_ptr<const std::string>;

// Serves Blobs.Get. The loader finds the bytes of a digest (e.g. in the data set); it is called from RPC
// threads.
class BlobService : public v1::Blobs::Service {
 public:
  using Loader = std::function<absl::StatusOr<Blob>(const std::string& digest)>;
  explicit BlobService(Loader loader) : loader_(std::move(loader)) {}
  grpc::Status Get(grpc::ServerContext* context, const v1::GetBlobRequest* request,
                   grpc::ServerWriter<v1::Chunk>* writer) override;

 private:
  Loader loader_;
};

// Bounded cache, least recently used first out. One fetch a digest at a time, checked against the digest.
// Thread-safe.
class BlobCache {
 public:
  BlobCache(Peer source, int64_t capacity_bytes, absl::Duration timeout)
      : source_(std::move(source)), capacity_bytes_(capacity_bytes), timeout_(timeout) {}

  // Errors: those of Blobs.Get; DATA_LOSS (the bytes have another digest), RESOURCE_EXHAUSTED (over 64 MiB).
  absl::StatusOr<Blob> Get(const std::string& digest);

 private:
  absl::StatusOr<Blob> Fetch(const std::string& digest);
  void Keep(const std::string& digest, const Blob& blob) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Peer source_;
  const int64_t capacity_bytes_;
  const absl::Duration timeout_;
  absl::Mutex mutex_;
  std::list<std::pair<std::string, Blob>> recent_ ABSL_GUARDED_BY(mutex_);  // newest first
  std::map<std::string, std::list<std::pair<std::string, Blob>>::iterator> index_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, bool> fetching_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rein::transport
