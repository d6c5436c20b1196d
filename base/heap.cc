#include "base/heap.h"

#include <malloc.h>

#include <cstdlib>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace rein {
namespace {

constexpr int kApartBytes = 128 << 10;       // glibc's first value
constexpr int kUsualBytes = 32 << 20;        // the largest that glibc comes to by itself
constexpr int kKeptBytes = 2 * kUsualBytes;  // free bytes at the end of the heap; glibc's ratio

absl::Mutex mutex(absl::kConstInit);
int living ABSL_GUARDED_BY(mutex) = 0;

}  // namespace

LargeBlocksApart::LargeBlocksApart() {
  const absl::MutexLock lock(&mutex);
  if (living++ == 0) mallopt(M_MMAP_THRESHOLD, kApartBytes);
}

LargeBlocksApart::~LargeBlocksApart() {
  const absl::MutexLock lock(&mutex);
  if (--living > 0) return;
  mallopt(M_MMAP_THRESHOLD, kUsualBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

void UseHugePages() { setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0); }

}  // namespace rein
