// Helps tests: verbs as the command line runs them, in this process.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cli/command.h"

namespace rein::cli {

using AddVerbsFn = std::function<void(CLI::App& rein, Action& action)>;

struct Outcome {
  absl::Status status;
  std::string out;
};

// Runs `rein ARGUMENTS...` with these verbs; wrong flags are INVALID_ARGUMENT with "usage" in front.
inline Outcome RunVerb(const AddVerbsFn& add_verbs, const std::vector<std::string>& arguments) {
  CLI::App rein("", "rein");
  Action action;
  add_verbs(rein, action);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    rein.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return {absl::InvalidArgumentError(absl::StrCat("usage: ", error.what())), ""};
  }
  testing::internal::CaptureStdout();
  const absl::Status status = action ? action() : absl::InternalError("no verb was chosen");
  fflush(stdout);
  return {status, testing::internal::GetCapturedStdout()};
}

inline void ExpectOutcome(const Outcome& outcome, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(outcome.status.code(), code) << outcome.status;
  EXPECT_THAT(std::string(outcome.status.message()), testing::HasSubstr(text));
}

}  // namespace rein::cli
