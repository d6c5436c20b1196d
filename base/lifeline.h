// No orphans: a process ends when the one that started it is gone.
#pragma once

namespace rein {

// Starts a thread that waits for end-of-file on `fd`, the read end of a pipe whose write end only the
// supervisor holds, and then ends the whole process at once (exit status 3). Negative: does nothing.
void FollowLifeline(int fd);

}  // namespace rein
