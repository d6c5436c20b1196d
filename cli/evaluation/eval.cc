// rein eval: the verbs that read answers from files.
#include "cli/command.h"
#include "cli/evaluation/verbs.h"

namespace rein::cli {

void AddEvalFilesCommand(CLI::App& rein, Action& action) {
  CLI::App* eval = rein.add_subcommand("eval", "Evaluate models side by side");
  eval->require_subcommand(1);
  AddPairsVerb(*eval, action);
  AddReportVerb(*eval, action);
}

}  // namespace rein::cli
