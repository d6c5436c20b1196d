#include "coordinator/launcher_client.h"

#include "base/status.h"

namespace rein::coordinator {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);

}  // namespace

absl::StatusOr<int64_t> LauncherClient::Start(const v1::ActorAddress& address) {
  v1::StartActorRequest request;
  *request.mutable_address() = address;
  const absl::StatusOr<v1::StartActorResponse> response =
      transport::Call<v1::Launcher::Stub, v1::StartActorRequest, v1::StartActorResponse>(
          peer_, *stub_, &v1::Launcher::Stub::Start, request, kCallTimeout);
  if (absl::IsAlreadyExists(response.status())) return 0;
  REIN_RETURN_IF_ERROR(response.status());
  return response->pid();
}

absl::Status LauncherClient::Stop(const v1::ActorAddress& address, absl::Duration grace) {
  v1::StopActorRequest request;
  *request.mutable_address() = address;
  request.set_grace_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(grace)));
  return transport::Call<v1::Launcher::Stub, v1::StopActorRequest, v1::StopActorResponse>(
             peer_, *stub_, &v1::Launcher::Stub::Stop, request, kCallTimeout + grace)
      .status();
}

absl::StatusOr<std::vector<v1::LaunchedActor>> LauncherClient::List() {
  REIN_ASSIGN_OR_RETURN(
      const v1::ListActorsResponse response,
      (transport::Call<v1::Launcher::Stub, v1::ListActorsRequest, v1::ListActorsResponse>(
          peer_, *stub_, &v1::Launcher::Stub::List, {}, kCallTimeout, transport::Repeat::kWhileUnavailable)));
  return std::vector<v1::LaunchedActor>(response.actors().begin(), response.actors().end());
}

}  // namespace rein::coordinator
