// How the heap of this process gives memory back.
#pragma once

namespace rein {

// While one lives, blocks of 128 KiB and more lie outside the heap and go back to the system as soon as they
// are freed. For work that frees large blocks and keeps small ones between them: glibc by itself puts large
// blocks into the heap once one of their size has been freed; small ones then take the places of the freed
// ones, the next large one fits into none, and the heap grows as if nothing had been freed. Afterwards blocks
// below 32 MiB lie in the heap, which is where glibc's own adjusting ends: work that takes and frees the same
// blocks over and over needs that for its speed. Thread-safe; several may live at a time.
class LargeBlocksApart {
 public:
  LargeBlocksApart();
  ~LargeBlocksApart();
  LargeBlocksApart(const LargeBlocksApart&) = delete;
  LargeBlocksApart& operator=(const LargeBlocksApart&) = delete;
};

}  // namespace rein
