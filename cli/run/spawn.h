// One process through posix_spawn: safe in a process with many threads.
#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "cli/run/child_processes.h"

namespace rein::cli {

// Starts `command` in its own process group with an empty signal mask, standard input /dev/null and
// `lifeline_fd` as kLifelineFd; no other descriptor is passed on. Errors: those of ChildProcesses::Start.
absl::StatusOr<pid_t> Spawn(const ChildCommand& command, int lifeline_fd);

}  // namespace rein::cli
