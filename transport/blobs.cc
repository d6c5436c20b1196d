#include "transport/blobs.h"

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein::transport {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;
constexpr int64_t kMaxBlobBytes = 64 << 20;

}  // namespace

grpc::Status BlobService::Get(grpc::ServerContext*, const v1::GetBlobRequest* request,
                              grpc::ServerWriter<v1::Chunk>* writer) {
  const absl::StatusOr<Blob> blob = loader_(request->digest());
  if (!blob.ok()) return ToGrpc(blob.status());
  const std::string& bytes = **blob;
  for (size_t offset = 0; offset < bytes.size(); offset += kChunkBytes) {
    v1::Chunk chunk;
    chunk.set_offset(static_cast<int64_t>(offset));
    chunk.set_total_bytes(static_cast<int64_t>(bytes.size()));
    chunk.set_data(bytes.substr(offset, kChunkBytes));
    if (!writer->Write(chunk)) return grpc::Status(grpc::StatusCode::CANCELLED, "the caller went away");
  }
  return grpc::Status::OK;
}

absl::StatusOr<Blob> BlobCache::Get(const std::string& digest) {
  {
    absl::MutexLock lock(&mutex_);
    const auto idle = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !fetching_.contains(digest); };
    mutex_.Await(absl::Condition(&idle));
    if (const auto found = index_.find(digest); found != index_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->second;
    }
    fetching_[digest] = true;
  }
  absl::StatusOr<Blob> blob = Fetch(digest);
  absl::MutexLock lock(&mutex_);
  fetching_.erase(digest);
  if (blob.ok()) Keep(digest, *blob);
  return blob;
}

absl::StatusOr<Blob> BlobCache::Fetch(const std::string& digest) {
  grpc::ClientContext context;
  source_.Prepare(context, timeout_);
  v1::GetBlobRequest request;
  request.set_digest(digest);
  const auto reader = v1::Blobs::NewStub(source_.channel())->Get(&context, request);
  auto bytes = std::make_shared<std::string>();
  v1::Chunk chunk;
  while (reader->Read(&chunk)) {
    if (chunk.total_bytes() > kMaxBlobBytes || static_cast<int64_t>(bytes->size()) > kMaxBlobBytes) {
      context.TryCancel();
      reader->Finish();
      return absl::ResourceExhaustedError(
          absl::StrCat("image ", digest, " is larger than ", kMaxBlobBytes, " bytes"));
    }
    bytes->append(chunk.data());
  }
  REIN_RETURN_IF_ERROR(FinishStatus(source_, reader->Finish()));
  if (Sha256Hex(*bytes) != digest) {
    return absl::DataLossError(absl::StrCat("image ", digest, " arrived with digest ", Sha256Hex(*bytes)));
  }
  return Blob(std::move(bytes));
}

void BlobCache::Keep(const std::string& digest, const Blob& blob) {
  recent_.emplace_front(digest, blob);
  index_[digest] = recent_.begin();
  bytes_ += static_cast<int64_t>(blob->size());
  while (bytes_ > capacity_bytes_ && recent_.size() > 1) {
    bytes_ -= static_cast<int64_t>(recent_.back().second->size());
    index_.erase(recent_.back().first);
    recent_.pop_back();
  }
}

}  // namespace rein::transport
