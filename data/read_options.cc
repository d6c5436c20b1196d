#include "data/read_options.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "data/formats.h"

namespace rein::data {
namespace {

template <typename T>
using Named = std::pair<const char*, T>;

constexpr Named<Format> kFormats[] = {{"beavertails-v", Format::kBeaverTailsV},
                                      {"safe-rlhf", Format::kSafeRlhf},
                                      {"beavertails", Format::kBeaverTails},
                                      {"spa-vl", Format::kSpaVl},
                                      {"llava", Format::kLlava},
                                      {"mm-safety-bench", Format::kMmSafetyBench},
                                      {"vlguard", Format::kVlGuard},
                                      {"vlsbench", Format::kVlsBench},
                                      {"rows", Format::kRows}};
constexpr Named<Split> kSplits[] = {
    {"all", Split::kAll}, {"train", Split::kTrain}, {"evaluation", Split::kEvaluation}};
constexpr Named<Contradiction> kContradictions[] = {{"keep", Contradiction::kKeep},
                                                    {"drop", Contradiction::kDrop},
                                                    {"trust_rating", Contradiction::kTrustRating},
                                                    {"trust_label", Contradiction::kTrustLabel}};
constexpr Named<PictureCheck> kPictureChecks[] = {
    {"none", PictureCheck::kNone}, {"header", PictureCheck::kHeader}, {"decode", PictureCheck::kDecode}};

template <typename T>
absl::StatusOr<T> Parse(absl::string_view what, absl::string_view name, absl::Span<const Named<T>> known) {
  for (const auto& [known_name, value] : known) {
    if (name == known_name) return value;
  }
  const auto append = [](std::string* out, const Named<T>& entry) { absl::StrAppend(out, entry.first); };
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is no ", what, "; known: ", absl::StrJoin(known, ", ", append)));
}

absl::Status CheckRate(absl::string_view name, const std::optional<int>& rate, int low, int high) {
  if (!rate || (*rate >= low && *rate <= high)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the ", name, " ", *rate, " is outside ", low, " .. ", high));
}

}  // namespace

const char* FormatName(Format format) {
  for (const auto& [name, value] : kFormats) {
    if (value == format) return name;
  }
  return "unknown";
}

absl::StatusOr<Format> ParseFormat(absl::string_view name) { return Parse<Format>("format", name, kFormats); }
absl::StatusOr<Split> ParseSplit(absl::string_view name) { return Parse<Split>("split", name, kSplits); }
absl::StatusOr<Contradiction> ParseContradiction(absl::string_view name) {
  return Parse<Contradiction>("way to treat a contradiction", name, kContradictions);
}
absl::StatusOr<PictureCheck> ParsePictureCheck(absl::string_view name) {
  return Parse<PictureCheck>("check of pictures", name, kPictureChecks);
}

absl::StatusOr<ColumnNames> ParseColumnNames(absl::string_view text) {
  ColumnNames names;
  for (const absl::string_view entry : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const std::vector<std::string> sides = absl::StrSplit(entry, absl::MaxSplits('=', 1));
    if (sides.size() != 2 || sides[0].empty() || sides[1].empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", entry, "\" maps no column; write NAME=NAME_IN_FILE, several separated by commas"));
    }
    if (!names.emplace(sides[0], sides[1]).second)
      return absl::InvalidArgumentError(absl::StrCat("the column ", sides[0], " is mapped twice"));
  }
  return names;
}

absl::Status CheckReadOptions(const ReadOptions& options) {
  REIN_RETURN_IF_ERROR(CheckColumnNames(options.columns));
  REIN_RETURN_IF_ERROR(CheckRate("rate of safe answers", options.safe_rate, 0, 3));
  return CheckRate("rate of unsafe answers", options.unsafe_rate, -3, -1);
}

}  // namespace rein::data
