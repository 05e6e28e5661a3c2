// CRC-32C (Castagnoli), the checksum of event files: by the processor's instruction where it has
// one (chosen at run time on x86-64, at compile time on Arm), by tables elsewhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "bytes.hpp"

#if defined(__x86_64__) || (defined(_M_X64) && !defined(_M_ARM64EC))
#define EWMA_CRC32C_SSE42 1
#include <nmmintrin.h>
#ifdef _MSC_VER
#include <intrin.h>
#endif
#elif defined(__ARM_FEATURE_CRC32) && (defined(__aarch64__) || defined(_M_ARM64))
#define EWMA_CRC32C_ARM 1
#include <arm_acle.h>
#endif

// GCC and Clang compile the instruction only inside a function that is marked for it, MSVC always.
// To newer Clangs it is a feature beside SSE4.2, of a name that older compilers do not know.
#if defined(__clang__) && __clang_major__ >= 14
#define EWMA_TARGET_SSE42 __attribute__((target("sse4.2,crc32")))
#elif defined(__GNUC__) || defined(__clang__)
#define EWMA_TARGET_SSE42 __attribute__((target("sse4.2")))
#else
#define EWMA_TARGET_SSE42
#endif

namespace ewma {

using Crc32cTables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b] is what byte b does to the checksum from k bytes further back.
constexpr Crc32cTables make_crc32c_tables() {
  Crc32cTables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      const std::uint32_t crc = tables[k - 1][b];
      tables[k][b] = tables[0][crc & 255] ^ (crc >> 8);
    }
  }
  return tables;
}

inline constexpr Crc32cTables kCrc32cTables = make_crc32c_tables();

// Slicing by 8: eight look-ups that do not wait for each other.
inline std::uint32_t crc32c_portable(const std::uint8_t* p, std::size_t n,
                                     std::uint32_t before = 0) {
  const Crc32cTables& t = kCrc32cTables;
  std::uint32_t crc = ~before;
  for (; n >= 8; p += 8, n -= 8) {
    const std::uint64_t w = load_le<std::uint64_t>(p) ^ crc;
    crc = t[7][w & 255] ^ t[6][(w >> 8) & 255] ^ t[5][(w >> 16) & 255] ^ t[4][(w >> 24) & 255] ^
          t[3][(w >> 32) & 255] ^ t[2][(w >> 40) & 255] ^ t[1][(w >> 48) & 255] ^ t[0][w >> 56];
  }
  for (; n > 0; ++p, --n) crc = t[0][(crc ^ *p) & 255] ^ (crc >> 8);
  return ~crc;
}

// What so many zero bytes do to a checksum. It is linear, so that its bytes can be looked up one by
// one.
constexpr std::size_t kCrc32cStream = 1024;
using Crc32cShift = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr Crc32cShift make_crc32c_shift() {
  std::array<std::uint32_t, 32> bits{};  // what becomes of each bit
  for (std::size_t i = 0; i < 32; ++i) {
    const std::uint32_t bit = std::uint32_t{1} << i;
    bits[i] = kCrc32cTables[0][bit & 255] ^ (bit >> 8);
  }
  const auto apply = [&bits](std::uint32_t crc) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < 32; ++i) out ^= (crc >> i & 1) != 0 ? bits[i] : 0;
    return out;
  };
  for (std::size_t bytes = 1; bytes < kCrc32cStream; bytes *= 2) {
    std::array<std::uint32_t, 32> twice{};
    for (std::size_t i = 0; i < 32; ++i) twice[i] = apply(bits[i]);
    bits = twice;
  }
  Crc32cShift shift{};
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::uint32_t b = 0; b < 256; ++b) shift[k][b] = apply(b << 8 * k);
  }
  return shift;
}

inline constexpr Crc32cShift kCrc32cShift = make_crc32c_shift();

inline std::uint32_t crc32c_shift(std::uint32_t crc) {
  const Crc32cShift& t = kCrc32cShift;
  return t[0][crc & 255] ^ t[1][crc >> 8 & 255] ^ t[2][crc >> 16 & 255] ^ t[3][crc >> 24];
}

// Three streams at a time: the instruction takes three cycles, but one can begin in each.
// `Word(crc, w)` is the instruction for eight bytes.
#define EWMA_CRC32C_STREAMS(Word)                                                  \
  for (; n >= 3 * kCrc32cStream; p += 3 * kCrc32cStream, n -= 3 * kCrc32cStream) { \
    std::uint32_t second = 0, third = 0;                                           \
    for (std::size_t i = 0; i < kCrc32cStream; i += 8) {                           \
      crc = Word(crc, load_le<std::uint64_t>(p + i));                              \
      second = Word(second, load_le<std::uint64_t>(p + kCrc32cStream + i));        \
      third = Word(third, load_le<std::uint64_t>(p + 2 * kCrc32cStream + i));      \
    }                                                                              \
    crc = crc32c_shift(crc32c_shift(crc) ^ second) ^ third;                        \
  }

#if defined(EWMA_CRC32C_SSE42)

EWMA_TARGET_SSE42 inline std::uint32_t crc32c_word(std::uint32_t crc, std::uint64_t word) {
  return static_cast<std::uint32_t>(_mm_crc32_u64(crc, word));
}

EWMA_TARGET_SSE42 inline std::uint32_t crc32c_sse42(const std::uint8_t* p, std::size_t n,
                                                    std::uint32_t before) {
  std::uint32_t crc = ~before;
  EWMA_CRC32C_STREAMS(crc32c_word)
  for (; n >= 8; p += 8, n -= 8) crc = crc32c_word(crc, load_le<std::uint64_t>(p));
  if ((n & 4) != 0) {
    crc = _mm_crc32_u32(crc, load_le<std::uint32_t>(p));
    p += 4;
  }
  for (n &= 3; n > 0; ++p, --n) crc = _mm_crc32_u8(crc, *p);
  return ~crc;
}

inline bool has_sse42() {
#ifdef _MSC_VER
  int registers[4];
  __cpuid(registers, 1);
  return ((registers[2] >> 20) & 1) != 0;
#else
  __builtin_cpu_init();  // this runs before main, perhaps before the compiler's own call
  return __builtin_cpu_supports("sse4.2") != 0;
#endif
}

inline const auto crc32c_of_this_machine = has_sse42() ? crc32c_sse42 : crc32c_portable;

// `before` is the checksum of what comes before the data, to go on from.
inline std::uint32_t crc32c(const std::uint8_t* p, std::size_t n, std::uint32_t before = 0) {
  return crc32c_of_this_machine(p, n, before);
}

#elif defined(EWMA_CRC32C_ARM)

inline std::uint32_t crc32c(const std::uint8_t* p, std::size_t n, std::uint32_t before = 0) {
  std::uint32_t crc = ~before;
  EWMA_CRC32C_STREAMS(__crc32cd)
  for (; n >= 8; p += 8, n -= 8) crc = __crc32cd(crc, load_le<std::uint64_t>(p));
  for (; n > 0; ++p, --n) crc = __crc32cb(crc, *p);
  return ~crc;
}

#else

inline std::uint32_t crc32c(const std::uint8_t* p, std::size_t n, std::uint32_t before = 0) {
  return crc32c_portable(p, n, before);
}

#endif

// What a record stores: a checksum of data that holds checksums would be weak without the mask.
constexpr std::uint32_t masked(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

}  // namespace ewma
