// Blocking calls side by side.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"

namespace rein::coordinator {

// Runs every call on a thread of its own, waits for all, and returns the first error in their order.
absl::Status AllAtOnce(const std::vector<std::function<absl::Status()>>& calls);

}  // namespace rein::coordinator
