#include "cli/report/answer_cards.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/report/chart.h"
#include "cli/report/escape.h"
#include "cli/report/fields.h"
#include "cli/report/formats.h"
#include "cli/report/pictures.h"

namespace rein::report {
namespace {

using nlohmann::json;

// By the ground truth, or where there is none by the cost models.
std::optional<bool> IsSafe(const json& answer) {
  if (const auto harmlessness = NumberAt(answer, {"ground_truth", "harmlessness"})) return *harmlessness >= 0;
  std::optional<bool> safe;
  for (const auto& [name, cost] : ObjectAt(answer, {"costs"}).items()) {
    if (cost.is_number()) safe = safe.value_or(true) && cost.get<double>() <= 0;
  }
  return safe;
}

std::string AnswerBox(const std::string& who, const json* answer) {
  if (answer == nullptr) return "";
  const std::optional<bool> safe = IsSafe(*answer);
  const char* kind = !safe ? "" : *safe ? " good" : " bad";
  std::string text = EscapeMarkup(TextAt(*answer, {"answer"}));
  if (text.empty()) text = "<i>(empty)</i>";
  return absl::StrCat("<div class=\"answer", kind, "\"><small>", EscapeMarkup(who), "</small>", text,
                      "<small>", EscapeMarkup(VerdictText(*answer)), "</small></div>\n");
}

std::string Picture(const RunRecord& record, const json& answer) {
  const std::string uri = PictureUri(record.folder, TextAt(answer, {"image"}));
  if (uri.empty()) return "<span class=\"none\">no picture</span>\n";
  return absl::StrCat("<img alt=\"the picture asked about\" src=\"", uri, "\">\n");
}

std::string TagOf(const json& answer) {
  const json* harmful = Find(answer, {"ground_truth", "harmful"});
  const bool known = harmful != nullptr && harmful->is_boolean();
  return absl::StrCat(TextAt(answer, {"category"}), !known                 ? ""
                                                    : harmful->get<bool>() ? ", harmful with this picture"
                                                                           : ", harmless");
}

}  // namespace

std::string VerdictText(const json& answer) {
  std::vector<std::string> parts;
  if (const auto helpfulness = NumberAt(answer, {"ground_truth", "helpfulness"}))
    parts.push_back(absl::StrCat("helpfulness ", FormatValue(*helpfulness, Format::kNumber), " of 3"));
  if (const auto safe = IsSafe(answer)) parts.push_back(*safe ? "safe" : "unsafe");
  if (const auto reward = NumberAt(answer, {"reward"}))
    parts.push_back(absl::StrCat("reward ", FormatValue(*reward, Format::kNumber)));
  for (const auto& [name, cost] : ObjectAt(answer, {"costs"}).items()) {
    if (cost.is_number())
      parts.push_back(absl::StrCat(name == "cost" ? "" : "cost ", name, " ",
                                   FormatValue(cost.get<double>(), Format::kNumber)));
  }
  return absl::StrJoin(parts, ", ");
}

std::string AnswerCards(const RunRecord& record, const Summary& summary) {
  std::string html;
  for (const Comparison& comparison : ComparisonsOf(record)) {
    const json& some = comparison.either();
    absl::StrAppend(&html, "<div class=\"card\">\n", Picture(record, some), "<div><div class=\"question\">",
                    EscapeMarkup(TextAt(some, {"question"})), "</div><div class=\"tag\">",
                    EscapeMarkup(TagOf(some)), "</div>\n", AnswerBox(summary.start_name, comparison.start),
                    AnswerBox(summary.final_name, comparison.final), "</div></div>\n");
  }
  if (html.empty()) return "";
  return absl::StrCat("<div class=\"answers", record.synthetic() ? " small" : "", "\">\n", html, "</div>\n");
}

}  // namespace rein::report
