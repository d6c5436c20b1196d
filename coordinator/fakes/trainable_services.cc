#include "coordinator/fakes/trainable_services.h"

#include <filesystem>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "transport/status.h"

namespace rein::coordinator::fakes {
namespace {

namespace fs = std::filesystem;
using transport::ToGrpc;

uint64_t BatchHash(const google::protobuf::RepeatedField<float>& numbers, uint64_t hash) {
  for (const float number : numbers) {
    hash = Mix64(hash ^ static_cast<uint64_t>(static_cast<int64_t>(static_cast<double>(number) * 1e9)));
  }
  return hash;
}
uint64_t BatchHash(const v1::PolicySample& sample, uint64_t hash) {
  return BatchHash(sample.advantages(), hash ^ HashOf(sample.sample().sample_id()));
}
uint64_t BatchHash(const v1::CriticSample& sample, uint64_t hash) {
  return BatchHash(sample.returns(), hash ^ HashOf(sample.sample().sample_id()));
}

template <typename Request>
absl::Status TrainStep(Life& life, grpc::ServerContext* context,
                       grpc::ServerReaderWriter<v1::TrainProgress, Request>& stream) {
  Request request;
  if (!stream.Read(&request) || !request.has_header())
    return absl::InvalidArgumentError("the first message must be the header");
  const v1::TrainHeader header = request.header();
  REIN_RETURN_IF_ERROR(life.Enter("Train", context, header.fence()));
  uint64_t batch = 0;
  int samples = 0;
  for (; stream.Read(&request); ++samples) batch = BatchHash(request.sample(), batch);
  if (samples != header.samples()) {
    return absl::InvalidArgumentError(
        absl::StrCat(samples, " samples came, the header says ", header.samples()));
  }
  REIN_ASSIGN_OR_RETURN(v1::TrainResult result,
                        life.Train(header.fence().request_id(), header.version(), batch));
  REIN_RETURN_IF_ERROR(life.Pass("Trained", context));
  v1::TrainProgress progress;
  *progress.mutable_result() = std::move(result);
  stream.Write(progress);
  return absl::OkStatus();
}

class PolicyService : public v1::Policy::Service {
 public:
  explicit PolicyService(Life* life) : life_(life) {}
  grpc::Status Train(grpc::ServerContext* context,
                     grpc::ServerReaderWriter<v1::TrainProgress, v1::TrainPolicyRequest>* stream) override {
    return ToGrpc(TrainStep(*life_, context, *stream));
  }
  grpc::Status Publish(grpc::ServerContext* context, const v1::PublishRequest* request,
                       v1::PublishResponse* response) override {
    const absl::Status status = life_->Enter("Publish", context, request->fence());
    if (status.ok()) life_->weights().Post(request->version(), life_->state());
    response->set_fingerprint(Mix64(life_->state()));
    return ToGrpc(status);
  }

 private:
  Life* const life_;
};

class StateService : public v1::State::Service {
 public:
  explicit StateService(Life* life) : life_(life) {}
  grpc::Status Save(grpc::ServerContext* context, const v1::SaveStateRequest* request,
                    v1::SaveStateResponse* response) override {
    return ToGrpc(SaveFiles(context, *request, *response));
  }
  grpc::Status Load(grpc::ServerContext* context, const v1::LoadStateRequest* request,
                    v1::LoadStateResponse*) override {
    return ToGrpc(LoadFiles(context, *request));
  }

 private:
  std::string Own() const { return absl::StrCat(life_->address().role(), "-", life_->address().name()); }
  static absl::Status Write(const fs::path& folder, const std::string& name, const std::string& contents,
                            v1::SaveStateResponse& response) {
    REIN_RETURN_IF_ERROR(MakeFolder((folder / name).parent_path()));
    REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / name, contents));
    v1::SavedFile& file = *response.add_files();
    file.set_path(name);
    file.set_size_bytes(static_cast<int64_t>(contents.size()));
    file.set_crc32c(Crc32c(contents));
    return absl::OkStatus();
  }
  absl::Status SaveFiles(grpc::ServerContext* context, const v1::SaveStateRequest& request,
                         v1::SaveStateResponse& response) {
    REIN_RETURN_IF_ERROR(life_->Enter("Save", context, request.fence()));
    const std::string state = absl::StrCat(life_->state());
    REIN_RETURN_IF_ERROR(Write(request.folder(), Own() + "/model/config.json", "{}", response));
    REIN_RETURN_IF_ERROR(Write(request.folder(), Own() + "/model/weights.txt", state, response));
    *response.mutable_version() = life_->version();
    return life_->Pass("Saved", context);
  }
  absl::Status LoadFiles(grpc::ServerContext* context, const v1::LoadStateRequest& request) {
    REIN_RETURN_IF_ERROR(life_->Enter("Load", context, request.fence()));
    life_->script().NoteLoaded(request.folder());
    uint64_t state = 0;
    if (!request.folder().empty()) {
      REIN_ASSIGN_OR_RETURN(const std::string text,
                            ReadFile(fs::path(request.folder()) / Own() / "model/weights.txt"));
      if (!absl::SimpleAtoi(text, &state)) return absl::DataLossError("weights.txt holds no number");
      if (request.files_size() != 2) return absl::InvalidArgumentError("expected two files");
    }
    life_->SetState(state, request.version());
    return absl::OkStatus();
  }
  Life* const life_;
};

class WeightsService : public v1::Weights::Service {
 public:
  explicit WeightsService(Life* life) : life_(life) {}
  grpc::Status Prepare(grpc::ServerContext* context, const v1::PrepareWeightsRequest* request,
                       v1::PrepareWeightsResponse* response) override {
    if (request->rank() == 0) response->set_store_address("127.0.0.1:1");
    return ToGrpc(life_->Enter("Prepare", context, request->fence()));
  }
  grpc::Status Receive(grpc::ServerContext* context, const v1::ReceiveWeightsRequest* request,
                       v1::ReceiveWeightsResponse* response) override {
    const bool stream = !request->source_address().empty();
    const absl::Status status =
        life_->Enter(stream ? "ReceiveStream" : "ReceiveGroup", context, request->fence());
    if (!status.ok()) return ToGrpc(status);
    const absl::StatusOr<uint64_t> state = life_->weights().Await(request->version(), context);
    if (!state.ok()) return ToGrpc(state.status());
    {
      absl::MutexLock lock(&mutex_);
      staged_ = *state;
      staged_version_ = request->version();
    }
    response->set_fingerprint(Mix64(*state) + (life_->script().TakeWrongFingerprint() ? 1 : 0));
    return grpc::Status::OK;
  }
  grpc::Status Activate(grpc::ServerContext* context, const v1::ActivateWeightsRequest* request,
                        v1::ActivateWeightsResponse*) override {
    const absl::Status status = life_->Enter("Activate", context, request->fence());
    if (!status.ok()) return ToGrpc(status);
    absl::MutexLock lock(&mutex_);
    if (staged_version_.number() != request->version().number() ||
        staged_version_.coordinator_epoch() != request->version().coordinator_epoch()) {
      return ToGrpc(absl::FailedPreconditionError("that version is not staged"));
    }
    life_->SetState(staged_, staged_version_);
    return grpc::Status::OK;
  }

 private:
  Life* const life_;
  absl::Mutex mutex_;
  uint64_t staged_ ABSL_GUARDED_BY(mutex_) = 0;
  v1::WeightVersion staged_version_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::Status CriticTraining::Train(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::TrainProgress, v1::TrainCriticRequest>* stream) {
  return ToGrpc(TrainStep(*life_, context, *stream));
}

std::unique_ptr<grpc::Service> MakePolicyService(Life* life) { return std::make_unique<PolicyService>(life); }
std::unique_ptr<grpc::Service> MakeStateService(Life* life) { return std::make_unique<StateService>(life); }
std::unique_ptr<grpc::Service> MakeWeightsService(Life* life) {
  return std::make_unique<WeightsService>(life);
}

}  // namespace rein::coordinator::fakes
