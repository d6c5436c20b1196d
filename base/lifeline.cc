#include "base/lifeline.h"

#include <unistd.h>

#include <cerrno>
#include <thread>

namespace rein {

void FollowLifeline(int fd) {
  if (fd < 0) return;
  std::thread([fd] {
    char byte;
    ssize_t got;
    do {
      got = read(fd, &byte, 1);
    } while (got > 0 || (got < 0 && errno == EINTR));
    _exit(3);
  }).detach();
}

}  // namespace rein
