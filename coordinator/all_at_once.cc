#include "coordinator/all_at_once.h"

#include <thread>

#include "base/status.h"

namespace rein::coordinator {

absl::Status AllAtOnce(const std::vector<std::function<absl::Status()>>& calls) {
  std::vector<absl::Status> results(calls.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < calls.size(); ++i) threads.emplace_back([&, i] { results[i] = calls[i](); });
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : results) REIN_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

}  // namespace rein::coordinator
