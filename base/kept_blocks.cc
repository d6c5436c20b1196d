#include "base/kept_blocks.h"

#include <cstdint>
#include <vector>

namespace rein {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr size_t kHeaderBytes = 64;                           // in front of a block: its size
constexpr size_t kLargeBytes = 64 << 10;                      // smaller ones are cheap to take anew
constexpr size_t kMostBlocks = 4, kMostKeptBytes = 48 << 20;  // of a thread

size_t& SizeOf(void* block) {
  return *reinterpret_cast<size_t*>(static_cast<uint8_t*>(block) - kHeaderBytes);
}

void* NewBlock(size_t bytes) {
  if (bytes > SIZE_MAX - kHeaderBytes) throw std::bad_alloc();
  auto* block = static_cast<uint8_t*>(::operator new(bytes + kHeaderBytes, kAlignment)) + kHeaderBytes;
  SizeOf(block) = bytes;
  return block;
}

void FreeBlock(void* block) { ::operator delete(static_cast<uint8_t*>(block) - kHeaderBytes, kAlignment); }

// Once this thread's blocks are freed; statics may give theirs back later.
thread_local bool ended = false;

class Kept {
 public:
  Kept() { blocks_.reserve(kMostBlocks + 1); }
  ~Kept() {
    ended = true;
    for (void* block : blocks_) FreeBlock(block);
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // The smallest that `bytes` fit into and that is at most twice their number; null: none.
  void* Take(size_t bytes) {
    auto best = blocks_.end();
    for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
      if (SizeOf(*block) < bytes || SizeOf(*block) / 2 > bytes) continue;
      if (best == blocks_.end() || SizeOf(*block) < SizeOf(*best)) best = block;
    }
    return best == blocks_.end() ? nullptr : Remove(best);
  }

  // The oldest make room.
  void Keep(void* block) {
    blocks_.push_back(block);
    bytes_ += SizeOf(block);
    while (blocks_.size() > kMostBlocks || bytes_ > kMostKeptBytes) FreeBlock(Remove(blocks_.begin()));
  }

  size_t bytes() const { return bytes_; }

 private:
  void* Remove(std::vector<void*>::iterator place) {
    void* block = *place;
    blocks_.erase(place);
    bytes_ -= SizeOf(block);
    return block;
  }

  std::vector<void*> blocks_;  // oldest first; has room, so that keeping cannot fail
  size_t bytes_ = 0;
};

Kept& OfThisThread() {
  thread_local Kept kept;
  return kept;
}

}  // namespace

void* TakeBlock(size_t bytes) {
  void* block = ended || bytes < kLargeBytes ? nullptr : OfThisThread().Take(bytes);
  return block == nullptr ? NewBlock(bytes) : block;
}

void GiveBlockBack(void* block) noexcept {
  if (ended || SizeOf(block) < kLargeBytes) {
    FreeBlock(block);
  } else {
    OfThisThread().Keep(block);
  }
}

size_t KeptBytes() { return ended ? 0 : OfThisThread().bytes(); }

}  // namespace rein
