// The comparison as files for a reader.
#pragma once

#include <filesystem>
#include <vector>

#include "absl/status/status.h"
#include "cli/evaluation/text_report.h"
#include "cli/reproduce/figures.h"

namespace rein::cli {

// Expected figures, policies, constraint, sensitivity, models by number of pairs, guard rounds.
std::vector<TextTable> TablesOf(const Comparison& comparison);

// reproduce.json, .md and .html in `folder`. Errors: those of writing.
absl::Status WriteComparison(const Comparison& comparison, const std::filesystem::path& folder);

}  // namespace rein::cli
