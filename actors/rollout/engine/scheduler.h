// Who decodes next, and in which blocks. No tensor work.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "actors/rollout/engine/block_pool.h"
#include "actors/rollout/engine/sequence.h"

namespace rein::rollout {

struct SchedulerOptions {
  int64_t blocks = 0;
  int64_t block_tokens = 16;
  int64_t max_batch = 64;
  // Tokens that are prefilled in one step; a longer prompt takes a step alone.
  int64_t max_prefill_tokens = 8192;
};

// Contents of block `from` are to be copied to `to`.
struct BlockCopy {
  int32_t from;
  int32_t to;
};

// First come, first served. A step: 1. Admit; compute the prefixes it returns. 2. StartAdmitted. 3. Reserve;
// make its copies, all reads before all writes. 4. Compute the pending tokens of running(), append one token
// to each. 5. EndStep.
//
// When blocks run out, idle prefixes go first, then the youngest running sequences: they keep their tokens
// and wait at the front of the queue until they can be prefilled again. The oldest sequence always goes on,
// if its longest form fits into all blocks together; whoever calls Add makes sure of that.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  void Add(std::shared_ptr<Prompt> prompt);

  // Moves what fits from the queue to running(). Returns the prompts whose prefix is to be computed into
  // their blocks, and last_hidden to be set.
  std::vector<std::shared_ptr<Prompt>> Admit();
  // Gives admitted sequences their prompt's blocks.
  void StartAdmitted();
  // Blocks of their own for the pending tokens of all that remain in running().
  std::vector<BlockCopy> Reserve();
  // Takes out and hands over the sequences for which `done` is true; drops prefixes that nobody waits for.
  void EndStep(const std::function<bool(const Sequence&)>& done, const std::function<void(Sequence&)>& take);

  // Running sequences keep their tokens, lose their blocks and wait at the front; all prefixes are dropped.
  void Restart();
  void Cancel(uint64_t tag);
  void Clear();

  // Oldest first.
  const std::vector<std::unique_ptr<Sequence>>& running() const { return running_; }
  bool idle() const { return running_.empty() && waiting_.empty(); }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t preempted() const { return preempted_; }
  const BlockPool& pool() const { return pool_; }

 private:
  using SequencePtr = std::unique_ptr<Sequence>;

  int64_t BlocksFor(int64_t tokens) const {
    return (tokens + options_.block_tokens - 1) / options_.block_tokens;
  }
  // Beyond the prefix, up to the end of the step.
  int64_t OwnBlocks(const Sequence& sequence) const;
  bool NeedsCopy(const Sequence& sequence) const;
  bool Grow(Sequence& sequence, std::vector<BlockCopy>& copies);
  void Wait(SequencePtr sequence);
  void PreemptYoungest();
  void DropPrefix(Prompt& prompt);
  bool DropNewestPrefix();
  void DropUnneededPrefixes();

  const SchedulerOptions options_;
  BlockPool pool_;
  std::deque<SequencePtr> waiting_;
  std::vector<SequencePtr> running_;
  std::vector<std::shared_ptr<Prompt>> prefixes_;  // prompts that have one, oldest first
  int64_t preempted_ = 0;
};

}  // namespace rein::rollout
