// How LibTorch's worker threads wait for work.
#pragma once

namespace rein {

// Programs started from now on let idle OpenMP threads sleep instead of spin (OMP_WAIT_POLICY=passive),
// unless the user has set the variable: several processes share the cores of a host, and spinning takes them
// away from those that work. To be called before other threads exist.
void LetOpenMpThreadsSleep();

}  // namespace rein
