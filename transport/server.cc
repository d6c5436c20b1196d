#include "transport/server.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/ext/health_check_service_server_builder_option.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/auth_metadata_processor.h"
#include "grpcpp/security/server_credentials.h"
#include "openssl/crypto.h"
#include "transport/token.h"

namespace rein::transport {

// Refuses calls that do not carry the job token. The health service is behind it as well.
class Server::TokenCheck : public grpc::AuthMetadataProcessor {
 public:
  explicit TokenCheck(std::string token) : token_(std::move(token)) {}
  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext*, OutputMetadata* consumed,
                       OutputMetadata*) override {
    const auto found = metadata.find(kTokenKey);
    if (found == metadata.end() || !Equal(found->second)) {
      return grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                          "missing or wrong job token; use the file `token` of the run folder");
    }
    consumed->emplace(kTokenKey, std::string(found->second.data(), found->second.size()));
    return grpc::Status::OK;
  }

 private:
  // In constant time, so that a guess learns nothing from how long the answer takes.
  bool Equal(const grpc::string_ref& given) const {
    return given.size() == token_.size() && CRYPTO_memcmp(given.data(), token_.data(), token_.size()) == 0;
  }
  const std::string token_;
};

namespace {

void SetLimits(grpc::ServerBuilder& builder, const ServerOptions& options) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Clients ping every 10 s, also without calls.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 256);
}

// gRPC fixes whether health checks are served when the first server starts.
void EnableHealthChecks() {
  static std::once_flag once;
  std::call_once(once, [] { grpc::EnableDefaultHealthCheckService(true); });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const std::vector<grpc::Service*>& services) {
  EnableHealthChecks();
  auto credentials = grpc::experimental::LocalServerCredentials(LOCAL_TCP);
  if (!options.token.empty())
    credentials->SetAuthMetadataProcessor(std::make_shared<TokenCheck>(options.token));
  grpc::ServerBuilder builder;
  SetLimits(builder, options);
  int port = 0;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", options.port), credentials, &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> listening = builder.BuildAndStart();
  if (listening == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on 127.0.0.1:", options.port,
                     ": the port is taken or not allowed; choose another, or 0 for any"));
  }
  std::unique_ptr<Server> server(new Server());
  server->server_ = std::move(listening);
  server->address_ = absl::StrCat("127.0.0.1:", port);
  return server;
}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::SetServing(bool serving) { server_->GetHealthCheckService()->SetServingStatus(serving); }

void Server::Shutdown(absl::Duration grace) {
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
}

}  // namespace rein::transport
