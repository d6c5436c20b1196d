// How verbs tell that a large model is being loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <ostream>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "models/vision_language_model.h"

namespace rein::cli {

// Nothing in the first second, so that small models load without a word. Then on a terminal one line that is
// written over again and again and removed at the end; elsewhere at most ten lines. Not thread-safe.
class LoadProgressLine {
 public:
  using Clock = std::function<absl::Time()>;
  // `out` outlives it.
  LoadProgressLine(std::ostream& out, bool terminal, std::filesystem::path folder, Clock clock = absl::Now);

  void Show(int64_t done, int64_t total);

 private:
  std::ostream& out_;
  const bool terminal_;
  const std::filesystem::path folder_;
  const Clock clock_;
  const absl::Time start_;
  int64_t shown_tenths_ = 0;
  bool shown_ = false;
};

// On standard error.
models::LoadProgressFn ShowLoading(const std::filesystem::path& folder);

}  // namespace rein::cli
