#include "actors/rollout/engine/scheduler.h"

#include <algorithm>
#include <utility>

#include "actors/rollout/engine/random_stream.h"

namespace rein::rollout {

Scheduler::Scheduler(const SchedulerOptions& options) : options_(options), pool_(options.blocks) {}

void Scheduler::Add(std::shared_ptr<Prompt> prompt) {
  for (int32_t sample : prompt->request.samples) {
    auto sequence = std::make_unique<Sequence>();
    sequence->key = StreamKey(prompt->request.params.seed, prompt->request.prompt_id, sample);
    sequence->prompt = prompt;
    sequence->sample = sample;
    ++prompt->waiting;
    waiting_.push_back(std::move(sequence));
  }
}

int64_t Scheduler::OwnBlocks(const Sequence& sequence) const {
  // One more than the response asks for: the copy of the prompt's last block.
  return BlocksFor(sequence.known() + 1) - BlocksFor(sequence.prompt->length()) + 1;
}

std::vector<std::shared_ptr<Prompt>> Scheduler::Admit() {
  std::vector<std::shared_ptr<Prompt>> to_prefill;
  int64_t tokens = 0, promised = 0;
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < options_.max_batch) {
    const std::shared_ptr<Prompt> prompt = waiting_.front()->prompt;
    const bool prefill = prompt->blocks.empty();
    const int64_t work =
        static_cast<int64_t>(waiting_.front()->tokens.size()) + (prefill ? prompt->length() : 0);
    if (tokens > 0 && tokens + work > options_.max_prefill_tokens) break;
    const int64_t prefix = prefill ? BlocksFor(prompt->length()) : 0;
    const int64_t own = OwnBlocks(*waiting_.front());
    if (running_.empty()) {
      // The oldest one always goes on: nobody else holds anything but idle prefixes.
      while (pool_.free() < prefix + own && DropNewestPrefix()) {
      }
      if (prompt->blocks.empty() && !prefill) continue;
    } else if (pool_.free() < promised + prefix + own) {
      break;
    }
    if (prefill) {
      for (int64_t i = 0; i < prefix; ++i) prompt->blocks.push_back(pool_.Take());
      prefixes_.push_back(prompt);
      to_prefill.push_back(prompt);
    }
    tokens += work;
    promised += own;
    --prompt->waiting;
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return to_prefill;
}

void Scheduler::StartAdmitted() {
  for (const SequencePtr& sequence : running_) {
    if (!sequence->blocks.empty()) continue;
    sequence->blocks = sequence->prompt->blocks;
    sequence->computed = sequence->prompt->length();
    for (int32_t block : sequence->blocks) pool_.Share(block);
  }
}

bool Scheduler::NeedsCopy(const Sequence& sequence) const {
  return sequence.computed % options_.block_tokens != 0 &&
         pool_.shared(sequence.blocks[sequence.computed / options_.block_tokens]);
}

bool Scheduler::Grow(Sequence& sequence, std::vector<BlockCopy>& copies) {
  if (sequence.pending() == 0) return true;
  const bool copy = NeedsCopy(sequence);
  const int64_t more = BlocksFor(sequence.known()) - static_cast<int64_t>(sequence.blocks.size());
  if (pool_.free() < more + (copy ? 1 : 0)) return false;
  if (copy) {
    int32_t& block = sequence.blocks[sequence.computed / options_.block_tokens];
    const int32_t own = pool_.Take();
    copies.push_back({.from = block, .to = own});
    pool_.Release(block);
    block = own;
  }
  for (int64_t i = 0; i < more; ++i) sequence.blocks.push_back(pool_.Take());
  return true;
}

std::vector<BlockCopy> Scheduler::Reserve() {
  std::vector<BlockCopy> copies;
  for (size_t i = 0; i < running_.size(); ++i) {
    while (!Grow(*running_[i], copies)) {
      if (DropNewestPrefix()) continue;
      PreemptYoungest();
      if (i >= running_.size()) return copies;
    }
  }
  return copies;
}

void Scheduler::Wait(SequencePtr sequence) {
  pool_.Release(sequence->blocks);
  sequence->computed = 0;
  ++sequence->prompt->waiting;
  waiting_.push_front(std::move(sequence));
}

void Scheduler::PreemptYoungest() {
  Wait(std::move(running_.back()));
  running_.pop_back();
  ++preempted_;
}

void Scheduler::DropPrefix(Prompt& prompt) {
  pool_.Release(prompt.blocks);
  prompt.last_hidden.reset();
}

bool Scheduler::DropNewestPrefix() {
  if (prefixes_.empty()) return false;
  // Sequences that have not drawn their first token need the hidden state of their prompt in this step.
  pool_.Release(prefixes_.back()->blocks);
  prefixes_.pop_back();
  return true;
}

void Scheduler::DropUnneededPrefixes() {
  std::erase_if(prefixes_, [this](const std::shared_ptr<Prompt>& prompt) {
    if (prompt->waiting > 0) return false;
    DropPrefix(*prompt);
    return true;
  });
}

void Scheduler::EndStep(const std::function<bool(const Sequence&)>& done,
                        const std::function<void(Sequence&)>& take) {
  std::erase_if(running_, [&](const SequencePtr& sequence) {
    if (!done(*sequence)) return false;
    pool_.Release(sequence->blocks);
    take(*sequence);
    return true;
  });
  DropUnneededPrefixes();
}

void Scheduler::Restart() {
  while (!running_.empty()) {
    Wait(std::move(running_.back()));
    running_.pop_back();
  }
  for (const std::shared_ptr<Prompt>& prompt : prefixes_) DropPrefix(*prompt);
  prefixes_.clear();
}

void Scheduler::Cancel(uint64_t tag) {
  const auto cancelled = [this, tag](const SequencePtr& sequence) {
    if (sequence->prompt->request.tag != tag) return false;
    pool_.Release(sequence->blocks);
    return true;
  };
  std::erase_if(running_, cancelled);
  std::erase_if(waiting_, [&](const SequencePtr& sequence) {
    if (!cancelled(sequence)) return false;
    --sequence->prompt->waiting;
    return true;
  });
  DropUnneededPrefixes();
}

void Scheduler::Clear() {
  Restart();
  waiting_.clear();
}

}  // namespace rein::rollout
