// Workspaces that threads borrow: as many as there have been callers at once.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "models/tokenizer/bpe.h"

namespace rein::models {

// Thread-safe.
class WorkspacePool {
 public:
  // Calls `use` with a workspace that nobody else has.
  template <typename Use>
  void With(Use use) {
    std::unique_ptr<Bpe::Workspace> workspace = Take();
    use(*workspace);
    // One that a huge text has blown up is not kept.
    if (workspace->symbols.capacity() <= kMaxSymbols) Give(std::move(workspace));
  }

 private:
  static constexpr size_t kMaxSymbols = 1 << 16;

  std::unique_ptr<Bpe::Workspace> Take() {
    absl::MutexLock lock(&mutex_);
    if (free_.empty()) return std::make_unique<Bpe::Workspace>();
    std::unique_ptr<Bpe::Workspace> workspace = std::move(free_.back());
    free_.pop_back();
    return workspace;
  }
  void Give(std::unique_ptr<Bpe::Workspace> workspace) {
    absl::MutexLock lock(&mutex_);
    free_.push_back(std::move(workspace));
  }

  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Bpe::Workspace>> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::models
