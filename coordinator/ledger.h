// The sample ledger: what became of every sample, in SQLite. A sample's life is
// planned > scored > consumed(step), or dropped, or abandoned where its step was lost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "rein/v1/common.pb.h"

namespace rein::coordinator {

// Who writes: the same sample may be planned again, as another row, by a later coordinator epoch.
struct LedgerKey {
  uint64_t epoch = 0;
  int64_t step = 0;
};

struct PlannedSample {
  std::string sample_id;
  std::string prompt_id;
  std::string category;
  std::string image_digest;  // empty: no picture; several are joined with commas
  std::string question;
  uint64_t seed = 0;
};

struct ScoredCost {
  std::string name;
  double cost = 0;    // raw
  double signal = 0;  // what the window and the shaping saw
  std::string digest;
  double lambda = 0;  // that mixed its advantages
};

struct ScoredSample {
  std::string sample_id;
  std::string answer;
  v1::WeightVersion first_version, last_version;
  int64_t response_tokens = 0;
  std::string finish_reason;  // "stop" or "length"
  double reward = 0;
  std::string reward_digest;
  std::vector<ScoredCost> costs;
  std::string token_columns;  // JSON; empty unless the job records tokens
};

struct DroppedSample {
  std::string sample_id;
  std::string reason;
};

// One thread. Every change is one transaction and durable when the call returns (WAL, synchronous=FULL,
// exclusive locking is off so that `rein trace` may read). Errors: RESOURCE_EXHAUSTED (disk full),
// UNAVAILABLE (another I/O error, or locked by another writer), DATA_LOSS (not a ledger, damaged).
// A call that is repeated, with the same arguments, after its answer was lost changes nothing.
class Ledger {
 public:
  // A new ledger where there is no file. Errors: also FAILED_PRECONDITION (written by a newer program).
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::filesystem::path& file);
  virtual ~Ledger() = default;

  // The next coordinator epoch, 1 for a new ledger; stored before it is returned.
  virtual absl::StatusOr<uint64_t> NextEpoch() = 0;

  // Errors: ALREADY_EXISTS (a sample of another step of the same epoch).
  virtual absl::Status Plan(const LedgerKey& key, absl::Span<const PlannedSample> samples) = 0;
  // planned -> scored, and planned -> dropped with the reason. Errors: NOT_FOUND (a sample does not wait
  // for its scores under `key`; then nothing is closed).
  virtual absl::Status Close(const LedgerKey& key, absl::Span<const ScoredSample> scored,
                             absl::Span<const DroppedSample> dropped) = 0;
  // All scored samples of the step -> consumed.
  virtual absl::Status Consume(const LedgerKey& key) = 0;
  // Rows of steps after `committed_step` that are not yet abandoned -> abandoned, whatever their epoch.
  virtual absl::Status Reconcile(int64_t committed_step) = 0;

  // Swaps, restarts, rollbacks, commits: kept in table `events` (time_ns, epoch, step, kind, text).
  virtual absl::Status RecordEvent(const LedgerKey& key, const std::string& kind,
                                   const std::string& text) = 0;
  // Samples per state, e.g. for reports and tests.
  virtual absl::StatusOr<std::map<std::string, int64_t>> CountStates() = 0;
};

}  // namespace rein::coordinator
