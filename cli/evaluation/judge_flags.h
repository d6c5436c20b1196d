// Flags of the verbs that let a judge look at answers.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "evaluation/bootstrap.h"
#include "evaluation/chat_judge.h"

namespace rein::cli {

struct JudgeFlags {
  std::string judge;
  double reward_margin = 0, cost_margin = 0;
  evaluation::ChatJudgeOptions chat;
  std::string key_variable, request, cache;
  double timeout_seconds = 120;
  evaluation::BootstrapOptions bootstrap;
};

// `flags` outlives the parsing. Margins are for comparisons alone: they have no flag here.
void AddJudgeFlags(CLI::App& verb, JudgeFlags& flags);

// Replies paid for are kept below `output`, unless --cache says where. Errors: INVALID_ARGUMENT (a flag that
// the judge needs, or that cannot be; says which), those of ChatJudge.
absl::StatusOr<std::unique_ptr<evaluation::Judge>> MakeJudge(const JudgeFlags& flags,
                                                             const std::filesystem::path& output);

}  // namespace rein::cli
