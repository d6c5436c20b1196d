// The verbs below `rein eval` that load no model, each in its file.
#pragma once

#include "cli/command.h"

namespace rein::cli {

void AddPairsVerb(CLI::App& eval, Action& action);
void AddReportVerb(CLI::App& eval, Action& action);

}  // namespace rein::cli
