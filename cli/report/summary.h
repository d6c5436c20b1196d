// The numbers of a report, the same for all its formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/report/run_record.h"
#include "nlohmann/json.hpp"

namespace rein::report {

struct SummaryRow {
  std::string name;
  std::string start, final;  // "-" where there is none
  bool important = false;    // shown large as well
};

struct ConstraintRow {
  std::string name, signal, threshold, window_mean, lambda, violations;
  std::optional<bool> met;  // window mean at or under the threshold, at the last step
};

struct CategoryRow {
  std::string name, prompts;
  std::string reward_start, reward_final, violations_start, violations_final;
};

struct Event {
  int64_t step = 0;
  std::string text;
};

struct Summary {
  // Evaluations without their answers, or where there are none the first and last step's metrics.
  nlohmann::json start, final;
  std::string start_name, final_name;  // "start policy", "step 140", "first step"
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<SummaryRow> rows;
  std::vector<ConstraintRow> constraints;
  std::vector<CategoryRow> categories;
  std::vector<Event> events;
  int64_t steps = 0;
  double seconds_total = 0;
};

Summary SummaryOf(const RunRecord& record);

// report.json: {"synthetic", "job", "state", "steps", "start", "final", "best_step", "seconds_total",
// "notes"}; best_step is the one whose policy was kept, null where none was.
nlohmann::json ReportJson(const RunRecord& record, const Summary& summary);

}  // namespace rein::report
