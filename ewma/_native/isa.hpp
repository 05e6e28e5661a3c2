// The copies that a kernel is compiled in, and which of them this machine runs.
#pragma once

#if defined(EWMA_X86) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace ewma {

enum Isa : unsigned { kBaseline, kAvx2, kAvx512 };

// The best copy of a kernel that both the processor and the operating system take.
inline Isa best_isa() {
#if !defined(EWMA_X86)
  return kBaseline;
#elif defined(_MSC_VER)
  int leaf[4];
  __cpuid(leaf, 0);
  if (leaf[0] < 7) return kBaseline;
  __cpuid(leaf, 1);
  const bool fma = leaf[2] & (1 << 12), osxsave = leaf[2] & (1 << 27);
  if (!fma || !osxsave) return kBaseline;
  const auto saved = _xgetbv(0);
  __cpuidex(leaf, 7, 0);
  if ((saved & 0x06) != 0x06 || !(leaf[1] & (1 << 5))) return kBaseline;
  constexpr unsigned f_dq_vl = 1u << 16 | 1u << 17 | 1u << 31;
  const bool avx512 = (static_cast<unsigned>(leaf[1]) & f_dq_vl) == f_dq_vl;
  return avx512 && (saved & 0xe6) == 0xe6 ? kAvx512 : kAvx2;
#else
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return kBaseline;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? kAvx512 : kAvx2;
#endif
}

}  // namespace ewma
