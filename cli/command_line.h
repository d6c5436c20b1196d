// From argc and argv to an exit status.
#pragma once

#include <functional>
#include <vector>

#include "cli/command.h"

namespace rein::cli {

// Exit statuses of `rein`, on which scripts may rely.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitWrongUse = 2;

using AddCommand = std::function<void(CLI::App& rein, Action& action)>;

// Parses, runs the chosen verb and returns the exit status. Help goes to standard output, errors go to
// standard error; an unknown verb or flag is told the nearest one.
int RunCommandLine(int argc, const char* const* argv, const std::vector<AddCommand>& commands);

}  // namespace rein::cli
