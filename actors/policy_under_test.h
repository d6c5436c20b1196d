// For tests: a policy with the tiny model, and the calls that a coordinator makes to it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "actors/role_under_test.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::host {

v1::WeightVersion MakeVersion(uint64_t epoch, int64_t number);

class PolicyUnderTest {
 public:
  // Configured; `job_yaml` holds the policy, of that name, as an actor.
  explicit PolicyUnderTest(const std::string& job_yaml, const std::string& name = "policy");

  // One optimizer step that leads to version `number`.
  void Train(int64_t number);
  // Of the weights, which are at that version.
  uint64_t Fingerprint(int64_t number);
  v1::SaveStateResponse Save(const std::filesystem::path& folder);
  absl::Status Load(const std::filesystem::path& folder, const v1::SaveStateResponse& saved);

 protected:
  const std::filesystem::path model_;
  RoleUnderTest policy_;
  std::string picture_;

 private:
  v1::Fence NextFence(const std::string& what);
  int requests_ = 0;
};

}  // namespace rein::host
