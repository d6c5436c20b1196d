// For tests: a role with a tiny model in an actor process that lives in the test.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "actors/host/fake_coordinator.h"
#include "models/processor.h"
#include "rein/v1/actor.grpc.pb.h"
#include "rein/v1/common.pb.h"
#include "training/tiny_llava.h"

namespace rein::host {

// A model folder of the tiny kind below the test's own temporary folder; with a score head for scorers and
// critics.
std::filesystem::path MakeModelFolder(const std::string& name, uint64_t seed, bool score_head);

class RoleUnderTest {
 public:
  // `job_yaml`: the job's `actors`, and whatever else it needs.
  RoleUnderTest(const MakeRoleFn& make_role, const v1::ActorAddress& address, const std::string& job_yaml);

  absl::StatusOr<v1::ModelInfo> Configure(const std::filesystem::path& model);
  void MustConfigure(const std::filesystem::path& model);

  // Actor.Release.
  absl::StatusOr<v1::ReleaseResponse> Release(const v1::Fence& fence = TestFence("release"));
  v1::ActorStatus Status();

  const transport::Peer& peer() const { return peer_; }
  FakeCoordinator& coordinator() { return *coordinator_; }
  Host& host() { return process_->host(); }

 private:
  const v1::ActorAddress address_;
  const v1::Job job_;
  std::unique_ptr<FakeCoordinator> coordinator_;
  std::unique_ptr<ActorProcess> process_;
  transport::Peer peer_;
};

// A sample with one picture, tokens as the tiny model's processor writes them.
v1::Sample MakeSample(const std::string& id, const std::filesystem::path& model, const std::string& question,
                      const std::string& answer, const std::string& image_digest);

}  // namespace rein::host
