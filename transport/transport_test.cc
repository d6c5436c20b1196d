// Servers, peers, tokens, fences, blobs and the executor, over real connections on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/hash.h"
#include "grpcpp/generic/generic_stub.h"
#include "rein/v1/actor.grpc.pb.h"
#include "transport/blobs.h"
#include "transport/executor.h"
#include "transport/fence.h"
#include "transport/peer.h"
#include "transport/request_memory.h"
#include "transport/server.h"
#include "transport/token.h"

namespace rein::transport {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(20);

BlobService MakeBlobs(const std::map<std::string, Blob>* blobs, std::atomic<int>* loads) {
  return BlobService([=](const std::string& digest) -> absl::StatusOr<Blob> {
    ++*loads;
    const auto found = blobs->find(digest);
    if (found == blobs->end()) return absl::NotFoundError("no image " + digest);
    return found->second;
  });
}

class Connection : public testing::Test {
 protected:
  void Start(const ServerOptions& options) {
    auto server = Server::Start(options, {&service_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  Peer PeerWith(const std::string& token) { return *Peer::Open(server_->address(), {token}); }
  std::string Add(const std::string& bytes) {
    const std::string digest = Sha256Hex(bytes);
    blobs_[digest] = std::make_shared<const std::string>(bytes);
    return digest;
  }

  std::map<std::string, Blob> blobs_;
  std::atomic<int> loads_ = 0;
  BlobService service_ = MakeBlobs(&blobs_, &loads_);
  std::unique_ptr<Server> server_;
};

TEST_F(Connection, RefusesCallsWithoutTheToken) {
  Start({.token = "right"});
  const std::string digest = Add("image");
  BlobCache good(PeerWith("right"), 1 << 20, kPatience);
  EXPECT_EQ(**good.Get(digest), "image");
  for (const char* token : {"", "wrong", "righ", "right2"}) {
    BlobCache bad(PeerWith(token), 1 << 20, kPatience);
    EXPECT_EQ(bad.Get(digest).status().code(), absl::StatusCode::kUnauthenticated) << token;
  }
  EXPECT_EQ(loads_, 1);
}

TEST_F(Connection, FetchesAnImageOnceAndChecksItsDigest) {
  Start({.token = "t"});
  const std::string digest = Add(std::string(3 << 20, 'x') + "end");
  BlobCache cache(PeerWith("t"), 64 << 20, kPatience);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { EXPECT_EQ(cache.Get(digest).status(), absl::OkStatus()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(loads_, 1);
  blobs_["0000"] = std::make_shared<const std::string>("other");
  EXPECT_EQ(cache.Get("0000").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(cache.Get("unknown").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Connection, ForgetsTheImageUnusedForLongest) {
  Start({.token = "t"});
  const std::string a = Add(std::string(600, 'a')), b = Add(std::string(600, 'b'));
  BlobCache cache(PeerWith("t"), 1000, kPatience);
  ASSERT_TRUE(cache.Get(a).ok() && cache.Get(b).ok() && cache.Get(b).ok());
  EXPECT_EQ(loads_, 2);
  ASSERT_TRUE(cache.Get(a).ok());
  EXPECT_EQ(loads_, 3);
}

TEST_F(Connection, RefusesOversizeMessages) {
  Start({.token = "t", .max_message_bytes = 1000});
  v1::GetBlobRequest request;
  request.set_digest(std::string(5000, 'x'));
  const Peer peer = PeerWith("t");
  grpc::ClientContext context;
  peer.Prepare(context, kPatience);
  v1::Chunk chunk;
  const auto reader = v1::Blobs::NewStub(peer.channel())->Get(&context, request);
  EXPECT_FALSE(reader->Read(&chunk));
  EXPECT_EQ(FinishStatus(peer, reader->Finish()).code(), absl::StatusCode::kResourceExhausted);
}

// grpc.health.v1.Health.Check of the whole server: an empty request; field 1 of the answer is the state, 1
// for SERVING.
absl::StatusOr<std::string> CheckHealth(const Peer& peer) {
  grpc::GenericStub stub(peer.channel());
  grpc::ClientContext context;
  peer.Prepare(context, kPatience);
  grpc::CompletionQueue queue;
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  grpc::ByteBuffer response;
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  if (!status.ok()) return FromGrpc(status);
  grpc::Slice slice;
  if (!response.TrySingleSlice(&slice).ok()) return absl::InternalError("no answer");
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

TEST_F(Connection, AnswersTheStandardHealthCheck) {
  Start({.token = "t"});
  EXPECT_EQ(*CheckHealth(PeerWith("t")), std::string("\x08\x01"));
  server_->SetServing(false);
  EXPECT_EQ(*CheckHealth(PeerWith("t")), std::string("\x08\x02"));
  EXPECT_EQ(CheckHealth(PeerWith("")).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(Connection, SaysWhichPortIsTaken) {
  Start({.token = "t"});
  const int port = std::stoi(server_->address().substr(server_->address().rfind(':') + 1));
  BlobService other = MakeBlobs(&blobs_, &loads_);
  const auto second = Server::Start({.port = port, .token = "t"}, {&other});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr(std::to_string(port)));
}

TEST(PeerAddress, MustBeLoopback) {
  EXPECT_TRUE(Peer::Open("localhost:5000", {}).ok());
  for (const char* address :
       {"10.0.0.1:5000", "example.com:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", ":1", ""}) {
    EXPECT_EQ(Peer::Open(address, {}).status().code(), absl::StatusCode::kInvalidArgument) << address;
  }
}

// A service that fails a number of times before it answers.
class Flaky : public v1::Actor::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext*, const v1::ActorStatusRequest*,
                         v1::ActorStatus* status) override {
    if (failures-- > 0) return grpc::Status(code, "not now");
    status->set_host("here");
    return grpc::Status::OK;
  }
  std::atomic<int> failures = 2;
  grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE;
};

TEST(Repeating, OnlyIdempotentCallsAndOnlyAfterUnavailable) {
  Flaky flaky;
  const auto server = *Server::Start({.token = "t"}, {&flaky});
  const Peer peer = *Peer::Open(server->address(), {"t"});
  const auto stub = v1::Actor::NewStub(peer.channel());
  const auto call = [&](Repeat repeat) {
    return Call(peer, *stub, &v1::Actor::Stub::GetStatus, v1::ActorStatusRequest(), kPatience, repeat);
  };
  EXPECT_EQ(call(Repeat::kNever).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(call(Repeat::kWhileUnavailable)->host(), "here");
  flaky.failures = 1;
  flaky.code = grpc::StatusCode::ABORTED;
  EXPECT_EQ(call(Repeat::kWhileUnavailable).status().code(), absl::StatusCode::kAborted);
}

TEST(Deadline, EndsACallToAServerThatIsGone) {
  const Peer peer = *Peer::Open("127.0.0.1:1", {"t"});
  const auto stub = v1::Actor::NewStub(peer.channel());
  const auto status = Call(peer, *stub, &v1::Actor::Stub::GetStatus, v1::ActorStatusRequest(),
                           absl::Milliseconds(300), Repeat::kWhileUnavailable)
                          .status();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("127.0.0.1:1"));
}

TEST(StatusMapping, KeepsCodeAndMessage) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "what");
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  }
  EXPECT_TRUE(FromGrpc(ToGrpc(absl::OkStatus())).ok());
}

TEST(Token, IsKeptPrivateAndStable) {
  const auto path = std::filesystem::temp_directory_path() / ("token_test." + std::to_string(getpid()));
  const auto token = MakeToken(path);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(*MakeToken(path), *token);
  EXPECT_EQ(*ReadToken(path), *token);
  chmod(path.c_str(), 0644);
  EXPECT_EQ(ReadToken(path).status().code(), absl::StatusCode::kPermissionDenied);
  chmod(path.c_str(), 0600);
  std::ofstream(path) << "short";
  EXPECT_EQ(ReadToken(path).status().code(), absl::StatusCode::kInvalidArgument);
  std::filesystem::remove(path);
  EXPECT_EQ(ReadToken(path).status().code(), absl::StatusCode::kNotFound);
}

TEST(Fence, RefusesOldEpochsOtherIncarnationsAndOtherJobs) {
  FenceGuard guard("job", 7);
  const auto fence = [](const std::string& job, uint64_t epoch, uint64_t incarnation) {
    v1::Fence fence;
    fence.set_job_id(job);
    fence.set_coordinator_epoch(epoch);
    fence.set_actor_incarnation(incarnation);
    return fence;
  };
  EXPECT_TRUE(guard.Check(fence("job", 2, 7)).ok());
  EXPECT_TRUE(guard.Check(fence("job", 3, 7)).ok());
  EXPECT_EQ(guard.Check(fence("job", 2, 7)).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(guard.Check(fence("job", 4, 8)).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(guard.Check(fence("other", 4, 7)).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(guard.epoch(), 3);
}

TEST(RequestMemory, RunsARepeatedRequestOnce) {
  RequestMemory<int> memory;
  std::atomic<int> runs = 0;
  absl::Notification go;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      EXPECT_EQ(*memory.Once("a",
                             [&]() -> absl::StatusOr<int> {
                               go.WaitForNotification();
                               return ++runs;
                             }),
                1);
    });
  }
  go.Notify();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*memory.Once("a", [] { return absl::StatusOr<int>(9); }), 1);
  EXPECT_FALSE(memory.Once("b", [] { return absl::StatusOr<int>(absl::InternalError("no")); }).ok());
  EXPECT_EQ(*memory.Once("b", [] { return absl::StatusOr<int>(2); }), 2);
}

TEST(Executor, RunsOneThingAtATimeAndRefusesWhenFull) {
  Executor executor(1);
  absl::Notification started, release;
  std::thread running([&] {
    EXPECT_TRUE(executor
                    .Run("first",
                         [&] {
                           started.Notify();
                           release.WaitForNotification();
                           return absl::OkStatus();
                         })
                    .ok());
  });
  started.WaitForNotification();
  EXPECT_EQ(executor.activity(), "first");
  EXPECT_TRUE(executor.Post("second", [] {}).ok());
  const absl::Status full = executor.Run("third", [] { return absl::OkStatus(); });
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(executor.WaitIdle(absl::Now()).code(), absl::StatusCode::kDeadlineExceeded);
  release.Notify();
  running.join();
  EXPECT_TRUE(executor.WaitIdle(absl::Now() + kPatience).ok());
}

TEST(Executor, CancelsWhatWaitsWhenItEnds) {
  auto executor = std::make_unique<Executor>(4);
  absl::Notification started, release;
  ASSERT_TRUE(executor
                  ->Post("runs",
                         [&] {
                           started.Notify();
                           release.WaitForNotification();
                         })
                  .ok());
  started.WaitForNotification();
  std::atomic<bool> ran = false;
  absl::Status waited;
  std::thread waiting([&] {
    waited = executor->Run("waits", [&] {
      ran = true;
      return absl::OkStatus();
    });
  });
  while (executor->queue() == 0) std::this_thread::yield();
  std::thread ending([&] { executor.reset(); });
  waiting.join();
  release.Notify();
  ending.join();
  EXPECT_EQ(waited.code(), absl::StatusCode::kCancelled);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace rein::transport
