// The guard head: what a guard folder adds to a model. It stands in files of its own, so that the folder
// stays one that transformers loads without unexpected names
// (docs/decisions/0016-guard-head-beside-the-model.md).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "guard/decision.h"

namespace rein::guard {

inline constexpr char kHeadFile[] = "guard_head.safetensors";

// Reads the hidden state of the last token: of the prompt, or of the answer with its end token.
struct GuardHead {
  at::Tensor weight;  // float32 [kHeadLogits, hidden]: ordinal logits, then categories
  at::Tensor bias;    // float32 [kHeadLogits]
};

// Weight from normal(0, 0.02), reproducible from the seed on every host; bias 0 of levels, and of categories
// that of one in twenty. On the CPU.
GuardHead DrawGuardHead(int64_t hidden, uint64_t seed);

// hidden: [N, hidden] of any floating dtype -> float32 [N, kHeadLogits]; differentiable.
at::Tensor HeadLogits(const GuardHead& head, const at::Tensor& hidden);

// Whether the folder has a head.
bool HasGuardHead(const std::filesystem::path& folder);

absl::Status WriteGuardHead(const GuardHead& head, const std::filesystem::path& folder);

// Errors, naming the file: NOT_FOUND (no head: says how one is trained), INVALID_ARGUMENT (other tensors,
// another dtype or shape than a model of this width needs, values that are not finite), those of
// models::ReadSafetensors.
absl::StatusOr<GuardHead> ReadGuardHead(const std::filesystem::path& folder, int64_t hidden);

// SHA-256 over the model's digest (models::ModelDigest), the head and guard_config.json: changes whenever
// verdicts may. Errors: NOT_FOUND, UNAVAILABLE.
absl::StatusOr<std::string> GuardDigest(const std::filesystem::path& folder);

}  // namespace rein::guard
