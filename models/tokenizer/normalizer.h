// What is done to text before it is cut.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/json.h"

namespace rein::models {

// Thread-safe after Parse.
class Normalizer {
 public:
  // The "normalizer" of tokenizer.json; may be missing: NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip,
  // Sequence. Errors: INVALID_ARGUMENT, UNIMPLEMENTED (another kind).
  static absl::StatusOr<Normalizer> Parse(const Fields& root);

  bool empty() const { return steps_.empty(); }
  // Valid UTF-8 in and out. Stops early on a text that grows without end.
  std::string Apply(std::string text) const;

  // Whether a step can remove the start of a text.
  bool may_remove_start() const { return may_remove_start_; }

 private:
  using Step = std::function<std::string(std::string)>;
  absl::Status Add(const Fields& component, const std::string& type);
  absl::Status AddReplace(const Fields& component);
  absl::Status AddStrip(const Fields& component);

  std::vector<Step> steps_;
  bool may_remove_start_ = false;
};

}  // namespace rein::models
