#include "actors/rollout/weight_reader.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "collectives/weight_stream.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::rollout {
namespace {

using Reader = grpc::ClientReader<v1::ReadWeightsResponse>;

std::vector<collectives::TensorInfo> ToInfos(const v1::WeightManifest& manifest) {
  std::vector<collectives::TensorInfo> infos;
  for (const v1::TensorEntry& entry : manifest.tensors()) {
    infos.push_back({entry.name(), entry.dtype(), {entry.shape().begin(), entry.shape().end()}});
  }
  return infos;
}

// The manifest and all chunks; `fingerprint` is what the source announces. A stream that ends early is left
// to the reader's Finish.
absl::Status TakeMessages(Reader& messages, collectives::WeightStreamReader& reader, uint64_t* fingerprint) {
  v1::ReadWeightsResponse message;
  if (!messages.Read(&message)) return absl::OkStatus();
  if (!message.has_manifest())
    return absl::DataLossError("the weight stream does not begin with its manifest");
  *fingerprint = message.manifest().fingerprint();
  REIN_RETURN_IF_ERROR(reader.Begin(ToInfos(message.manifest())));
  int64_t position = 0;
  while (messages.Read(&message)) {
    if (!message.has_chunk() || message.chunk().offset() != position) {
      return absl::DataLossError(
          absl::StrCat("the weight stream does not go on at byte ", position, " as it must"));
    }
    REIN_RETURN_IF_ERROR(reader.Add(message.chunk().data()));
    position += static_cast<int64_t>(message.chunk().data().size());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> ReadWeights(const transport::Peer& source, const grpc::ServerContext& caller,
                                     absl::Duration timeout, const v1::ReadWeightsRequest& request,
                                     collectives::StagedWeights* staged) {
  const std::unique_ptr<grpc::ClientContext> context = grpc::ClientContext::FromServerContext(caller);
  source.Prepare(*context, timeout);
  const auto stub = v1::WeightSource::NewStub(source.channel());
  const std::unique_ptr<Reader> messages = stub->Read(context.get(), request);
  collectives::WeightStreamReader reader(staged);
  uint64_t announced = 0;
  const absl::Status taken = TakeMessages(*messages, reader, &announced);
  if (!taken.ok()) context->TryCancel();
  const absl::Status finished = transport::FinishStatus(source, messages->Finish());
  REIN_RETURN_IF_ERROR(taken);
  REIN_RETURN_IF_ERROR(finished);
  const collectives::Version version{request.version().coordinator_epoch(),
                                     static_cast<uint64_t>(request.version().number())};
  REIN_ASSIGN_OR_RETURN(const uint64_t fingerprint, reader.Finish(version));
  if (fingerprint == announced) return fingerprint;
  staged->Drop();
  return absl::DataLossError(absl::StrCat("the weights that arrived have fingerprint ", fingerprint,
                                          ", the source announced ", announced, "; receive them again"));
}

}  // namespace rein::rollout
