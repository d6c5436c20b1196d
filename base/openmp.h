// How LibTorch's worker threads wait for work, and how its matrix products add up.
#pragma once

namespace rein {

// Programs started from now on let idle OpenMP threads sleep instead of spin (OMP_WAIT_POLICY=passive),
// unless the user has set the variable: several processes share the cores of a host, and spinning takes them
// away from those that work. To be called before other threads exist.
void LetOpenMpThreadsSleep();

// Products of equal matrices are equal to the bit in this process and its children, wherever the matrices lie
// in memory and however many threads compute (MKL_CBWR=AUTO,STRICT), unless the user has set the variable.
// Without it MKL's sums depend on alignment, which a resumed training does not share with the first one. To
// be called before the first product.
void MakeProductsRepeatable();

}  // namespace rein
