// rein-models: the verbs of `rein` that load models.
#include "base/heap.h"
#include "base/openmp.h"
#include "cli/command.h"
#include "cli/command_line.h"

int main(int argc, char** argv) {
  using namespace rein::cli;
  rein::MakeProductsRepeatable();
  rein::UseHugePages();
  constexpr HandedOverVerb kOthers[] = {kEvalPairs, kEvalReport, kEvalReproduce};
  return RunCommandLine(argc, argv,
                        {AddTrainCommand, AddEvalCommand, AddGenerateCommand, AddScoreCommand,
                         AddGuardCommand, AddLogitsCommand, AddPlanCommand},
                        kOthers);
}
