// Series with samples missing, closed up and opened again: without a branch a sample, which nobody
// could foresee.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lanes.hpp"
#include "scale.hpp"

namespace ewma {
namespace EWMA_ISA {

// What may be read and written behind the samples that are there.
constexpr std::size_t kBehind = 2 * kLanes;

template <typename T>
bool is_there(T x) {
  return std::fabs(x) <= kLargest;
}

// a or b.
template <typename T>
T either(bool first, T a, T b) {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  Bits bits_a, bits_b;
  std::memcpy(&bits_a, &a, sizeof a);
  std::memcpy(&bits_b, &b, sizeof b);
  bits_a = (bits_a & -Bits{first}) | (bits_b & ~-Bits{first});
  std::memcpy(&a, &bits_a, sizeof a);
  return a;
}

// a where x is there, else b.
inline Lanes where_there(const Lanes& x, const Lanes& a, const Lanes& b) {
#if defined(EWMA_VECTOR_LANES)
  return magnitude(x) <= all_lanes(kLargest) ? a : b;
#else
  Lanes y;
  for (int j = 0; j < kLanes; ++j) y[j] = either(is_there(x[j]), a[j], b[j]);
  return y;
#endif
}

#if defined(EWMA_EIGHT_LANES)
#define EWMA_MOVES_LANES
// For each of 8 samples, of which bits say whether they are there, a byte: how many are up to it;
// and which one is the last of these, or 15.
struct Counts {
  std::uint64_t up_to[256], last[256];
  constexpr Counts() : up_to(), last() {
    for (unsigned bits = 0; bits < 256; ++bits) {
      std::uint64_t count = 0, last_one = 15;
      for (unsigned j = 0; j < 8; ++j) {
        if ((bits >> j & 1) != 0) ++count, last_one = j;
        up_to[bits] |= count << 8 * j;
        last[bits] |= last_one << 8 * j;
      }
    }
  }
};
constexpr Counts kCounts;

inline unsigned which_are_there(const Lanes& x) {
  return _mm512_cmp_pd_mask(magnitude(x), all_lanes(kLargest), _CMP_LE_OQ);
}

// The values that are there, side by side.
inline Lanes together(unsigned there, const Lanes& values) {
  return _mm512_maskz_compress_pd(there, values);
}

inline __m512i lanes_of(std::uint64_t bytes) {
  return _mm512_cvtepu8_epi64(_mm_cvtsi64_si128(static_cast<long long>(bytes)));
}

// For each lane the last mean of those that are there up to it, means[0] being the one before.
inline Lanes apart(unsigned there, const double* means) {
  const __m512i from = lanes_of(kCounts.up_to[there]);
  return _mm512_permutex2var_pd(load(means), from, load(means + kLanes));
}

// For each lane the last value of those that are there up to it, or else `before`, which then is
// the last of all.
inline Lanes filled_up(unsigned there, const Lanes& values, Lanes& before) {
  return before = _mm512_permutex2var_pd(values, lanes_of(kCounts.last[there]), before);
}
#elif defined(EWMA_VECTOR_LANES) && defined(__AVX2__)
#define EWMA_MOVES_LANES
// The same for 4 samples: as the halves of lanes, from which lane each is to come. A sign says that
// none is there up to it.
struct Moves {
  std::int32_t together[16][8], apart[16][8], last[16][8];
  constexpr Moves() : together(), apart(), last() {
    for (int bits = 0; bits < 16; ++bits) {
      int count = 0, last_one = -1;
      for (int j = 0; j < 4; ++j) {
        if ((bits >> j & 1) != 0) {
          for (int half = 0; half < 2; ++half) together[bits][2 * count + half] = 2 * j + half;
          ++count, last_one = j;
        }
        for (int half = 0; half < 2; ++half) {
          apart[bits][2 * j + half] = count == 0 ? -1 : 2 * (count - 1) + half;
          last[bits][2 * j + half] = count == 0 ? -1 : 2 * last_one + half;
        }
      }
    }
  }
};
alignas(32) constexpr Moves kMoves;

inline unsigned which_are_there(const Lanes& x) {
  return _mm256_movemask_pd(_mm256_cmp_pd(magnitude(x), all_lanes(kLargest), _CMP_LE_OQ));
}

inline __m256i move_of(const std::int32_t* halves) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(halves));
}

inline Lanes moved(const Lanes& values, __m256i from) {
  return (Lanes)_mm256_permutevar8x32_ps((__m256)values, from);
}

inline Lanes together(unsigned there, const Lanes& values) {
  return moved(values, move_of(kMoves.together[there]));
}

inline Lanes apart(unsigned there, const double* means) {
  const __m256i from = move_of(kMoves.apart[there]);
  return _mm256_blendv_pd(moved(load(means + 1), from), all_lanes(means[0]), (__m256d)from);
}

inline Lanes filled_up(unsigned there, const Lanes& values, Lanes& before) {
  const __m256i from = move_of(kMoves.last[there]);
  const Lanes own = moved(values, from);
  const Lanes filled = _mm256_blendv_pd(own, before, (__m256d)from);
  // (Not `filled`'s last: the next samples would wait for two moves in place of one.)
  const Lanes last = _mm256_permute4x64_pd(own, 0xFF);
  before = _mm256_blendv_pd(last, before, (__m256d)_mm256_permute4x64_epi64(from, 0xFF));
  return filled;
}
#endif

// Moves those of n values whose sample x is there to `to`, side by side; returns how many.
template <typename T>
std::size_t close_up(const T* x, const T* values, std::size_t n, T* to) {
  std::size_t count = 0, i = 0;
#if defined(EWMA_MOVES_LANES)
  if constexpr (std::is_same<T, double>::value) {
    for (; i + kLanes <= n; i += kLanes) {
      const unsigned there = which_are_there(load(x + i));
      store(to + count, together(there, load(values + i)));
      count += __builtin_popcount(there);
    }
  }
#endif
  for (; i < n; ++i) {
    to[count] = values[i];
    count += is_there(x[i]);
  }
  return count;
}

// Those of n values whose sample x is there go to y, which may be x; the others are x.
template <typename T>
void put_where_there(const T* x, const T* values, std::size_t n, T* y) {
  std::size_t i = 0;
  if constexpr (std::is_same<T, double>::value) {
    for (; i + kLanes <= n; i += kLanes) {
      const Lanes sample = load(x + i);
      store(y + i, where_there(sample, load(values + i), sample));
    }
  }
  for (; i < n; ++i) y[i] = either(is_there(x[i]), values[i], x[i]);
}

// Of n values those whose sample x is there go to y, which may be x, and to the places of what is
// missing behind them; `before` to those in front.
template <typename T>
void fill_up(const T* x, const T* values, std::size_t n, T before, T* y) {
  std::size_t i = 0;
#if defined(EWMA_MOVES_LANES)
  if constexpr (std::is_same<T, double>::value) {
    Lanes last = all_lanes(before);
    for (; i + kLanes <= n; i += kLanes) {
      store(y + i, filled_up(which_are_there(load(x + i)), load(values + i), last));
    }
    before = last[kLanes - 1];
  }
#endif
  for (; i < n; ++i) y[i] = before = either(is_there(x[i]), values[i], before);
}

// The way back: means[0] is the mean before, the others those of the samples that are there. What
// is missing stays as it is, or with `fill` is the mean before it. y may be x.
template <typename T>
void open_up(const T* x, const T* means, std::size_t n, bool fill, T* y) {
  std::size_t last = 0, i = 0;
#if defined(EWMA_MOVES_LANES)
  if constexpr (std::is_same<T, double>::value) {
    for (; i + kLanes <= n; i += kLanes) {
      const Lanes sample = load(x + i);
      const unsigned there = which_are_there(sample);
      const Lanes mean = apart(there, means + last);
      store(y + i, fill ? mean : where_there(sample, mean, sample));
      last += __builtin_popcount(there);
    }
  }
#endif
  for (; i < n; ++i) {
    const bool there = is_there(x[i]);
    last += there;
    y[i] = either(there | fill, means[last], x[i]);
  }
}

}  // namespace EWMA_ISA
}  // namespace ewma
