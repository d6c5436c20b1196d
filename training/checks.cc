#include "training/checks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace rein::training {

std::string FirstNames(const std::vector<std::string>& names) {
  const size_t shown = std::min<size_t>(names.size(), 3);
  std::string text = absl::StrJoin(names.begin(), names.begin() + static_cast<int64_t>(shown), ", ");
  if (names.size() > shown) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

absl::Status NotFiniteError(absl::string_view what, const std::vector<std::string>& names) {
  const std::string cause =
      names.empty() ? "; no sample causes it alone" : absl::StrCat("; caused by ", FirstNames(names));
  return absl::DataLossError(absl::StrCat(what, cause, ". The step was not taken"));
}

bool AllFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

absl::Status CheckSequence(const Sequence& sequence, int64_t vocab_size, const at::Tensor& allowed) {
  const auto bad = [&](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat("sequence '", sequence.id, "': ", what...));
  };
  if (sequence.prompt.empty()) return bad("the prompt has no token");
  if (sequence.response.empty()) return bad("the response has no token");
  const bool* may_be_sampled = allowed.defined() ? allowed.const_data_ptr<bool>() : nullptr;
  for (const int32_t token : sequence.response) {
    if (token < 0 || token >= vocab_size) {
      return bad("response token ", token, " is outside the vocabulary of ", vocab_size);
    }
    if (may_be_sampled && !may_be_sampled[token]) {
      return bad("response token ", token, " cannot be sampled (placeholder, padding or past the tokenizer)");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLength(const Sequence& sequence, const std::vector<float>& values, absl::string_view what) {
  if (values.size() == sequence.response.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("sequence '", sequence.id, "': ", values.size(), " ", what,
                                                 " for ", sequence.response.size(), " response tokens"));
}

at::Tensor HostMask(const at::Tensor& allowed) {
  return allowed.defined() ? allowed.to(at::kCPU, at::kBool).contiguous() : allowed;
}

}  // namespace rein::training
