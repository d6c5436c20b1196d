// Changes of settings that save memory, in the order in which they cost least.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rein/v1/job.pb.h"

namespace rein::cli {

template <typename Job>
struct Saving {
  std::string change;               // as a user would write it
  std::function<bool(Job&)> apply;  // false where the job has it already
};

std::vector<Saving<v1::Job>> JobSavings();

// Adds what a trainer file can change: its optimizer and its adapters.
template <typename Trainer>
std::vector<Saving<Trainer>> TrainerSavings();

}  // namespace rein::cli
