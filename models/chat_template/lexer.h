// Cuts a chat template into text and the tokens of its tags, with Jinja's whitespace rules as transformers
// sets them (trim_blocks, lstrip_blocks).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein::models::jinja {

struct Token {
  enum class Kind {
    kText,
    kBlockBegin,
    kBlockEnd,
    kPrintBegin,
    kPrintEnd,
    kName,
    kString,
    kInteger,
    kOperator,
    kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;  // of a string: its value
  int line = 0;
};

// Always ends with kEnd. Errors: INVALID_ARGUMENT "line N: ..." (a tag without its end, a broken string or
// number), UNIMPLEMENTED (names what is not supported).
absl::StatusOr<std::vector<Token>> Tokenize(absl::string_view source);

// A Status with the line in front.
absl::Status AtLine(int line, const absl::Status& status);

}  // namespace rein::models::jinja
