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
#if defined(__AVX__)
  a = (Four)_mm256_cvtps_pd(_mm_loadu_ps(x));  // GCC converts in halves, by way of the stack
#else
  a = __builtin_convertvector(*reinterpret_cast<const FourFloatsThere*>(x), Four);
#endif
}
inline void put(double* x, const Four& a) { *reinterpret_cast<FourThere*>(x) = a; }
inline void put(float* x, const FourFloats& a) { *reinterpret_cast<FourFloatsThere*>(x) = a; }
inline void put(float* x, const Four& a) { put(x, __builtin_convertvector(a, FourFloats)); }

template <typename Row>
void transpose(Row (&square)[4]) {
  const Row ab_even = __builtin_shufflevector(square[0], square[1], 0, 4, 2, 6);
  const Row ab_odd = __builtin_shufflevector(square[0], square[1], 1, 5, 3, 7);
  const Row cd_even = __builtin_shufflevector(square[2], square[3], 0, 4, 2, 6);
  const Row cd_odd = __builtin_shufflevector(square[2], square[3], 1, 5, 3, 7);
  square[0] = __builtin_shufflevector(ab_even, cd_even, 0, 1, 4, 5);
  square[1] = __builtin_shufflevector(ab_odd, cd_odd, 0, 1, 4, 5);
  square[2] = __builtin_shufflevector(ab_even, cd_even, 2, 3, 6, 7);
  square[3] = __builtin_shufflevector(ab_odd, cd_odd, 2, 3, 6, 7);
}

inline Four all_four(double x) { return x - Four{}; }
#else
using Four = Lanes;
static_assert(kLanes == 4);
template <typename T>
void get(const T* x, Four& a) {
  a = load(x);
}
template <typename T>
void put(T* x, const Four& a) {
  store(x, a);
}
inline void transpose(Four (&square)[4]) {
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < i; ++j) {
      const double above = square[j][i];
      square[j][i] = square[i][j], square[i][j] = above;
    }
  }
}
inline Four all_four(double x) { return all_lanes(x); }
#endif

// Four rows of four; what lies in between stays.
template <typename T>
void transpose_square(const T* from, std::size_t from_stride, T* to, std::size_t to_stride) {
#if defined(EWMA_VECTOR_LANES)
  // Floats keep all their bits, those of a NaN too.
  std::conditional_t<std::is_same<T, float>::value, FourFloats, Four> square[4];
  for (int i = 0; i < 4; ++i) get(from + i * from_stride, square[i]);
  transpose(square);
  for (int i = 0; i < 4; ++i) put(to + i * to_stride, square[i]);
#else
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j) to[j * to_stride + i] = from[i * from_stride + j];
  }
#endif
}

// to[j][i] = from[i][j], for so many rows i and columns j. What lies farther apart is gone through
// line by line, so that few lines of the cache are under way at once.
template <typename T>
void transpose(const T* from, std::size_t from_stride, std::size_t rows, std::size_t columns, T* to,
               std::size_t to_stride) {
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
      to[j * to_stride + i] = from[i * from_stride + j];
    }
  }
}

}  // namespace EWMA_ISA
}  // namespace ewma
