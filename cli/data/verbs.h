// The verbs below `rein data`, each in its file.
#pragma once

#include "cli/command.h"

namespace rein::cli {

void AddScenesVerb(CLI::App& data, Action& action);
void AddInspectVerb(CLI::App& data, Action& action);
void AddConvertVerb(CLI::App& data, Action& action);

}  // namespace rein::cli
