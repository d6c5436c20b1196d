// For tests: a guard of the LLaVA layout that loads in milliseconds.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "guard/head/guard_config.h"
#include "guard/head/guard_head.h"
#include "training/tiny_llava.h"

namespace rein::guard {

// Hidden size of the tiny model.
inline int64_t TinyHidden(const std::filesystem::path& folder) {
  return models::OutlineModel(folder).value()->shape().hidden;
}

// A folder with random weights and a random head with these thresholds.
inline void WriteTinyGuard(const std::filesystem::path& folder, const Thresholds& thresholds = {}) {
  training::WriteTinyModel(folder, 1);
  GuardHead head = DrawGuardHead(TinyHidden(folder), 1);
  head.weight.mul_(20);  // so that items differ
  ASSERT_EQ(WriteGuardHead(head, folder), absl::OkStatus());
  ASSERT_EQ(WriteGuardConfig({.thresholds = thresholds}, folder), absl::OkStatus());
}

}  // namespace rein::guard
