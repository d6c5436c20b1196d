#include "cli/data/data_summary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/hash.h"
#include "data/image_header.h"

namespace rein::cli {
namespace {

using nlohmann::json;

constexpr size_t kExamples = 3;
constexpr int64_t kWordsPerBin = 5;
constexpr int kBarWidth = 30;
// Picture sizes shown before the rest is summed up.
constexpr size_t kShownSizes = 8;

int64_t WordsIn(const std::string& text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
  return static_cast<int64_t>(words.size());
}

std::string BinName(int64_t low) { return absl::StrCat(low, "-", low + kWordsPerBin - 1); }

double Share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string Bar(int64_t count, int64_t largest) {
  return std::string(static_cast<size_t>(Share(count, largest) * kBarWidth + 0.5), '#');
}

void AppendHistogram(std::string& text, const std::string& title,
                     const std::vector<std::pair<std::string, int64_t>>& bins) {
  int64_t largest = 1;
  for (const auto& [name, count] : bins) largest = std::max(largest, count);
  absl::StrAppend(&text, "\n", title, "\n");
  for (const auto& [name, count] : bins)
    absl::StrAppendFormat(&text, "  %-24s %8d  %s\n", name, count, Bar(count, largest));
}

// The most frequent first; the rest as one line.
std::vector<std::pair<std::string, int64_t>> Frequent(const std::map<std::string, int64_t>& counts) {
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (sorted.size() <= kShownSizes) return sorted;
  int64_t rest = 0;
  for (size_t i = kShownSizes; i < sorted.size(); ++i) rest += sorted[i].second;
  const size_t others = sorted.size() - kShownSizes;
  sorted.resize(kShownSizes);
  sorted.emplace_back(absl::StrCat(others, " other sizes"), rest);
  return sorted;
}

std::string CountsText(const std::map<std::string, int64_t>& counts) {
  return absl::StrJoin(counts, ", ", absl::PairFormatter(" "));
}

}  // namespace

void DataSummary::Add(const data::PreferenceRow& row) {
  ++rows_;
  Category& category = categories_[row.category];
  ++category.rows;
  if (!row.severity.empty()) {
    ++with_severity_;
    ++severities_[row.severity];
    ++category.severities[row.severity];
  }
  for (const bool safe : row.is_safe) {
    safe_responses_ += safe ? 1 : 0;
    category.safe_responses += safe ? 1 : 0;
  }
  helpful_rates_ += row.helpful_rate[0] && row.helpful_rate[1] ? 1 : 0;
  ++question_words_[WordsIn(row.question) / kWordsPerBin * kWordsPerBin];
  ++questions_[Crc32c(row.question)];
  AddPicture(row.image_bytes);
  if (examples_.size() < kExamples) {
    examples_.push_back({row.question,
                         row.category,
                         row.severity,
                         {row.response[0], row.response[1]},
                         row.more_helpful,
                         row.safer,
                         {row.harmless_rate[0], row.harmless_rate[1]}});
  }
}

void DataSummary::AddPicture(const std::string& encoded) {
  if (encoded.empty()) {
    ++picture_sizes_["no picture"];
    return;
  }
  ++pictures_[Crc32c(encoded)];
  const absl::StatusOr<data::ImageHeader> header = data::ReadImageHeader(encoded);
  if (!header.ok()) {
    ++picture_sizes_["not a picture"];
    return;
  }
  const std::vector<std::string> media = absl::StrSplit(header->media_type, '/');
  ++picture_sizes_[absl::StrCat(header->width, " x ", header->height, " ", media.back())];
}

json DataSummary::ToJson(const data::ReadReport& report) const {
  json words = json::object();
  for (const auto& [low, count] : question_words_) words[BinName(low)] = count;
  json categories = json::object();
  for (const auto& [name, category] : categories_) {
    categories[name] = {{"rows", category.rows},
                        {"safe_responses", category.safe_responses},
                        {"severities", json(category.severities)}};
  }
  json examples = json::array();
  for (const Example& example : examples_) {
    examples.push_back({{"question", example.question},
                        {"category", example.category},
                        {"severity", example.severity},
                        {"responses", {example.responses[0], example.responses[1]}},
                        {"harmless_rates", {example.harmless_rate[0], example.harmless_rate[1]}},
                        {"more_helpful", example.more_helpful},
                        {"safer", example.safer}});
  }
  return {{"rows", report.rows},
          {"kept", report.kept},
          {"dropped", json(report.dropped)},
          {"columns", {{"helpful_rates", helpful_rates_}, {"severity", with_severity_}}},
          {"categories", categories},
          {"severities", json(severities_)},
          {"safe_share", Share(safe_responses_, 2 * rows_)},
          {"questions", {{"distinct", questions_.size()}, {"words", words}}},
          {"pictures", {{"distinct", pictures_.size()}, {"sizes", json(picture_sizes_)}}},
          {"examples", examples}};
}

std::string DataSummary::ToText(const std::string& path, const data::ReadReport& report) const {
  std::string text = absl::StrFormat("%s\n%d rows, %d kept", path, report.rows, report.kept);
  for (const auto& [reason, count] : report.dropped)
    absl::StrAppend(&text, "; dropped: ", reason, " ", count);
  absl::StrAppendFormat(&text, "\n%d distinct questions, %d distinct pictures\n", questions_.size(),
                        pictures_.size());
  absl::StrAppendFormat(&text, "helpful rates in %d rows, severity in %d\n", helpful_rates_, with_severity_);
  absl::StrAppendFormat(&text, "safe responses: %.1f %%\n", 100 * Share(safe_responses_, 2 * rows_));

  absl::StrAppendFormat(&text, "\n%-34s %8s %7s  %s\n", "category", "rows", "safe", "severities");
  for (const auto& [name, category] : categories_) {
    absl::StrAppendFormat(&text, "%-34s %8d %5.1f %%  %s\n", name, category.rows,
                          100 * Share(category.safe_responses, 2 * category.rows),
                          CountsText(category.severities));
  }
  std::vector<std::pair<std::string, int64_t>> words;
  for (const auto& [low, count] : question_words_) words.emplace_back(BinName(low), count);
  AppendHistogram(text, "words in a question", words);
  AppendHistogram(text, "pictures", Frequent(picture_sizes_));

  absl::StrAppend(&text, "\nexamples\n");
  for (const Example& example : examples_) {
    absl::StrAppend(&text, "  ", example.question, "  [", example.category,
                    example.severity.empty() ? "" : ", ", example.severity, "]\n");
    for (int i = 0; i < 2; ++i) {
      absl::StrAppendFormat(&text, "    %+d  %s%s%s\n", example.harmless_rate[i], example.responses[i],
                            example.more_helpful == i + 1 ? "  (more helpful)" : "",
                            example.safer == i + 1 ? "  (safer)" : "");
    }
  }
  return text;
}

}  // namespace rein::cli
