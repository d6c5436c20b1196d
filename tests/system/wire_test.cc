// Calls that the processes of a live job must refuse, and calls that they must answer twice alike. Raw stubs:
// nothing of ours stands between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "rein/v1/actor.grpc.pb.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "rein/v1/rollout.grpc.pb.h"
#include "rein/v1/scorer.grpc.pb.h"
#include "rein/v1/trainable.grpc.pb.h"
#include "tests/system/world.h"
#include "transport/peer.h"

namespace rein::system_test {
namespace {

using ::testing::IsEmpty;

constexpr absl::Duration kTimeout = absl::Seconds(30);

// A paused job of four steps at least one of which is done: its actors are configured and idle. Shared by the
// tests, which change nothing that the job would notice.
class Wire : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    job_ = new Job("wire", {"steps=1000"});
    ASSERT_TRUE(job_->WaitFor([](const v1::JobStatus& s) { return s.step() >= 1; }));
    ASSERT_EQ(RunCommand({"rein", "pause", "--run-dir", job_->folder().string()}).exit_code, 0);
    ASSERT_TRUE(job_->WaitFor([](const v1::JobStatus& s) { return s.phase() == v1::JOB_PAUSED; }, &status_));
  }
  static void TearDownTestSuite() {
    job_->StopEarly();
    delete job_;
  }

  static std::string Line(const char* file) {
    return std::string(absl::StripAsciiWhitespace(Bytes(job_->folder() / file)));
  }
  static transport::Peer Open(const std::string& address, std::optional<std::string> token = std::nullopt) {
    return *transport::Peer::Open(address,
                                  {.token = token.value_or(Line("token")), .max_message_bytes = 64 << 20});
  }
  static transport::Peer Coordinator(std::optional<std::string> token = std::nullopt) {
    return Open(Line("coordinator.address"), std::move(token));
  }
  static const v1::ActorStatus& Actor(const std::string& role, const std::string& name = "") {
    return *Job::Find(status_, role, name);
  }
  static v1::Fence FenceFor(const v1::ActorStatus& actor, const std::string& request_id) {
    v1::Fence fence;
    fence.set_job_id(status_.job_id());
    fence.set_coordinator_epoch(status_.coordinator_epoch());
    fence.set_actor_incarnation(actor.incarnation());
    fence.set_step(status_.step() + 1);
    fence.set_request_id(request_id);
    return fence;
  }
  static absl::Status Score(const v1::Fence& fence, const std::string& question = "what is this") {
    const transport::Peer peer = Open(Actor("cost").listen_address());
    const auto stub = v1::Scorer::NewStub(peer.channel());
    v1::ScoreRequest request;
    *request.mutable_fence() = fence;
    v1::Sample* sample = request.add_samples();
    sample->set_sample_id("wire/0");
    sample->set_question(question);
    sample->add_prompt_tokens(1);
    sample->add_response_tokens(2);
    return transport::Call<v1::Scorer::Stub, v1::ScoreRequest, v1::ScoreResponse>(
               peer, *stub, &v1::Scorer::Stub::Score, request, kTimeout)
        .status();
  }
  static v1::ActorStatus StatusOf(const v1::ActorStatus& actor) {
    const transport::Peer peer = Open(actor.listen_address());
    const auto stub = v1::Actor::NewStub(peer.channel());
    return transport::Call<v1::Actor::Stub, v1::ActorStatusRequest, v1::ActorStatus>(
               peer, *stub, &v1::Actor::Stub::GetStatus, {}, kTimeout)
        .value_or(v1::ActorStatus());
  }
  static double Counter(const v1::ActorStatus& actor, const std::string& name) {
    const v1::ActorStatus status = StatusOf(actor);
    for (const v1::Metric& counter : status.counters()) {
      if (counter.name() == name) return counter.value();
    }
    return 0;
  }

  static Job* job_;
  static v1::JobStatus status_;
};
Job* Wire::job_ = nullptr;
v1::JobStatus Wire::status_;

template <typename Service, typename Request, typename Response, typename Method>
absl::Status Call(const transport::Peer& peer, Method method, const Request& request = {}) {
  const auto stub = Service::NewStub(peer.channel());
  return transport::Call<typename Service::Stub, Request, Response>(peer, *stub, method, request, kTimeout)
      .status();
}

TEST_F(Wire, RefusesAWrongToken) {
  for (const std::string& token : {std::string("wrong"), std::string(64, '0'), std::string()}) {
    EXPECT_TRUE(absl::IsUnauthenticated((Call<v1::Coordinator, v1::JobStatusRequest, v1::JobStatus>(
        Coordinator(token), &v1::Coordinator::Stub::GetStatus))));
    EXPECT_TRUE(absl::IsUnauthenticated((Call<v1::Coordinator, v1::ControlRequest, v1::ControlResponse>(
        Coordinator(token), &v1::Coordinator::Stub::Stop))));
    EXPECT_TRUE(absl::IsUnauthenticated((Call<v1::Launcher, v1::ListActorsRequest, v1::ListActorsResponse>(
        Open(Line("launcher.address"), token), &v1::Launcher::Stub::List))));
    for (const v1::ActorStatus& actor : status_.actors()) {
      const absl::Status refused = Call<v1::Actor, v1::ActorStatusRequest, v1::ActorStatus>(
          Open(actor.listen_address(), token), &v1::Actor::Stub::GetStatus);
      EXPECT_TRUE(absl::IsUnauthenticated(refused)) << actor.address().role() << refused;
    }
  }
}

TEST_F(Wire, RefusesStaleFences) {
  const v1::Fence right = FenceFor(Actor("cost"), "wire-right");
  const absl::Status accepted = Score(right);
  EXPECT_TRUE(accepted.ok()) << accepted;
  v1::Fence fence = right;
  fence.set_actor_incarnation(right.actor_incarnation() + 1);
  EXPECT_TRUE(absl::IsAborted(Score(fence))) << Score(fence);
  fence = right;
  fence.set_coordinator_epoch(right.coordinator_epoch() - 1);
  EXPECT_TRUE(absl::IsAborted(Score(fence))) << Score(fence);
  fence = right;
  fence.set_job_id("another");
  EXPECT_TRUE(absl::IsPermissionDenied(Score(fence))) << Score(fence);
}

TEST_F(Wire, RefusesHeartbeatsAndActorsOfOthers) {
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_job_id(status_.job_id());
  heartbeat.set_coordinator_epoch(status_.coordinator_epoch());
  *heartbeat.mutable_status() = Actor("cost");
  heartbeat.mutable_status()->set_incarnation(Actor("cost").incarnation() + 1);
  EXPECT_TRUE(absl::IsAborted((Call<v1::Coordinator, v1::HeartbeatRequest, v1::HeartbeatResponse>(
      Coordinator(), &v1::Coordinator::Stub::Heartbeat, heartbeat))));
  v1::RegisterRequest registration;
  registration.set_job_id("another");
  *registration.mutable_status() = Actor("cost");
  EXPECT_TRUE(absl::IsPermissionDenied((Call<v1::Coordinator, v1::RegisterRequest, v1::RegisterResponse>(
      Coordinator(), &v1::Coordinator::Stub::Register, registration))));
  registration.set_job_id(status_.job_id());
  registration.mutable_status()->mutable_address()->set_role("guard");
  EXPECT_TRUE(absl::IsInvalidArgument((Call<v1::Coordinator, v1::RegisterRequest, v1::RegisterResponse>(
      Coordinator(), &v1::Coordinator::Stub::Register, registration))));
}

TEST_F(Wire, RefusesOversizeMessagesAndLives) {
  const std::string large(5 << 20, 'x');
  EXPECT_TRUE(absl::IsResourceExhausted(Score(FenceFor(Actor("cost"), "wire-large"), large)));
  EXPECT_EQ(StatusOf(Actor("cost")).incarnation(), Actor("cost").incarnation());
  v1::ControlRequest control;
  control.set_reason(large);
  EXPECT_TRUE(absl::IsResourceExhausted((Call<v1::Coordinator, v1::ControlRequest, v1::ControlResponse>(
      Coordinator(), &v1::Coordinator::Stub::Resume, control))));
  EXPECT_TRUE((Call<v1::Coordinator, v1::JobStatusRequest, v1::JobStatus>(Coordinator(),
                                                                          &v1::Coordinator::Stub::GetStatus))
                  .ok());
}

// Two samples of one question without a picture, as Generate answers them.
std::map<std::string, v1::Sample> Generate(const transport::Peer& peer, const v1::Fence& fence) {
  v1::GenerateRequest request;
  *request.mutable_fence() = fence;
  v1::PromptSpec* prompt = request.add_prompts();
  prompt->mutable_prompt()->set_prompt_id("wire");
  prompt->mutable_prompt()->set_question("what is this");
  prompt->add_samples(0);
  prompt->add_samples(1);
  request.mutable_sampling()->set_temperature(1);
  request.mutable_sampling()->set_top_p(1);
  request.mutable_sampling()->set_max_response_tokens(12);
  request.mutable_sampling()->set_seed(7);
  const auto stub = v1::Rollout::NewStub(peer.channel());
  grpc::ClientContext context;
  peer.Prepare(context, kTimeout);
  auto stream = stub->Generate(&context, request);
  std::map<std::string, v1::Sample> samples;
  v1::GenerateResponse response;
  while (stream->Read(&response)) {
    if (response.has_sample()) samples[response.sample().sample_id()] = response.sample();
  }
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return samples;
}

absl::StatusOr<v1::TrainResult> TrainCritic(const transport::Peer& peer, const v1::TrainHeader& header,
                                            const std::map<std::string, v1::Sample>& samples) {
  const auto stub = v1::Critic::NewStub(peer.channel());
  grpc::ClientContext context;
  peer.Prepare(context, kTimeout);
  auto stream = stub->Train(&context);
  v1::TrainCriticRequest request;
  *request.mutable_header() = header;
  stream->Write(request);
  for (const auto& [id, sample] : samples) {
    v1::CriticSample* critic = request.mutable_sample();
    *critic->mutable_sample() = sample;
    critic->clear_old_values();
    critic->clear_returns();
    for (int t = 0; t < sample.response_tokens_size(); ++t) {
      critic->add_old_values(0);
      critic->add_returns(1);
    }
    critic->set_token_weight(0.5 / sample.response_tokens_size());
    stream->Write(request);
  }
  stream->WritesDone();
  v1::TrainProgress progress, last;
  while (stream->Read(&progress)) last = progress;
  const absl::Status status = transport::FinishStatus(peer, stream->Finish());
  if (!status.ok()) return status;
  return last.result();
}

TEST_F(Wire, AnswersARepeatedRequestFromMemory) {
  const v1::ActorStatus& rollout = Actor("rollout");
  const transport::Peer rollouts = Open(rollout.listen_address());
  const auto samples = Generate(rollouts, FenceFor(rollout, "wire-generate"));
  ASSERT_EQ(samples.size(), 2);
  const double generated = Counter(rollout, "samples");
  const auto again = Generate(rollouts, FenceFor(rollout, "wire-generate-again"));
  ASSERT_EQ(again.size(), 2);
  for (const auto& [id, sample] : samples) {
    EXPECT_EQ(sample.SerializeAsString(), again.at(id).SerializeAsString()) << id;
  }
  EXPECT_EQ(Counter(rollout, "samples"), generated) << "generated twice";

  const v1::ActorStatus& critic = Actor("critic", "cost");
  const transport::Peer critics = Open(critic.listen_address());
  v1::TrainHeader header;
  *header.mutable_fence() = FenceFor(critic, "wire-train");
  header.set_samples(2);
  *header.mutable_version() = StatusOf(critic).weight_version();
  header.mutable_version()->set_number(header.version().number() + 1);
  header.set_total_steps(1000);
  const absl::StatusOr<v1::TrainResult> first = TrainCritic(critics, header, samples);
  ASSERT_TRUE(first.ok()) << first.status();
  const double steps = Counter(critic, "steps");
  const absl::StatusOr<v1::TrainResult> second = TrainCritic(critics, header, samples);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(first->metrics(), testing::Not(IsEmpty()));
  EXPECT_EQ(first->SerializeAsString(), second->SerializeAsString());
  EXPECT_EQ(Counter(critic, "steps"), steps) << "trained twice";
  header.mutable_fence()->set_request_id("wire-train-anew");
  EXPECT_TRUE(absl::IsFailedPrecondition(TrainCritic(critics, header, samples).status()));
}

TEST_F(Wire, RefusesABrokenBatch) {
  const v1::ActorStatus& critic = Actor("critic", "reward");
  v1::TrainHeader header;
  *header.mutable_fence() = FenceFor(critic, "wire-broken");
  header.set_samples(3);
  *header.mutable_version() = StatusOf(critic).weight_version();
  header.mutable_version()->set_number(header.version().number() + 1);
  const absl::Status refused = TrainCritic(Open(critic.listen_address()), header, {}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_EQ(StatusOf(critic).incarnation(), critic.incarnation());
}

}  // namespace
}  // namespace rein::system_test
