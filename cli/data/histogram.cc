#include "cli/data/histogram.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace rein::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr size_t kShown = 8;
constexpr int64_t kBinLows[] = {0, 1, 5, 10, 20, 50, 100};
constexpr int64_t kWideBin = 100;

int64_t WordsIn(const std::string& text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
  return static_cast<int64_t>(words.size());
}

int64_t LowOf(int64_t words) {
  if (words >= kWideBin) return words / kWideBin * kWideBin;
  return *(std::upper_bound(std::begin(kBinLows), std::end(kBinLows), words) - 1);
}

std::string BinName(int64_t low) {
  if (low == 0) return "0";
  const int64_t next =
      low >= kWideBin ? low + kWideBin : *std::upper_bound(std::begin(kBinLows), std::end(kBinLows), low);
  return absl::StrCat(low, "-", next - 1);
}

std::string Bar(int64_t count, int64_t largest) {
  return std::string(static_cast<size_t>(Share(count, largest) * kBarWidth + 0.5), '#');
}

}  // namespace

double Share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

void WordHistogram::Add(const std::string& text) { ++bins_[LowOf(WordsIn(text))]; }

Counts WordHistogram::bins() const {
  Counts bins;
  for (const auto& [low, count] : bins_) bins.emplace_back(BinName(low), count);
  return bins;
}

nlohmann::json WordHistogram::ToJson() const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, count] : bins()) json[name] = count;
  return json;
}

Counts Frequent(const std::map<std::string, int64_t>& counts, const std::string& what) {
  Counts sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (sorted.size() <= kShown) return sorted;
  int64_t rest = 0;
  for (size_t i = kShown; i < sorted.size(); ++i) rest += sorted[i].second;
  const size_t others = sorted.size() - kShown;
  sorted.resize(kShown);
  sorted.emplace_back(absl::StrCat(others, " other ", what), rest);
  return sorted;
}

void AppendHistogram(std::string& text, const std::string& title, const Counts& bins) {
  int64_t largest = 1;
  for (const auto& [name, count] : bins) largest = std::max(largest, count);
  absl::StrAppend(&text, "\n", title, "\n");
  for (const auto& [name, count] : bins)
    absl::StrAppendFormat(&text, "  %-24s %8d  %s\n", name, count, Bar(count, largest));
}

std::string CountsText(const std::map<std::string, int64_t>& counts) {
  return absl::StrJoin(counts, ", ", absl::PairFormatter(" "));
}

}  // namespace rein::cli
