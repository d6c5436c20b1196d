// rein eval: the verbs that load models.
#include "cli/command.h"
#include "cli/offline/verbs.h"

namespace rein::cli {

void AddEvalCommand(CLI::App& rein, Action& action) {
  CLI::App* eval = rein.add_subcommand("eval", "Evaluate models side by side");
  eval->require_subcommand(1);
  AddEvalAnswersVerb(*eval, action);
  AddEvalScenesVerb(*eval, action);
}

}  // namespace rein::cli
