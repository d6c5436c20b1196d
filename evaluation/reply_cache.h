// Replies that were paid for, on disk.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace rein::evaluation {

// A JSONL file of {"key", "reply"}, appended to; of equal keys the last one holds. Thread-safe; several
// processes may append to one file, each sees what was there when it opened it.
class ReplyCache {
 public:
  // Reads what is there; lines that are no replies (a crash cut one off) are passed over. An empty path keeps
  // replies in memory only. Errors: those of reading and writing files.
  static absl::StatusOr<std::unique_ptr<ReplyCache>> Open(const std::filesystem::path& file);

  std::optional<std::string> Find(const std::string& key) const;
  // Durable when it returns. Errors: those of AppendToFile.
  absl::Status Add(const std::string& key, const std::string& reply);

 private:
  explicit ReplyCache(std::filesystem::path file) : file_(std::move(file)) {}
  absl::Status Load();

  const std::filesystem::path file_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::string> replies_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::evaluation
