#include "cli/report/answer_cards.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/report/chart.h"
#include "cli/report/fields.h"
#include "cli/report/formats.h"
#include "cli/report/page.h"
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

std::string BoxOf(const std::string& who, const json* answer) {
  if (answer == nullptr) return "";
  return AnswerBox(who, TextAt(*answer, {"answer"}), VerdictText(*answer), IsSafe(*answer));
}

std::vector<std::string> PictureUris(const RunRecord& record, const json& answer) {
  std::vector<std::string> uris;
  for (const json& digest : ListAt(answer, {"images"})) {
    const std::string uri = digest.is_string() ? PictureUri(record.folder, digest.get<std::string>()) : "";
    if (!uri.empty()) uris.push_back(uri);
  }
  return uris;
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
    html += AnswerCard(PictureUris(record, some), TextAt(some, {"question"}), TagOf(some),
                       absl::StrCat(BoxOf(summary.start_name, comparison.start),
                                    BoxOf(summary.final_name, comparison.final)));
  }
  return CardGrid(html, record.synthetic());
}

}  // namespace rein::report
