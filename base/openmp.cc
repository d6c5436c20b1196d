#include "base/openmp.h"

#include <cstdlib>

namespace rein {

void MakeProductsRepeatable() { setenv("MKL_CBWR", "AUTO,STRICT", /*overwrite=*/0); }

void LetOpenMpThreadsSleep() { setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0); }

}  // namespace rein
