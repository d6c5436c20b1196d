// Weights from a policy to a rollout, over real connections, and broken streams.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "actors/generate_under_test.h"
#include "actors/policy/policy_role.h"
#include "actors/rollout/rollout_role.h"
#include "collectives/staged_weights.h"
#include "collectives/weight_stream.h"
#include "rein/v1/trainable.grpc.pb.h"
#include "transport/server.h"

namespace rein::host {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kPolicyJob[] = "actors: [{role: policy, name: policy, threads: 1}]\n";

v1::WeightVersion MakeVersion(uint64_t epoch, int64_t number) {
  v1::WeightVersion version;
  version.set_coordinator_epoch(epoch);
  version.set_number(number);
  return version;
}

absl::StatusOr<v1::ReceiveWeightsResponse> Receive(const RoleUnderTest& role, const std::string& id,
                                                   const v1::WeightVersion& version, uint64_t group_epoch,
                                                   const std::string& source) {
  v1::ReceiveWeightsRequest request;
  *request.mutable_fence() = TestFence(id);
  *request.mutable_version() = version;
  request.set_group_epoch(group_epoch);
  request.set_source_address(source);
  const auto stub = v1::Weights::NewStub(role.peer().channel());
  return transport::Call(role.peer(), *stub, &v1::Weights::Stub::Receive, request, kPatience);
}

absl::Status Activate(const RoleUnderTest& role, const v1::WeightVersion& version) {
  v1::ActivateWeightsRequest request;
  *request.mutable_fence() = TestFence("activate");
  *request.mutable_version() = version;
  const auto stub = v1::Weights::NewStub(role.peer().channel());
  return transport::Call(role.peer(), *stub, &v1::Weights::Stub::Activate, request, kPatience).status();
}

absl::StatusOr<v1::PrepareWeightsResponse> Prepare(const RoleUnderTest& role, const std::string& id, int rank,
                                                   const std::string& store,
                                                   v1::WeightBackend backend = v1::WEIGHT_BACKEND_GLOO) {
  v1::PrepareWeightsRequest request;
  *request.mutable_fence() = TestFence(id);
  request.set_group_epoch(1);
  request.set_backend(backend);
  request.set_store_address(store);
  request.set_rank(rank);
  request.set_world(2);
  const auto stub = v1::Weights::NewStub(role.peer().channel());
  return transport::Call(role.peer(), *stub, &v1::Weights::Stub::Prepare, request, kPatience);
}

absl::StatusOr<v1::PublishResponse> Publish(const RoleUnderTest& policy, const v1::WeightVersion& version,
                                            uint64_t group_epoch) {
  v1::PublishRequest request;
  *request.mutable_fence() = TestFence("publish");
  *request.mutable_version() = version;
  request.set_group_epoch(group_epoch);
  const auto stub = v1::Policy::NewStub(policy.peer().channel());
  return transport::Call(policy.peer(), *stub, &v1::Policy::Stub::Publish, request, kPatience);
}

v1::WeightVersion ActiveVersion(const RoleUnderTest& role) {
  const auto stub = v1::Actor::NewStub(role.peer().channel());
  const auto status =
      transport::Call(role.peer(), *stub, &v1::Actor::Stub::GetStatus, v1::ActorStatusRequest(), kPatience);
  EXPECT_TRUE(status.ok()) << status.status();
  return status->weight_version();
}

// A policy, and a rollout with other weights of the same layout.
class RolloutWeights : public testing::Test {
 protected:
  RolloutWeights()
      : policy_model_(MakeModelFolder("policy", 1, false)),
        policy_(policy::MakeRole, TestAddress("policy", "policy"), kPolicyJob),
        rollout_(rollout::MakeRole, TestAddress("rollout", "rollout"), kRolloutJob) {}

  void SetUp() override {
    policy_.MustConfigure(policy_model_);
    rollout_.MustConfigure(MakeModelFolder("rollout", 2, false));
    request_ = MakeRequest("generate");
    AddPrompt(request_, "p", 3, rollout_.coordinator().AddPicture(training::TinyPng(10, 200, 30)));
  }

  std::string Answer(const std::string& sample) {
    return Generate(rollout_, request_).samples[sample].answer();
  }
  // The rollout now generates what one that starts from the policy's folder generates.
  void ExpectPolicyWeights() {
    EXPECT_EQ(ActiveVersion(rollout_).coordinator_epoch(), 1u);
    *request_.mutable_weights() = start_;
    const Generated generated = Generate(rollout_, request_);
    ASSERT_EQ(generated.status, absl::OkStatus());
    ASSERT_THAT(generated.samples, SizeIs(3));
    RoleUnderTest other(rollout::MakeRole, TestAddress("rollout", "other"),
                        "actors: [{role: rollout, name: other, threads: 1}]\n");
    other.MustConfigure(policy_model_);
    other.coordinator().AddPicture(training::TinyPng(10, 200, 30));
    request_.clear_weights();
    const Generated expected = Generate(other, request_);
    for (const auto& [id, sample] : generated.samples) {
      EXPECT_EQ(sample.answer(), expected.samples.at(id).answer());
      EXPECT_EQ(sample.first_version().coordinator_epoch(), 1u);
      EXPECT_EQ(sample.last_version().coordinator_epoch(), 1u);
    }
  }

  const std::filesystem::path policy_model_;
  const v1::WeightVersion start_ = MakeVersion(1, 0);  // of a policy that was configured in epoch 1
  RoleUnderTest policy_;
  RoleUnderTest rollout_;
  v1::GenerateRequest request_;
};

TEST_F(RolloutWeights, ComeAsAStreamAndAreUsedOnceActivated) {
  const std::string before = Answer("p/0");
  const auto received = Receive(rollout_, "receive", start_, 0, policy_.peer().address());
  ASSERT_TRUE(received.ok()) << received.status();
  const auto published = Publish(policy_, start_, 0);
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_EQ(received->fingerprint(), published->fingerprint());
  request_.mutable_fence()->set_step(2);
  EXPECT_EQ(Answer("p/0"), before) << "staged weights are not active yet";

  ASSERT_EQ(Activate(rollout_, start_), absl::OkStatus());
  request_.mutable_fence()->set_step(3);
  EXPECT_NE(Answer("p/0"), before);
  ExpectPolicyWeights();
  EXPECT_EQ(Activate(rollout_, start_), absl::OkStatus()) << "a repetition";
}

TEST_F(RolloutWeights, ComeOverAGroup) {
  const auto served = Prepare(policy_, "serve", 0, "");
  ASSERT_TRUE(served.ok()) << served.status();
  std::thread joins([&] {
    const auto joined = Prepare(policy_, "join", 0, served->store_address());
    EXPECT_TRUE(joined.ok()) << joined.status();
  });
  const auto joined = Prepare(rollout_, "join", 1, served->store_address());
  joins.join();
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_TRUE(Prepare(rollout_, "again", 1, served->store_address()).ok());

  absl::StatusOr<v1::PublishResponse> published;
  std::thread publishes([&] { published = Publish(policy_, start_, 1); });
  const auto received = Receive(rollout_, "receive", start_, 1, "");
  publishes.join();
  ASSERT_TRUE(received.ok()) << received.status();
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_EQ(received->fingerprint(), published->fingerprint());
  ASSERT_EQ(Activate(rollout_, start_), absl::OkStatus());
  ExpectPolicyWeights();
}

TEST_F(RolloutWeights, ThatAMemberDoesNotSendAreGivenUpWithTheGroup) {
  const auto served = Prepare(policy_, "serve", 0, "");
  ASSERT_TRUE(served.ok()) << served.status();
  std::thread joins([&] { EXPECT_TRUE(Prepare(policy_, "join", 0, served->store_address()).ok()); });
  ASSERT_TRUE(Prepare(rollout_, "join", 1, served->store_address()).ok());
  joins.join();
  absl::Status received;
  std::thread receives([&] { received = Receive(rollout_, "receive", start_, 1, "").status(); });
  // The policy serves another group: its end of this one is cut.
  v1::PrepareWeightsRequest request;
  *request.mutable_fence() = TestFence("serve 2");
  request.set_group_epoch(2);
  request.set_backend(v1::WEIGHT_BACKEND_GLOO);
  const auto stub = v1::Weights::NewStub(policy_.peer().channel());
  EXPECT_TRUE(transport::Call(policy_.peer(), *stub, &v1::Weights::Stub::Prepare, request, kPatience).ok());
  receives.join();
  EXPECT_EQ(received.code(), absl::StatusCode::kUnavailable) << received;
  EXPECT_THAT(std::string(Receive(rollout_, "again", start_, 1, "").status().message()),
              HasSubstr("weight group 1 is not open"));
  EXPECT_TRUE(Receive(rollout_, "stream", start_, 0, policy_.peer().address()).ok());
}

TEST_F(RolloutWeights, SwitchInTheMiddleOfAGeneration) {
  request_.mutable_prompts(0)->clear_samples();
  for (int i = 0; i < 200; ++i) request_.mutable_prompts(0)->add_samples(i);
  request_.mutable_sampling()->set_max_response_tokens(100);
  ASSERT_TRUE(Receive(rollout_, "receive", start_, 0, policy_.peer().address()).ok());
  bool switched = false;
  std::string last;
  const Generated generated = Generate(rollout_, request_, [&](const v1::GenerateResponse& response) {
    if (!switched) {
      EXPECT_EQ(Activate(rollout_, start_), absl::OkStatus());
    }
    switched = true;
    if (response.has_sample()) last = response.sample().sample_id();
    return true;
  });
  ASSERT_EQ(generated.status, absl::OkStatus());
  ASSERT_THAT(generated.samples, SizeIs(200));
  EXPECT_EQ(generated.samples.at("p/0").first_version().coordinator_epoch(), 0u);
  EXPECT_EQ(generated.samples.at(last).last_version().coordinator_epoch(), 1u);
}

TEST_F(RolloutWeights, ThatAreNotStagedCannotBeActivated) {
  absl::Status status = Activate(rollout_, start_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1.0 is not staged"));
  ASSERT_TRUE(Receive(rollout_, "receive", start_, 0, policy_.peer().address()).ok());
  status = Activate(rollout_, MakeVersion(1, 1));
  EXPECT_THAT(std::string(status.message()), HasSubstr("staged is 1.0"));
  EXPECT_EQ(ActiveVersion(rollout_).coordinator_epoch(), 0u);
}

TEST_F(RolloutWeights, OfAnotherVersionThanThePolicyHasDoNotCome) {
  const absl::Status status =
      Receive(rollout_, "receive", MakeVersion(1, 4), 0, policy_.peer().address()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at version 1.0, not 1.4"));
}

TEST_F(RolloutWeights, NeedAGroupOrASource) {
  const absl::Status status = Receive(rollout_, "receive", start_, 7, "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("weight group 7 is not open"));
  EXPECT_EQ(Receive(rollout_, "nobody", start_, 0, "127.0.0.1:1").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(RolloutWeights, RolloutsJoinGroupsAsReceiversOnly) {
  EXPECT_EQ(Prepare(rollout_, "a", 0, "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Prepare(rollout_, "b", 1, "127.0.0.1:1", v1::WEIGHT_BACKEND_GRPC).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Answers every Read with the same messages.
class ScriptedSource : public v1::WeightSource::Service {
 public:
  ScriptedSource() {
    auto server = transport::Server::Start({.token = kToken}, {this});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  grpc::Status Read(grpc::ServerContext*, const v1::ReadWeightsRequest*,
                    grpc::ServerWriter<v1::ReadWeightsResponse>* writer) override {
    for (const v1::ReadWeightsResponse& message : messages) writer->Write(message);
    return grpc::Status::OK;
  }
  const std::string& address() const { return server_->address(); }

  std::vector<v1::ReadWeightsResponse> messages;

 private:
  std::unique_ptr<transport::Server> server_;
};

// What a good source sends for the tensors of a model folder.
std::vector<v1::ReadWeightsResponse> GoodStream(const std::filesystem::path& folder) {
  const auto model = models::LoadModel(folder);
  EXPECT_TRUE(model.ok()) << model.status();
  auto writer = collectives::WeightStreamWriter::Make((*model)->tensors(), 65536);
  std::vector<v1::ReadWeightsResponse> messages(1);
  v1::WeightManifest* manifest = messages[0].mutable_manifest();
  manifest->set_fingerprint(writer->fingerprint());
  for (const collectives::TensorInfo& info : writer->manifest()) {
    v1::TensorEntry* entry = manifest->add_tensors();
    entry->set_name(info.name);
    entry->set_dtype(info.dtype);
    entry->mutable_shape()->Assign(info.shape.begin(), info.shape.end());
  }
  std::string bytes;
  for (int64_t offset = 0; writer->Next(&bytes); offset += static_cast<int64_t>(bytes.size())) {
    v1::Chunk* chunk = messages.emplace_back().mutable_chunk();
    chunk->set_offset(offset);
    chunk->set_data(bytes);
  }
  return messages;
}

TEST_F(RolloutWeights, ABrokenStreamIsRefusedAndLeavesTheActiveWeights) {
  ScriptedSource source;
  const auto good = GoodStream(policy_model_);
  ASSERT_GE(good.size(), 3u);
  int calls = 0;
  const auto with = [&](const std::function<void(std::vector<v1::ReadWeightsResponse>&)>& change) {
    source.messages = good;
    change(source.messages);
    return Receive(rollout_, std::to_string(++calls), start_, 0, source.address()).status();
  };
  EXPECT_EQ(with([](auto&) {}), absl::OkStatus());
  EXPECT_EQ(with([](auto& m) { m.clear(); }).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(with([](auto& m) { m.erase(m.begin()); }).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(with([](auto& m) { m.pop_back(); }).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(with([](auto& m) { m.push_back(m.back()); }).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(with([](auto& m) { std::swap(m[1], m[2]); }).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(with([](auto& m) { m[1].mutable_chunk()->mutable_data()->at(5) ^= 1; }).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(with([](auto& m) { m[0].mutable_manifest()->mutable_tensors(0)->set_name("other"); }).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Activate(rollout_, start_).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ActiveVersion(rollout_).coordinator_epoch(), 0u);
}

}  // namespace
}  // namespace rein::host
