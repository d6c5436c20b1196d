// The tagged objects of tokenizer.json: normalizer, pre_tokenizer, post_processor, decoder.
#pragma once

#include <string>
#include <variant>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "models/json.h"
#include "models/tokenizer/regex.h"

namespace rein::models {

// Calls `visit` with the object at root[key], or with each member of a Sequence in order, those of nested
// ones too; `list_key` is where a Sequence has its members. Nothing where the key is missing or null. Errors:
// those of `visit`, INVALID_ARGUMENT (no object, no type, more than 64 members).
using ComponentVisitor = absl::FunctionRef<absl::Status(const Fields& component, const std::string& type)>;
absl::Status ForEachComponent(const Fields& root, const std::string& key, const std::string& list_key,
                              ComponentVisitor visit);

// The "pattern" of Split and Replace: {"String": ...} or {"Regex": ...}. Thread-safe after Parse.
class TextPattern {
 public:
  static absl::StatusOr<TextPattern> Parse(const Fields& component);

  // As Regex::Find.
  void Find(absl::string_view text, Spans& spans) const;
  // Puts `content` in the place of every match; not where that makes a text more than 64 times as long.
  std::string Replace(absl::string_view text, absl::string_view content) const;

 private:
  explicit TextPattern(std::variant<std::string, Regex> what) : what_(std::move(what)) {}
  std::variant<std::string, Regex> what_;
};

}  // namespace rein::models
