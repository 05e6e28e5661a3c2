// Samples that lie one way, brought to lie the other way, squares of four by four in registers.
#pragma once

#include <cstddef>
#include <type_traits>

#include "lanes.hpp"

namespace ewma {
namespace EWMA_ISA {

#if defined(EWMA_VECTOR_LANES)
typedef double Four __attribute__((vector_size(4 * sizeof(double))));
typedef float FourFloats __attribute__((vector_size(4 * sizeof(float))));
typedef double FourThere
    __attribute__((vector_size(sizeof(Four)), aligned(alignof(double)), may_alias));
typedef float FourFloatsThere
    __attribute__((vector_size(sizeof(FourFloats)), aligned(alignof(float)), may_alias));

inline void get(const double* x, Four& a) { a = *reinterpret_cast<const FourThere*>(x); }
inline void get(const float* x, FourFloats& a) { a = *reinterpret_cast<const FourFloatsThere*>(x); }
inline void get(const float* x, Four& a) {
  a = __builtin_convertvector(*reinterpret_cast<const FourFloatsThere*>(x), Four);
}
inline void put(double* x, const Four& a) { *reinterpret_cast<FourThere*>(x) = a; }
inline void put(float* x, const FourFloats& a) { *reinterpret_cast<FourFloatsThere*>(x) = a; }
inline void put(float* x, const Four& a) { put(x, __builtin_convertvector(a, FourFloats)); }

// Four rows of four; what lies in between stays.
template <typename From, typename To>
void transpose_square(const From* from, std::size_t from_stride, To* to, std::size_t to_stride) {
  // Floats that stay floats keep all their bits, those of a NaN too.
  constexpr bool kFloats = std::is_same<From, float>::value && std::is_same<To, float>::value;
  using Row = std::conditional_t<kFloats, FourFloats, Four>;
  Row a, b, c, d;
  get(from, a), get(from + from_stride, b);
  get(from + 2 * from_stride, c), get(from + 3 * from_stride, d);
  const Row ab_even = __builtin_shufflevector(a, b, 0, 4, 2, 6);
  const Row ab_odd = __builtin_shufflevector(a, b, 1, 5, 3, 7);
  const Row cd_even = __builtin_shufflevector(c, d, 0, 4, 2, 6);
  const Row cd_odd = __builtin_shufflevector(c, d, 1, 5, 3, 7);
  put(to, __builtin_shufflevector(ab_even, cd_even, 0, 1, 4, 5));
  put(to + to_stride, __builtin_shufflevector(ab_odd, cd_odd, 0, 1, 4, 5));
  put(to + 2 * to_stride, __builtin_shufflevector(ab_even, cd_even, 2, 3, 6, 7));
  put(to + 3 * to_stride, __builtin_shufflevector(ab_odd, cd_odd, 2, 3, 6, 7));
}
#else
template <typename From, typename To>
void transpose_square(const From* from, std::size_t from_stride, To* to, std::size_t to_stride) {
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j) {
      to[j * to_stride + i] = static_cast<To>(from[i * from_stride + j]);
    }
  }
}
#endif

// to[j][i] = from[i][j], for so many rows i and columns j. What lies farther apart is gone through
// line by line, so that few lines of the cache are under way at once.
template <typename From, typename To>
void transpose(const From* from, std::size_t from_stride, std::size_t rows, std::size_t columns,
               To* to, std::size_t to_stride) {
  const std::size_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  const auto square = [&](std::size_t i, std::size_t j) {
    transpose_square(from + i * from_stride + j, from_stride, to + j * to_stride + i, to_stride);
  };
  if (from_stride > to_stride) {
    for (std::size_t i = 0; i < whole_rows; i += 4) {
      for (std::size_t j = 0; j < whole_columns; j += 4) square(i, j);
    }
  } else {
    for (std::size_t j = 0; j < whole_columns; j += 4) {
      for (std::size_t i = 0; i < whole_rows; i += 4) square(i, j);
    }
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = i < whole_rows ? whole_columns : 0; j < columns; ++j) {
      to[j * to_stride + i] = static_cast<To>(from[i * from_stride + j]);
    }
  }
}

}  // namespace EWMA_ISA
}  // namespace ewma
