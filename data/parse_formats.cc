#include "data/parse_formats.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace rein::data {
namespace {

using nlohmann::json;

constexpr absl::string_view kImageMark = "<image>";

// A name, or of an object of booleans or a list of names the first one.
std::string CategoryOf(const json* value, ReadReport& report) {
  if (value == nullptr) return "";
  std::vector<std::string> names;
  if (value->is_object()) {
    for (const auto& [name, is_true] : value->items()) {
      if (YesNoOf(is_true).value_or(false)) names.push_back(name);
    }
  } else if (value->is_array()) {
    for (const json& name : *value) names.push_back(TextOf(name).value_or(""));
  } else {
    return TextOf(*value).value_or("");
  }
  if (names.size() > 1) ++report.noted["several categories: the first one is kept"];
  return names.empty() ? "" : names[0];
}

// SPA-VL has class1 for it.
const json* CategoryField(const Fields& fields) {
  const json* category = fields.Find("category");
  return category != nullptr ? category : fields.Find("class1");
}

// response_1 and response_2 with what is said of them; either may be absent.
std::optional<Response> ParseResponse(const std::string& name, Fields& fields) {
  std::optional<std::string> text = fields.OptionalText(name);
  if (!text) return std::nullopt;
  Response response{*std::move(text), {}, {}, {}};
  response.is_safe =
      fields.YesNo(absl::StrCat("is_", name, "_safe"), "is_response_safe is neither yes nor no");
  response.harmless_rate = fields.Int(name + "_harmless_rate", -3, 3, "harmless rate outside -3..3");
  response.helpful_rate = fields.Int(name + "_helpful_rate", 0, 3, "helpful rate outside 0..3");
  return response;
}

// BeaverTails-V, and rows of our own, which may lack most of it.
Row ParsePair(Fields& fields, ReadReport& report) {
  Row row;
  row.question = fields.Text("question", "question");
  const std::optional<Response> first = ParseResponse("response_1", fields),
                                second = ParseResponse("response_2", fields);
  if (first) row.responses.push_back(*first);
  if (second && !first) fields.Drop("response_2 without response_1");
  if (second) row.responses.push_back(*second);
  row.more_helpful = fields.Int("more_helpful_response_id", 1, 2, "more_helpful_response_id outside {1, 2}");
  row.safer = fields.Int("safer_response_id", 1, 2, "safer_response_id outside {1, 2}");
  row.category = CategoryOf(CategoryField(fields), report);
  row.severity = fields.OptionalText("image_severity").value_or("");
  return row;
}

Row ParseRow(Fields& fields, ReadReport& report) {
  Row row = ParsePair(fields, report);
  const std::optional<std::string> answer = fields.OptionalText("answer");
  if (answer && !row.responses.empty()) fields.Drop("both an answer and responses");
  if (answer) row.responses.push_back({*answer, {}, {}, {}});
  return row;
}

std::optional<int> OneBased(const std::string& name, Fields& fields) {
  const std::optional<int> id = fields.Int(name, 0, 1, name + " outside {0, 1}");
  return id ? std::optional<int>(*id + 1) : std::nullopt;
}

// The severity of an unsafe answer, 1 .. 3, is its rate below zero.
Response ParseSafeRlhfResponse(int i, Fields& fields) {
  const std::string name = absl::StrCat("response_", i);
  Response response;
  response.text = fields.Text(name, "response");
  response.is_safe =
      fields.YesNo(absl::StrCat("is_", name, "_safe"), "is_response_safe is neither yes nor no");
  const std::optional<int> severity =
      fields.Int(name + "_severity_level", 0, 3, "severity level outside 0..3");
  if (response.is_safe == false && severity.value_or(0) > 0) response.harmless_rate = -*severity;
  return response;
}

Row ParseSafeRlhf(Fields& fields, ReadReport& report) {
  Row row;
  row.question = fields.Text("prompt", "prompt");
  for (int i = 0; i < 2; ++i) row.responses.push_back(ParseSafeRlhfResponse(i, fields));
  row.more_helpful = OneBased("better_response_id", fields);
  row.safer = OneBased("safer_response_id", fields);
  for (const char* column : {"category", "response_0_harm_category", "response_1_harm_category"}) {
    if (row.category.empty()) row.category = CategoryOf(fields.Find(column), report);
  }
  return row;
}

Row ParseBeaverTails(Fields& fields, ReadReport& report) {
  Row row;
  row.question = fields.Text("prompt", "prompt");
  row.responses.resize(1);
  row.responses[0].text = fields.Text("response", "response");
  row.responses[0].is_safe = fields.YesNo("is_safe", "is_safe is neither true nor false");
  row.category = CategoryOf(fields.Find("category"), report);
  return row;
}

// The chosen answer was preferred for harmlessness and helpfulness alike.
Row ParseSpaVl(const ReadOptions& options, Fields& fields, ReadReport& report) {
  Row row;
  row.question = fields.Text("question", "question");
  row.responses.push_back({fields.Text("chosen", "chosen answer"), {}, options.safe_rate, {}});
  row.responses.push_back({fields.Text("rejected", "rejected answer"), {}, options.unsafe_rate, {}});
  row.more_helpful = row.safer = 1;
  row.category = CategoryOf(CategoryField(fields), report);
  return row;
}

struct Turn {
  std::string from, text;
};

std::vector<Turn> TurnsOf(Fields& fields) {
  const json* list = fields.Find("conversations");
  std::vector<Turn> turns;
  if (list == nullptr || !list->is_array()) return turns;
  for (const json& turn : *list) {
    if (!turn.is_object()) continue;
    const std::string from = TextOf(turn.value("from", json())).value_or("");
    if (from != "system") turns.push_back({from, TextOf(turn.value("value", json())).value_or("")});
  }
  return turns;
}

// A question without its marks of images, which the chat template puts where the model expects them.
std::string WithoutMarks(const std::string& text, size_t& marks) {
  std::string question = text;
  marks += static_cast<size_t>(absl::StrReplaceAll({{kImageMark, ""}}, &question));
  absl::StripAsciiWhitespace(&question);
  return question;
}

std::vector<Row> ParseConversation(const ReadOptions& options, size_t pictures, Fields& fields,
                                   ReadReport& report) {
  const std::vector<Turn> turns = TurnsOf(fields);
  std::vector<Row> rows;
  size_t marks = 0;
  for (size_t i = 0; i + 1 < turns.size() && turns[i].from == "human" && turns[i + 1].from == "gpt"; i += 2) {
    Row row;
    row.question = WithoutMarks(turns[i].text, marks);
    row.responses.push_back({turns[i + 1].text, {}, {}, {}});
    const json* category = fields.Find("category");
    row.category = category == nullptr ? "benign" : CategoryOf(category, report);
    rows.push_back(std::move(row));
  }
  if (rows.empty()) fields.Drop("no exchange of a human and a gpt turn");
  if (marks > pictures) fields.Drop("more <image> marks than pictures");
  if (!options.every_exchange && rows.size() > 1) {
    report.noted["later exchanges left out"] += static_cast<int64_t>(rows.size()) - 1;
    rows.resize(1);
  }
  return rows;
}

}  // namespace

std::vector<Row> ParseFields(Format format, const ReadOptions& options, size_t pictures, Fields& fields,
                             ReadReport& report) {
  switch (format) {
    case Format::kBeaverTailsV:
      return {ParsePair(fields, report)};
    case Format::kSafeRlhf:
      return {ParseSafeRlhf(fields, report)};
    case Format::kBeaverTails:
      return {ParseBeaverTails(fields, report)};
    case Format::kSpaVl:
      return {ParseSpaVl(options, fields, report)};
    case Format::kLlava:
      return ParseConversation(options, pictures, fields, report);
    // The records of benchmarks are rows of our own by now.
    case Format::kMmSafetyBench:
    case Format::kVlGuard:
    case Format::kVlsBench:
    case Format::kRows:
      return {ParseRow(fields, report)};
  }
  return {};
}

}  // namespace rein::data
