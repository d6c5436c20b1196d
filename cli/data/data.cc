// rein data scenes|inspect|convert: the built-in data, what a data set holds, and data sets in our schema.
#include "cli/command.h"
#include "cli/data/verbs.h"

namespace rein::cli {

void AddDataCommand(CLI::App& rein, Action& action) {
  CLI::App* data = rein.add_subcommand("data", "Make the built-in data, or look into a data set");
  data->require_subcommand(1);
  AddScenesVerb(*data, action);
  AddInspectVerb(*data, action);
  AddConvertVerb(*data, action);
}

}  // namespace rein::cli
