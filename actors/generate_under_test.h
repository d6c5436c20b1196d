// For tests: Generate calls to a rollout with the tiny model.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "actors/role_under_test.h"
#include "rein/v1/rollout.grpc.pb.h"

namespace rein::host {

inline constexpr char kRolloutJob[] =
    "actors: [{role: rollout, name: rollout, threads: 1}]\n"
    "rollout: {max_response_tokens: 100, max_prompt_tokens: 64, max_batch: 8, kv_block_tokens: 4}\n";

// A call at step 1: no prompts yet, responses of at most 12 tokens.
v1::GenerateRequest MakeRequest(const std::string& request_id, int64_t step = 1);
void AddPrompt(v1::GenerateRequest& request, const std::string& id, int samples, const std::string& digest);

struct Generated {
  absl::Status status;
  std::map<std::string, v1::Sample> samples;          // by id; an id that comes twice fails the test
  std::map<std::string, v1::PromptRefusal> refusals;  // by prompt
};

// `seen` is called for every answer; false hangs up.
Generated Generate(
    const RoleUnderTest& role, const v1::GenerateRequest& request,
    const std::function<bool(const v1::GenerateResponse&)>& seen = [](const v1::GenerateResponse&) {
      return true;
    });

}  // namespace rein::host
