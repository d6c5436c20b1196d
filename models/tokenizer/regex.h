// A regular expression over UTF-8, as tokenizer.json uses it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein::models {

// Part of a text in bytes: a match, or what lies between two.
struct Span {
  size_t begin = 0, end = 0;
  bool match = false;
};
using Spans = absl::InlinedVector<Span, 16>;

// Thread-safe after Compile.
class Regex {
 public:
  // `pattern` as Oniguruma takes it. Errors: INVALID_ARGUMENT (pattern that PCRE2 refuses: its message and
  // place), UNIMPLEMENTED (see ToPcre2).
  static absl::StatusOr<Regex> Compile(const std::string& pattern);

  // Appends the matches in valid UTF-8 and what lies between them, in order, nothing lost. Matches may be
  // empty. A text on which the pattern exceeds its limits of time and memory is searched no further.
  void Find(absl::string_view text, Spans& spans) const;

 private:
  struct Code;
  struct Scratch;
  explicit Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}
  bool Search(absl::string_view text, size_t from, Span& found) const;
  static Scratch& ThreadScratch();

  std::shared_ptr<const Code> code_;
};

}  // namespace rein::models
