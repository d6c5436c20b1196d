// The charts of a run.
#pragma once

#include <string>
#include <vector>

#include "cli/report/chart.h"
#include "cli/report/run_record.h"

namespace rein::report {

// Those that the run has numbers for, in the order in which they are shown.
std::vector<Chart> FiguresOf(const RunRecord& record);

// One SVG file with the most telling ones of them side by side; complete in itself.
std::string OverviewSvg(const RunRecord& record, const std::vector<Chart>& figures);

}  // namespace rein::report
