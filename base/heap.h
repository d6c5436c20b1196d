// How this process takes memory and gives it back.
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

// LibTorch asks for huge pages for tensors of 2 MiB and more on the CPU (THP_MEM_ALLOC_ENABLE=1), in this
// process and its children, unless the user has set the variable: one page fault instead of 512. To be called
// before the first tensor.
void UseHugePages();

}  // namespace rein
