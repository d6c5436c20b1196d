// Flags of the verbs that read a data set.
#pragma once

#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "data/read_options.h"

namespace rein::cli {

struct ReadFlags {
  std::string format, split = "all", columns, images, contradictions = "keep", pictures = "header";
  bool drop_duplicates = false, every_exchange = false;
  std::optional<int> safe_rate, unsafe_rate;
};

// `flags` outlives the parsing.
void AddReadFlags(CLI::App& verb, ReadFlags& flags);

// Errors: INVALID_ARGUMENT (a name that is not known: lists those that are).
absl::StatusOr<data::ReadOptions> ToReadOptions(const ReadFlags& flags);

}  // namespace rein::cli
