// rein: the command line.
#include "base/openmp.h"
#include "cli/command.h"
#include "cli/command_line.h"

int main(int argc, char** argv) {
  rein::LetOpenMpThreadsSleep();
  using namespace rein::cli;
  return RunCommandLine(argc, argv,
                        {AddRunCommand, AddStatusCommand, AddSwapCommand, AddControlCommands, AddTraceCommand,
                         AddReportCommand, AddVersionCommand},
                        kHandedOverVerbs);
}
