// rein-data: the verbs of `rein` that read and write data sets.
#include "cli/command.h"
#include "cli/command_line.h"

int main(int argc, char** argv) { return rein::cli::RunCommandLine(argc, argv, {rein::cli::AddDataCommand}); }
