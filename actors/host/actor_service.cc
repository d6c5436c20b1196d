#include "actors/host/actor_service.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/log_line.h"
#include "base/status.h"
#include "google/protobuf/util/message_differencer.h"
#include "transport/blobs.h"
#include "transport/job_file.h"

namespace rein::host {
namespace {

constexpr absl::Duration kLongestDrain = absl::Minutes(10);

std::string Label(const v1::ActorAddress& address) {
  return absl::StrCat(address.role(), "/", address.name(), "/", address.replica());
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// The part of a request that must not change between two Configure calls: a new coordinator may answer at
// another address, and other actors may have been swapped.
v1::ConfigureRequest Essence(const v1::ConfigureRequest& request) {
  v1::ConfigureRequest essence = request;
  essence.clear_fence();
  essence.clear_blobs_address();
  essence.mutable_job()->clear_actors();
  return essence;
}

bool SameActor(const v1::ActorAddress& a, const v1::ActorAddress& b) {
  return google::protobuf::util::MessageDifferencer::Equals(a, b);
}

absl::StatusOr<Configuration> ToConfiguration(const v1::ConfigureRequest& request) {
  const v1::ActorAddress& address = request.address();
  const v1::ActorSpec* spec = transport::FindActor(request.job(), address.role(), address.name());
  if (spec == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the job has no actor '", Label(address), "'; list it under `actors`"));
  }
  return Configuration{.job = request.job(), .spec = *spec, .model = request.model()};
}

// Thread counts belong to the thread that computes: this runs on the executor.
void SetUpTensorWork(const Configuration& configuration) {
  at::set_num_threads(std::max(1, configuration.spec.threads()));
  at::globalContext().setDeterministicAlgorithms(configuration.job.deterministic(), /*warn_only=*/false);
  // Nothing here reads uninitialised memory; filling it would cost time.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

}  // namespace

ActorService::ActorService(Host* host, Role* role, std::function<void()> on_shutdown)
    : host_(host), role_(role), on_shutdown_(std::move(on_shutdown)) {}

grpc::Status ActorService::Configure(grpc::ServerContext*, const v1::ConfigureRequest* request,
                                     v1::ConfigureResponse* response) {
  return Answer([&] { return HandleConfigure(*request, response); });
}

absl::Status ActorService::HandleConfigure(const v1::ConfigureRequest& request,
                                           v1::ConfigureResponse* response) {
  REIN_RETURN_IF_ERROR(host_->fence().Check(request.fence()));
  if (!SameActor(request.address(), host_->address())) {
    return absl::InvalidArgumentError(absl::StrCat("this is actor ", Label(host_->address()), ", not ",
                                                   Label(request.address()), "; check the address"));
  }
  REIN_ASSIGN_OR_RETURN(const bool answered, AnswerIfConfigured(request, response));
  if (answered) return absl::OkStatus();
  return host_->Run("Configure", [&] { return ConfigureRole(request, response); });
}

absl::StatusOr<bool> ActorService::AnswerIfConfigured(const v1::ConfigureRequest& request,
                                                      v1::ConfigureResponse* response) {
  {
    absl::MutexLock lock(&mutex_);
    if (!configured_with_.has_value()) return false;
    std::string difference;
    google::protobuf::util::MessageDifferencer differencer;
    differencer.ReportDifferencesToString(&difference);
    if (!differencer.Compare(*configured_with_, Essence(request))) {
      return absl::FailedPreconditionError(absl::StrCat(
          Label(host_->address()), " is configured otherwise; restart it to change: ", difference));
    }
    *response->mutable_model() = model_;
  }
  REIN_RETURN_IF_ERROR(SetBlobs(request));
  return true;
}

absl::Status ActorService::ConfigureRole(const v1::ConfigureRequest& request,
                                         v1::ConfigureResponse* response) {
  // A repetition that waited behind the first.
  REIN_ASSIGN_OR_RETURN(const bool answered, AnswerIfConfigured(request, response));
  if (answered) return absl::OkStatus();
  configuring_ = true;
  const absl::Cleanup done = [this] { configuring_ = false; };
  REIN_ASSIGN_OR_RETURN(Configuration configuration, ToConfiguration(request));
  configuration.show = [host = host_](const std::string& activity) {
    host->executor().SetActivity(activity);
  };
  SetUpTensorWork(configuration);
  REIN_RETURN_IF_ERROR(SetBlobs(request));
  REIN_ASSIGN_OR_RETURN(*response->mutable_model(), LoadRole(configuration));
  absl::MutexLock lock(&mutex_);
  configured_with_ = Essence(request);
  model_ = response->model();
  host_->SetConfigured();
  return absl::OkStatus();
}

// Where roles share a device they load one after the other and make room for the next.
absl::StatusOr<v1::ModelInfo> ActorService::LoadRole(const Configuration& configuration) {
  if (!configuration.spec.offload()) return role_->Configure(configuration);
  REIN_ASSIGN_OR_RETURN(const LoadTurn turn,
                        LoadTurn::Await(host_->options().run_dir, configuration.spec.device()));
  REIN_ASSIGN_OR_RETURN(const v1::ModelInfo model, role_->Configure(configuration));
  offloads_ = true;
  REIN_RETURN_IF_ERROR(PutAway());
  return model;
}

absl::Status ActorService::PutAway() {
  REIN_ASSIGN_OR_RETURN(const Releasable releasable, role_->Release());
  return host_->offload().PutAway(releasable);
}

absl::Status ActorService::SetBlobs(const v1::ConfigureRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (blobs_address_ == request.blobs_address()) return absl::OkStatus();
  absl::StatusOr<transport::Peer> peer = host_->OpenPeer(request.blobs_address());
  if (!peer.ok()) return WithContext(peer.status(), "blobs_address");
  const v1::Limits& limits = request.job().limits();
  host_->images().SetSource(std::make_shared<transport::BlobCache>(
      *std::move(peer), host_->options().image_cache_bytes, absl::Seconds(limits.score_timeout_s())));
  blobs_address_ = request.blobs_address();
  return absl::OkStatus();
}

grpc::Status ActorService::GetStatus(grpc::ServerContext*, const v1::ActorStatusRequest*,
                                     v1::ActorStatus* response) {
  return Answer([&] {
    *response = Status();
    return absl::OkStatus();
  });
}

v1::ActorPhase ActorService::Phase() const {
  if (host_->draining()) return v1::DRAINING;
  if (configuring_) return v1::CONFIGURING;
  if (!host_->configured()) return v1::STARTING;
  return host_->executor().activity().empty() && host_->executor().queue() == 0 ? v1::READY : v1::BUSY;
}

v1::ActorStatus ActorService::Status() const {
  static const std::string host_name = HostName();
  v1::ActorStatus status;
  *status.mutable_address() = host_->address();
  status.set_phase(Phase());
  status.set_host(host_name);
  status.set_pid(getpid());
  status.set_incarnation(host_->fence().incarnation());
  *status.mutable_weight_version() = role_->weight_version();
  status.set_queue(host_->executor().queue());
  status.set_queue_limit(host_->executor().queue_limit());
  status.set_activity(host_->executor().activity());
  status.set_last_progress_ns(absl::ToUnixNanos(host_->executor().last_progress()));
  status.set_rss_bytes(ResidentBytes());
  status.set_offloaded_bytes(host_->offload().bytes());
  for (const auto& [name, value] : host_->counters().All()) {
    v1::Metric* metric = status.add_counters();
    metric->set_name(name);
    metric->set_value(value);
  }
  absl::MutexLock lock(&mutex_);
  status.set_listen_address(listen_address_);
  *status.mutable_model() = model_;
  return status;
}

void ActorService::SetListenAddress(const std::string& address) {
  absl::MutexLock lock(&mutex_);
  listen_address_ = address;
}

absl::Status ActorService::DrainUntil(absl::Time deadline) {
  host_->SetDraining();
  REIN_RETURN_IF_ERROR(role_->Drain(deadline));
  return host_->executor().WaitIdle(deadline);
}

grpc::Status ActorService::Release(grpc::ServerContext*, const v1::ReleaseRequest* request,
                                   v1::ReleaseResponse* response) {
  return Answer([&]() -> absl::Status {
    REIN_RETURN_IF_ERROR(host_->Admit(request->fence()));
    if (!offloads_) {
      return absl::FailedPreconditionError(absl::StrCat(
          Label(host_->address()), " keeps its weights; set `offload` of this actor in the job file"));
    }
    REIN_RETURN_IF_ERROR(host_->RunWithoutTensors("Release", [this]() -> absl::Status {
      return host_->offload().bytes() > 0 ? absl::OkStatus() : PutAway();
    }));
    response->set_offloaded_bytes(host_->offload().bytes());
    return absl::OkStatus();
  });
}

grpc::Status ActorService::Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                                 v1::DrainResponse*) {
  return Answer([&]() -> absl::Status {
    REIN_RETURN_IF_ERROR(host_->fence().Check(request->fence()));
    return DrainUntil(std::min(absl::FromChrono(context->deadline()), absl::Now() + kLongestDrain));
  });
}

grpc::Status ActorService::Shutdown(grpc::ServerContext*, const v1::ShutdownRequest* request,
                                    v1::ShutdownResponse*) {
  return Answer([&]() -> absl::Status {
    REIN_RETURN_IF_ERROR(host_->fence().Check(request->fence()));
    on_shutdown_();
    return absl::OkStatus();
  });
}

}  // namespace rein::host
