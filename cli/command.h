// The verbs of `rein`, one function each.
#pragma once

#include <functional>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

namespace rein::cli {

// What a verb does once its flags are parsed. Errors: INVALID_ARGUMENT and all others end `rein` with exit
// status 1 and "error: MESSAGE" on standard error. Standard output is the verb's own.
using Action = std::function<absl::Status()>;

// Each adds one verb (its subcommand) to `rein`; when that verb was chosen and parsed, its callback sets
// `action`. Wrong flags throw CLI::ParseError while parsing, which ends `rein` with exit status 2.
void AddRunCommand(CLI::App& rein, Action& action);
void AddStatusCommand(CLI::App& rein, Action& action);
void AddSwapCommand(CLI::App& rein, Action& action);
// pause, resume, checkpoint, stop.
void AddControlCommands(CLI::App& rein, Action& action);
void AddTraceCommand(CLI::App& rein, Action& action);
void AddReportCommand(CLI::App& rein, Action& action);
void AddVersionCommand(CLI::App& rein, Action& action);

// Of rein-data and rein-models (cli/handover.h).
void AddDataCommand(CLI::App& rein, Action& action);
// `eval` as far as it loads no model, and the rest of it.
void AddEvalFilesCommand(CLI::App& rein, Action& action);
// eval reproduce; after AddEvalFilesCommand.
void AddReproduceCommand(CLI::App& rein, Action& action);
void AddEvalCommand(CLI::App& rein, Action& action);
void AddTrainCommand(CLI::App& rein, Action& action);
void AddLogitsCommand(CLI::App& rein, Action& action);
void AddGuardCommand(CLI::App& rein, Action& action);
void AddScoreCommand(CLI::App& rein, Action& action);
void AddGenerateCommand(CLI::App& rein, Action& action);
void AddPlanCommand(CLI::App& rein, Action& action);

}  // namespace rein::cli
