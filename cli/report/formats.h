// The formats in which a report is written.
#pragma once

#include <string>
#include <vector>

#include "cli/report/figures.h"
#include "cli/report/run_record.h"
#include "cli/report/summary.h"

namespace rein::report {

// The same question answered by the start policy and by the final one.
struct Comparison {
  std::string prompt_id;
  const nlohmann::json* start = nullptr;  // answers of evaluations; nullptr where there is none
  const nlohmann::json* final = nullptr;
  const nlohmann::json& either() const { return final != nullptr ? *final : *start; }
};

// Of the evaluations of start and final; where there are none, the last samples as final.
std::vector<Comparison> ComparisonsOf(const RunRecord& record);

// One page, complete in itself: charts are inline, pictures are data URIs, nothing is loaded and no script
// runs.
std::string HtmlReport(const RunRecord& record, const Summary& summary, const std::vector<Chart>& figures);

std::string MarkdownReport(const RunRecord& record, const Summary& summary);

}  // namespace rein::report
