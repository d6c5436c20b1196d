// Reads and writes of a stretch of an open file, however many system calls they take.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace rein {

// Up to `size` bytes from `offset` on; fewer only where the file ends. On failure -1, and errno says why.
ssize_t ReadFully(int fd, void* to, size_t size, int64_t offset);

// All `size` bytes. On failure false, and errno says why; some may have been written then.
bool WriteFully(int fd, const void* from, size_t size, int64_t offset);

}  // namespace rein
