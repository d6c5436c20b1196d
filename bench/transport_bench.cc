// RPC on loopback, with token and limits as in a job. Compare the time of a call and bytes_per_second.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "base/hash.h"
#include "bench/inputs.h"
#include "grpcpp/grpcpp.h"
#include "rein/v1/actor.grpc.pb.h"
#include "transport/blobs.h"
#include "transport/peer.h"
#include "transport/server.h"

namespace rein::bench {
namespace {

class StatusService : public v1::Actor::Service {
  grpc::Status GetStatus(grpc::ServerContext*, const v1::ActorStatusRequest*,
                         v1::ActorStatus* response) override {
    response->set_activity("idle");
    return grpc::Status::OK;
  }
};

// Counter p50_us: the median of single calls.
void UnaryCall(benchmark::State& state) {
  StatusService service;
  const auto server = Require(transport::Server::Start({.token = "bench"}, {&service}));
  const auto peer = Require(transport::Peer::Open(server->address(), {.token = "bench"}));
  const auto stub = v1::Actor::NewStub(peer.channel());
  std::vector<double> micros;
  for (auto _ : state) {
    const absl::Time start = absl::Now();
    Require(transport::Call(peer, *stub, &v1::Actor::Stub::GetStatus, v1::ActorStatusRequest(),
                            absl::Seconds(5)));
    micros.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
  }
  std::nth_element(micros.begin(), micros.begin() + micros.size() / 2, micros.end());
  state.counters["p50_us"] = micros[micros.size() / 2];
}
BENCHMARK(UnaryCall)->Unit(benchmark::kMicrosecond)->UseRealTime();

void Stream64MiB(benchmark::State& state) {
  const auto bytes = std::make_shared<const std::string>(int64_t{64} << 20, 'x');
  transport::BlobService service([&](const std::string&) { return bytes; });
  const auto server = Require(transport::Server::Start({.token = "bench"}, {&service}));
  const auto peer = Require(transport::Peer::Open(server->address(), {.token = "bench"}));
  const auto stub = v1::Blobs::NewStub(peer.channel());
  v1::GetBlobRequest request;
  request.set_digest(Sha256Hex(*bytes));
  for (auto _ : state) {
    grpc::ClientContext context;
    peer.Prepare(context, absl::Seconds(60));
    const auto reader = stub->Get(&context, request);
    size_t received = 0;
    for (v1::Chunk chunk; reader->Read(&chunk);) received += chunk.data().size();
    Require(transport::FinishStatus(peer, reader->Finish()));
    if (received != bytes->size()) return state.SkipWithError("bytes are missing");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes->size()));
}
BENCHMARK(Stream64MiB)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
