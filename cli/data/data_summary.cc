#include "cli/data/data_summary.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "data/image_header.h"
#include "data/row_keys.h"

namespace rein::cli {
namespace {

using nlohmann::json;

constexpr size_t kExamples = 3;
// Longer texts are cut in the examples for people.
constexpr size_t kExampleBytes = 400;

std::string SizeOf(const data::Picture& picture) {
  const absl::StatusOr<data::ImageHeader> header = data::ReadImageHeader(picture.bytes);
  if (!header.ok()) return "not a picture";
  const std::vector<std::string> media = absl::StrSplit(header->media_type, '/');
  return absl::StrCat(header->width, " x ", header->height, " ", media.back());
}

template <typename T>
json OrNull(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

json ExampleJson(const data::Row& row) {
  json example = {{"question", row.question},        {"category", row.category},
                  {"severity", row.severity},        {"responses", json::array()},
                  {"harmless_rates", json::array()}, {"more_helpful", OrNull(row.more_helpful)},
                  {"safer", OrNull(row.safer)}};
  for (const data::Response& response : row.responses) {
    example["responses"].push_back(response.text);
    example["harmless_rates"].push_back(OrNull(response.harmless_rate));
  }
  return example;
}

std::string Cut(const std::string& text) {
  if (text.size() <= kExampleBytes) return text;
  size_t end = kExampleBytes;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;  // not within a character
  return text.substr(0, end) + " ...";
}

std::string PercentText(int64_t part, int64_t whole) {
  return whole == 0 ? "-" : absl::StrFormat("%.1f %%", 100 * Share(part, whole));
}

Counts AsCounts(const std::map<std::string, int64_t>& counts) { return {counts.begin(), counts.end()}; }

}  // namespace

void DataSummary::Add(const data::Row& row) {
  ++rows_;
  Category& category = categories_[row.category.empty() ? "(none)" : row.category];
  ++category.rows;
  if (!row.severity.empty()) {
    ++severities_[row.severity];
    ++category.severities[row.severity];
  }
  for (const data::Response& response : row.responses) {
    response_words_.Add(response.text);
    if (!response.is_safe) continue;
    ++labelled_responses_;
    ++category.labelled_responses;
    safe_responses_ += *response.is_safe ? 1 : 0;
    category.safe_responses += *response.is_safe ? 1 : 0;
  }
  ++responses_per_row_[absl::StrCat(row.responses.size())];
  question_words_.Add(row.question);
  questions_.insert(data::KeyOf(row.question));
  CountColumns(row);
  CountPictures(row);
  if (examples_.size() < kExamples) {
    examples_.push_back(row);
    examples_.back().pictures.clear();
  }
}

void DataSummary::CountColumns(const data::Row& row) {
  const auto all = [&row](auto said) {
    for (const data::Response& response : row.responses) {
      if (!said(response)) return false;
    }
    return !row.responses.empty();
  };
  columns_["helpful_rates"] += all([](const data::Response& r) { return r.helpful_rate.has_value(); });
  columns_["harmless_rates"] += all([](const data::Response& r) { return r.harmless_rate.has_value(); });
  columns_["labels"] += all([](const data::Response& r) { return r.is_safe.has_value(); });
  columns_["more_helpful"] += row.more_helpful.has_value();
  columns_["safer"] += row.safer.has_value();
  columns_["severity"] += !row.severity.empty();
}

void DataSummary::CountPictures(const data::Row& row) {
  ++pictures_per_row_[absl::StrCat(row.pictures.size())];
  if (row.pictures.empty()) ++picture_sizes_["no picture"];
  for (const data::Picture& picture : row.pictures) {
    pictures_.insert(data::KeyOf(picture.bytes));
    ++picture_sizes_[SizeOf(picture)];
  }
}

json DataSummary::ToJson(const data::ReadReport& report) const {
  json categories = json::object();
  for (const auto& [name, category] : categories_) {
    categories[name] = {{"rows", category.rows},
                        {"safe_responses", category.safe_responses},
                        {"labelled_responses", category.labelled_responses},
                        {"severities", json(category.severities)}};
  }
  json examples = json::array();
  for (const data::Row& row : examples_) examples.push_back(ExampleJson(row));
  return {
      {"rows", report.rows},
      {"kept", report.kept},
      {"dropped", json(report.dropped)},
      {"noted", json(report.noted)},
      {"formats", json(report.formats)},
      {"columns", json(columns_)},
      {"categories", categories},
      {"severities", json(severities_)},
      {"safe_share", labelled_responses_ == 0 ? json() : json(Share(safe_responses_, labelled_responses_))},
      {"questions", {{"distinct", questions_.size()}, {"words", question_words_.ToJson()}}},
      {"responses", {{"per_row", json(responses_per_row_)}, {"words", response_words_.ToJson()}}},
      {"pictures",
       {{"distinct", pictures_.size()},
        {"per_row", json(pictures_per_row_)},
        {"sizes", json(picture_sizes_)}}},
      {"examples", examples}};
}

std::string DataSummary::CategoriesText() const {
  std::string text = absl::StrFormat("\n%-34s %8s %8s  %s\n", "category", "rows", "safe", "severities");
  for (const auto& [name, category] : categories_) {
    absl::StrAppendFormat(&text, "%-34s %8d %8s  %s\n", name, category.rows,
                          PercentText(category.safe_responses, category.labelled_responses),
                          CountsText(category.severities));
  }
  return text;
}

std::string DataSummary::ExamplesText() const {
  std::string text = "\nexamples\n";
  for (const data::Row& row : examples_) {
    absl::StrAppend(&text, "  ", Cut(row.question), "  [", row.category, row.severity.empty() ? "" : ", ",
                    row.severity, "]\n");
    for (size_t i = 0; i < row.responses.size(); ++i) {
      const data::Response& response = row.responses[i];
      const std::string rate =
          response.harmless_rate ? absl::StrFormat("%+d", *response.harmless_rate) : " .";
      absl::StrAppend(&text, "    ", rate, "  ", Cut(response.text));
      if (row.more_helpful == static_cast<int>(i) + 1) absl::StrAppend(&text, "  (more helpful)");
      absl::StrAppend(&text, row.safer == static_cast<int>(i) + 1 ? "  (safer)\n" : "\n");
    }
  }
  return text;
}

std::string DataSummary::ToText(const std::string& path, const data::ReadReport& report) const {
  std::string text = absl::StrCat(path, "\n", CountsText(report), "\n");
  absl::StrAppend(&text, "files: ", CountsText(report.formats), "\n");
  absl::StrAppendFormat(&text, "%d distinct questions, %d distinct pictures\n", questions_.size(),
                        pictures_.size());
  absl::StrAppend(&text, "rows with: ", CountsText(columns_), "\n");
  absl::StrAppend(&text, "safe responses: ", PercentText(safe_responses_, labelled_responses_), "\n");
  absl::StrAppend(&text, CategoriesText());
  AppendHistogram(text, "words in a question", question_words_.bins());
  AppendHistogram(text, "words in a response", response_words_.bins());
  AppendHistogram(text, "responses in a row", AsCounts(responses_per_row_));
  AppendHistogram(text, "pictures in a row", AsCounts(pictures_per_row_));
  AppendHistogram(text, "pictures", Frequent(picture_sizes_, "sizes"));
  return absl::StrCat(text, ExamplesText());
}

std::string CountsText(const data::ReadReport& report) {
  return absl::StrCat(report.kept, " rows of ", report.rows,
                      report.dropped.empty() ? "" : absl::StrCat("; dropped: ", CountsText(report.dropped)),
                      report.noted.empty() ? "" : absl::StrCat("; noted: ", CountsText(report.noted)));
}

json ToJson(const data::LeakReport& report) {
  return {{"rows", report.rows},
          {"same_prompt", report.same_prompt},
          {"same_picture", report.same_picture},
          {"same_question", report.same_question},
          {"examples", report.examples}};
}

std::string ToText(const std::string& training, const data::LeakReport& report) {
  std::string text = absl::StrFormat(
      "of %d rows %d are in %s with picture and question, %d with a picture, %d with the question\n",
      report.rows, report.same_prompt, training, report.same_picture, report.same_question);
  for (const std::string& question : report.examples) absl::StrAppend(&text, "  ", Cut(question), "\n");
  return text;
}

}  // namespace rein::cli
