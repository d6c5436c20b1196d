// Memory for pictures and what lies between two steps of their processing.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace rein {

// At least `bytes` bytes, aligned to 64, not initialised. Throws std::bad_alloc.
void* TakeBlock(size_t bytes);
// `block` comes from TakeBlock. A large one is kept for the next TakeBlock of this thread: a fresh one costs
// a page fault for every 4 KiB, which is more than the work on a picture's bytes. A thread keeps 4 blocks and
// 48 MiB at most, and frees them when it ends.
void GiveBlockBack(void* block) noexcept;
// Of this thread.
size_t KeptBytes();

// For std::vector of numbers. Elements that are given no value have none: v(n) and v.resize(n) write nothing.
template <typename T>
class KeptBlocks {
 public:
  using value_type = T;

  KeptBlocks() = default;
  template <typename U>
  KeptBlocks(const KeptBlocks<U>&) {}  // NOLINT(google-explicit-constructor): allocators convert

  T* allocate(size_t count) {
    if (count > static_cast<size_t>(-1) / 2 / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(TakeBlock(count * sizeof(T)));
  }
  void deallocate(T* block, size_t) noexcept { GiveBlockBack(block); }

  template <typename U>
  void construct(U* element) {
    ::new (static_cast<void*>(element)) U;
  }
  template <typename U, typename... Arguments>
  void construct(U* element, Arguments&&... arguments) {
    ::new (static_cast<void*>(element)) U(std::forward<Arguments>(arguments)...);
  }
  friend bool operator==(const KeptBlocks&, const KeptBlocks&) { return true; }
};

}  // namespace rein
