#include "models/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/pattern.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

// `^` and `$` mean lines to Oniguruma.
constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimitKib = 64 << 10;
constexpr size_t kMaxPatternBytes = 1 << 14;

template <typename T, void (*Free)(T*)>
using Handle = std::unique_ptr<T, std::integral_constant<decltype(Free), Free>>;

}  // namespace

struct Regex::Code {
  Handle<pcre2_code, pcre2_code_free> code;
};

// What a search writes to; one a thread serves every pattern.
struct Regex::Scratch {
  Handle<pcre2_match_data, pcre2_match_data_free> match{pcre2_match_data_create(1, nullptr)};
  Handle<pcre2_match_context, pcre2_match_context_free> limits{pcre2_match_context_create(nullptr)};
  Scratch() {
    pcre2_set_match_limit(limits.get(), kMatchLimit);
    pcre2_set_heap_limit(limits.get(), kHeapLimitKib);
  }
};

Regex::Scratch& Regex::ThreadScratch() {
  static thread_local Scratch scratch;
  return scratch;
}

absl::StatusOr<Regex> Regex::Compile(const std::string& pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("pattern has ", pattern.size(), " bytes, at most ", kMaxPatternBytes, " are allowed"));
  }
  REIN_ASSIGN_OR_RETURN(const std::string translated, ToPcre2(pattern));
  const Handle<pcre2_compile_context, pcre2_compile_context_free> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), 64);
  int error = 0;
  PCRE2_SIZE place = 0;
  auto code = std::make_shared<Code>();
  code->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), kOptions,
                                 &error, &place, context.get()));
  if (code->code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return absl::InvalidArgumentError(absl::StrCat("pattern \"", pattern, "\", for PCRE2 \"", translated,
                                                   "\" at ", place, ": ",
                                                   reinterpret_cast<const char*>(message)));
  }
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);  // without JIT it is only slower
  return Regex(std::move(code));
}

bool Regex::Search(absl::string_view text, size_t from, Span& found) const {
  Scratch& scratch = ThreadScratch();
  const auto search = [&](uint32_t options) {
    return pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                       PCRE2_NO_UTF_CHECK | options, scratch.match.get(), scratch.limits.get());
  };
  int result = search(0);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = search(PCRE2_NO_JIT);
  if (result < 0) return false;
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.match.get());
  found = {ends[0], ends[1], true};
  return found.begin <= found.end;  // \K within a look-ahead can turn them round
}

void Regex::Find(absl::string_view text, Spans& spans) const {
  size_t done = 0, from = 0;
  bool any = false;
  Span found;
  while (from <= text.size() && Search(text, from, found)) {
    // An empty match right behind another one does not count.
    if (found.begin == found.end && any && found.end == done) {
      from += from < text.size() ? CharBytes(text, from) : 1;
      continue;
    }
    if (found.begin > done) spans.push_back({done, found.begin, false});
    spans.push_back(found);
    done = from = found.end;
    any = true;
  }
  if (done < text.size()) spans.push_back({done, text.size(), false});
}

}  // namespace rein::models
