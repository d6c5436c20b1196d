// For tests: the ranks of a training as threads of this process.
#pragma once

#include <functional>

#include "training/ranks.h"

namespace rein::training {

// Runs `member` once for each rank of a group of `world`, each on a thread of its own; one that returns early
// leaves the group.
void ForEachRank(int world, const std::function<void(Ranks& ranks)>& member);

}  // namespace rein::training
