// From argc and argv to an exit status.
#pragma once

#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "cli/command.h"
#include "cli/handover.h"

namespace rein::cli {

// Exit statuses of `rein`, on which scripts may rely.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitWrongUse = 2;

using AddCommand = std::function<void(CLI::App& rein, Action& action)>;

// Parses, runs the chosen verb and returns the exit status. Help goes to standard output, errors go to
// standard error; an unknown verb or flag is told the nearest one. `handed_over` verbs are listed in the
// help, and all else of them, --help included, is left to their programs.
int RunCommandLine(int argc, const char* const* argv, const std::vector<AddCommand>& commands,
                   absl::Span<const HandedOverVerb> handed_over = {});

}  // namespace rein::cli
