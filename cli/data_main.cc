// rein-data: the verbs of `rein` that read and write data sets, or answers to them, and load no model.
#include "cli/command.h"
#include "cli/command_line.h"

int main(int argc, char** argv) {
  using namespace rein::cli;
  return RunCommandLine(argc, argv, {AddDataCommand, AddEvalFilesCommand, AddReproduceCommand});
}
