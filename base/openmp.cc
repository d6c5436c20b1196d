#include "base/openmp.h"

#include <cstdlib>

namespace rein {

void LetOpenMpThreadsSleep() { setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0); }

}  // namespace rein
