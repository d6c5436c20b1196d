#include "collectives/weight_sync.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace rein::collectives {
namespace {

constexpr int64_t kMagic = 0x5265696e57543031;  // "ReinWT01"
constexpr int64_t kMaxManifestBytes = int64_t{64} << 20;
// What a receiver says to the announcement.
constexpr int64_t kReady = 1, kRefuse = 0;

// The announcement that precedes the manifest: int64 [kFields].
enum Field { kMagicField, kEpoch, kNumber, kManifestBytes, kBucketBytes, kFields };

// One tensor a line: dtype, dimensions, name (which may hold blanks).
std::string Serialize(const std::vector<TensorInfo>& manifest) {
  std::string text;
  for (const TensorInfo& info : manifest)
    absl::StrAppend(&text, info.dtype, " ", absl::StrJoin(info.shape, ","), " ", info.name, "\n");
  return text;
}

std::vector<TensorInfo> Parse(const std::string& text) {
  std::vector<TensorInfo> manifest;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 2));
    if (parts.size() < 3) continue;
    TensorInfo info{parts[2], parts[0], {}};
    for (const absl::string_view size : absl::StrSplit(parts[1], ',', absl::SkipEmpty())) {
      if (!absl::SimpleAtoi(size, &info.shape.emplace_back())) info.shape.back() = -1;
    }
    manifest.push_back(std::move(info));
  }
  return manifest;
}

absl::Status BroadcastNow(WeightGroup& group, const at::Tensor& tensor) {
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<Transfer> transfer, group.Broadcast(tensor));
  return transfer->Wait();
}

// From rank 0's `bytes` to everyone's; on CPU memory whatever the group's device is.
absl::Status BroadcastBytes(WeightGroup& group, std::string& bytes) {
  const at::Tensor host = at::from_blob(bytes.data(), {static_cast<int64_t>(bytes.size())}, at::kByte);
  const at::Tensor there = host.to(group.device());
  REIN_RETURN_IF_ERROR(BroadcastNow(group, there));
  if (!there.is_alias_of(host)) host.copy_(there);
  return absl::OkStatus();
}

std::string RanksWith(const std::vector<int64_t>& answers, int64_t answer) {
  std::vector<size_t> ranks;
  for (size_t rank = 0; rank < answers.size(); ++rank) {
    if (answers[rank] == answer) ranks.push_back(rank);
  }
  return absl::StrJoin(ranks, ", ");
}

}  // namespace

absl::StatusOr<WeightSender> WeightSender::Make(WeightGroup* group, const NamedTensors& tensors,
                                                int64_t bucket_bytes) {
  if (group->rank() != 0)
    return absl::InvalidArgumentError(absl::StrCat("only rank 0 sends weights, not rank ", group->rank()));
  if (bucket_bytes <= 0)
    return absl::InvalidArgumentError(absl::StrCat("bucket_bytes must be positive, not ", bucket_bytes));
  REIN_ASSIGN_OR_RETURN(FlatLayout layout, FlatLayout::Of(tensors));
  return WeightSender(group, std::move(layout), (bucket_bytes + 63) / 64 * 64);
}

absl::Status WeightSender::Announce(Version version) {
  std::string manifest = Serialize(layout_.manifest());
  int64_t fields[kFields] = {};
  fields[kMagicField] = kMagic;
  fields[kEpoch] = static_cast<int64_t>(version.epoch);
  fields[kNumber] = static_cast<int64_t>(version.number);
  fields[kManifestBytes] = static_cast<int64_t>(manifest.size());
  fields[kBucketBytes] = bucket_bytes_;
  std::string header(reinterpret_cast<const char*>(fields), sizeof fields);
  REIN_RETURN_IF_ERROR(BroadcastBytes(*group_, header));
  REIN_RETURN_IF_ERROR(BroadcastBytes(*group_, manifest));
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> answers, group_->Gather(kReady));
  const std::string refusing = RanksWith(answers, kRefuse);
  if (refusing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("weights version ", version.epoch, ".", version.number,
                                                    " was refused by rank ", refusing,
                                                    "; its own answer says why"));
}

absl::StatusOr<SentWeights> WeightSender::Send(Version version) {
  REIN_RETURN_IF_ERROR(Announce(version));
  absl::StatusOr<SentWeights> sent = SendBuckets();
  if (!sent.ok()) group_->Abort();
  return sent;
}

absl::StatusOr<SentWeights> WeightSender::SendBuckets() {
  const int64_t bucket = std::min(bucket_bytes_, layout_.bytes());
  if (!buckets_.defined())
    buckets_ = at::empty({2, bucket}, at::TensorOptions(at::kByte).device(group_->device()));
  SentWeights sent{0, layout_.bytes()};
  std::unique_ptr<Transfer> in_flight;
  for (int64_t begin = 0, i = 0; begin < layout_.bytes(); begin += bucket, ++i) {
    const int64_t size = std::min(bucket, layout_.bytes() - begin);
    const at::Tensor packed = buckets_[i % 2].narrow(0, 0, size);
    layout_.Pack(begin, packed);
    REIN_ASSIGN_OR_RETURN(std::unique_ptr<Transfer> next, group_->Broadcast(packed));
    sent.fingerprint += layout_.FingerprintOfLive(begin, size);
    if (in_flight != nullptr) REIN_RETURN_IF_ERROR(in_flight->Wait());
    in_flight = std::move(next);
  }
  if (in_flight != nullptr) REIN_RETURN_IF_ERROR(in_flight->Wait());
  REIN_RETURN_IF_ERROR(group_->Gather(kReady).status());
  return sent;
}

absl::Status WeightReceiver::Accept(Version version, int64_t* bucket_bytes) {
  int64_t fields[kFields] = {};
  std::string header(sizeof fields, '\0');
  REIN_RETURN_IF_ERROR(BroadcastBytes(*group_, header));
  std::memcpy(fields, header.data(), sizeof fields);
  if (fields[kMagicField] != kMagic || fields[kManifestBytes] < 0 ||
      fields[kManifestBytes] > kMaxManifestBytes || fields[kBucketBytes] <= 0 ||
      fields[kBucketBytes] % 64 != 0) {
    group_->Abort();
    return absl::DataLossError("rank 0 sent something that does not announce weights");
  }
  std::string manifest(fields[kManifestBytes], '\0');
  REIN_RETURN_IF_ERROR(BroadcastBytes(*group_, manifest));
  const Version announced{static_cast<uint64_t>(fields[kEpoch]), static_cast<uint64_t>(fields[kNumber])};
  absl::Status verdict = staged_->layout().Match(Parse(manifest));
  if (announced != version) {
    verdict = absl::FailedPreconditionError(absl::StrCat("expected weights version ", version.epoch, ".",
                                                         version.number, ", the publisher sends ",
                                                         announced.epoch, ".", announced.number));
  }
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> answers, group_->Gather(verdict.ok() ? kReady : kRefuse));
  REIN_RETURN_IF_ERROR(verdict);
  if (const std::string refusing = RanksWith(answers, kRefuse); !refusing.empty())
    return absl::FailedPreconditionError(absl::StrCat("rank ", refusing, " refused the weights"));
  *bucket_bytes = fields[kBucketBytes];
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> WeightReceiver::Receive(Version version) {
  int64_t bucket_bytes = 0;
  REIN_RETURN_IF_ERROR(Accept(version, &bucket_bytes));
  absl::StatusOr<uint64_t> fingerprint = ReceiveBuckets(bucket_bytes);
  if (fingerprint.ok()) {
    staged_->Finish(version, *fingerprint);
  } else {
    group_->Abort();
    staged_->Drop();
  }
  return fingerprint;
}

absl::StatusOr<uint64_t> WeightReceiver::ReceiveBuckets(int64_t bucket_bytes) {
  const FlatLayout& layout = staged_->layout();
  const at::Tensor buffer = staged_->Begin(group_->device());
  uint64_t fingerprint = 0;
  int64_t arriving = 0;
  std::unique_ptr<Transfer> in_flight;
  const auto finish = [&](int64_t end) -> absl::Status {
    if (in_flight == nullptr) return absl::OkStatus();
    REIN_RETURN_IF_ERROR(in_flight->Wait());
    fingerprint += layout.FingerprintOf(arriving, buffer.slice(0, arriving, end));
    return absl::OkStatus();
  };
  for (int64_t begin = 0; begin < layout.bytes(); begin += bucket_bytes) {
    const int64_t end = std::min(begin + bucket_bytes, layout.bytes());
    REIN_ASSIGN_OR_RETURN(std::unique_ptr<Transfer> next, group_->Broadcast(buffer.slice(0, begin, end)));
    REIN_RETURN_IF_ERROR(finish(begin));
    in_flight = std::move(next);
    arriving = begin;
  }
  REIN_RETURN_IF_ERROR(finish(layout.bytes()));
  REIN_RETURN_IF_ERROR(group_->Gather(kReady).status());
  return fingerprint;
}

}  // namespace rein::collectives
