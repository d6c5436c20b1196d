// The verbs below `rein eval` that load models, each in its file.
#pragma once

#include "cli/command.h"

namespace rein::cli {

void AddEvalScenesVerb(CLI::App& eval, Action& action);
void AddEvalAnswersVerb(CLI::App& eval, Action& action);

}  // namespace rein::cli
