#include "actors/host/actor_process.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "transport/job_file.h"
#include "transport/token.h"

namespace rein::host {
namespace {

// The job file's port belongs to the first replica; others take any free one.
int PortOf(const v1::Job& job, const v1::ActorAddress& address) {
  const v1::ActorSpec* spec = transport::FindActor(job, address.role(), address.name());
  return spec != nullptr && address.replica() == 0 ? spec->port() : 0;
}

}  // namespace

absl::StatusOr<ProcessOptions> ReadRunFolder(const std::filesystem::path& run_dir,
                                             const v1::ActorAddress& address, int port) {
  v1::Job job;
  REIN_RETURN_IF_ERROR(transport::ReadYaml(run_dir / "job.yaml", {}, &job));
  ProcessOptions options;
  REIN_ASSIGN_OR_RETURN(const std::string job_id, ReadFile(run_dir / "job_id", 4096));
  options.host.job_id = std::string(absl::StripAsciiWhitespace(job_id));
  REIN_ASSIGN_OR_RETURN(options.host.token, transport::ReadToken(run_dir / "token"));
  options.host.address = address;
  options.host.queue_limit = job.limits().max_queue();
  options.host.max_message_bytes = job.limits().max_message_bytes();
  options.host.image_cache_bytes = job.limits().image_cache_bytes();
  options.host.run_dir = run_dir;
  options.port = port >= 0 ? port : PortOf(job, address);
  options.registration.address_file = run_dir / "coordinator.address";
  return options;
}

ActorProcess::ActorProcess(const ProcessOptions& options, const MakeRoleFn& make_role)
    : host_(options.host),
      role_(make_role(host_)),
      actor_service_(&host_, role_.get(), [on_end = options.on_end] { on_end(absl::OkStatus()); }) {}

absl::StatusOr<std::unique_ptr<ActorProcess>> ActorProcess::Start(const ProcessOptions& options,
                                                                  const MakeRoleFn& make_role) {
  std::unique_ptr<ActorProcess> process(new ActorProcess(options, make_role));
  std::vector<grpc::Service*> services = process->role_->services();
  services.push_back(&process->actor_service_);
  REIN_ASSIGN_OR_RETURN(process->server_,
                        transport::Server::Start({.port = options.port,
                                                  .token = options.host.token,
                                                  .max_message_bytes = options.host.max_message_bytes},
                                                 services));
  process->actor_service_.SetListenAddress(process->server_->address());
  process->server_->SetServing(true);
  LogInfo(absl::StrCat(options.host.address.role(), "/", options.host.address.name(), " listens on ",
                       process->server_->address()));
  ActorService* service = &process->actor_service_;
  process->registration_ = std::make_unique<Registration>(
      &process->host_, options.registration, [service] { return service->Status(); }, options.on_end);
  return process;
}

absl::Status ActorProcess::Drain(absl::Duration grace) {
  return actor_service_.DrainUntil(absl::Now() + grace);
}

ActorProcess::~ActorProcess() {
  if (server_ == nullptr) return;
  const absl::Status drained = Drain(absl::Seconds(10));
  if (!drained.ok()) LogError(absl::StrCat("work is cut off: ", drained.ToString()));
  registration_.reset();
  server_->Shutdown(absl::Seconds(1));
}

}  // namespace rein::host
