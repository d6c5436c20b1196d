// Declared in formats.h.
#include <map>

#include "cli/report/fields.h"
#include "cli/report/formats.h"

namespace rein::report {
namespace {

using nlohmann::json;

std::vector<const json*> AnswersOf(const json* evaluation) {
  std::vector<const json*> answers;
  if (evaluation == nullptr) return answers;
  for (const json& answer : ListAt(*evaluation, {"answers"})) {
    if (answer.is_object()) answers.push_back(&answer);
  }
  return answers;
}

}  // namespace

std::vector<Comparison> ComparisonsOf(const RunRecord& record) {
  std::vector<Comparison> comparisons;
  std::map<std::string, size_t> by_prompt;
  for (const json* answer : AnswersOf(record.start_evaluation())) {
    const std::string id = TextAt(*answer, {"prompt_id"});
    by_prompt[id] = comparisons.size();
    comparisons.push_back({id, answer, nullptr});
  }
  for (const json* answer : AnswersOf(record.final_evaluation())) {
    const std::string id = TextAt(*answer, {"prompt_id"});
    const auto found = by_prompt.find(id);
    if (found == by_prompt.end())
      comparisons.push_back({id, nullptr, answer});
    else
      comparisons[found->second].final = answer;
  }
  if (!comparisons.empty()) return comparisons;
  for (const json& sample : record.last_samples)
    comparisons.push_back({TextAt(sample, {"prompt_id"}), nullptr, &sample});
  return comparisons;
}

}  // namespace rein::report
