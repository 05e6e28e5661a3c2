// Samples of any type, as doubles and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ema_kernel.hpp"

namespace ewma {
namespace EWMA_ISA {

// IEEE 754's half, as 16 bits.
struct Float16 {
  std::uint16_t bits;

  explicit operator double() const {
    const std::uint64_t sign = static_cast<std::uint64_t>(bits >> 15) << 63;
    const std::uint64_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    if (exponent == 0) {
      const double magnitude = static_cast<double>(fraction) * 0x1p-24;
      return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint64_t wide = exponent == 31 ? 2047 : exponent + (1023 - 15);
    const std::uint64_t all = sign | wide << 52 | fraction << 42;
    double x;
    std::memcpy(&x, &all, sizeof x);
    return x;
  }
};

// The upper half of a float.
struct Bfloat16 {
  std::uint16_t bits;

  explicit operator double() const {
    const std::uint32_t all = static_cast<std::uint32_t>(bits) << 16;
    float x;
    std::memcpy(&x, &all, sizeof x);
    return x;
  }
};

// The nearest number of a type with so many bits of exponent and fraction, ties to even, as bits.
template <int kExponent, int kFraction>
std::uint16_t round_to(double x) {
  constexpr int kShift = 52 - kFraction;
  constexpr std::int64_t kBias = (1 << (kExponent - 1)) - 1;
  constexpr std::uint64_t kInfinity = ((std::uint64_t{1} << kExponent) - 1) << kFraction;
  std::uint64_t all;
  std::memcpy(&all, &x, sizeof all);
  const auto sign = static_cast<std::uint16_t>(all >> 63 << 15);
  const auto exponent = static_cast<std::int64_t>(all >> 52 & 2047) - 1023;
  std::uint64_t fraction = all & ((std::uint64_t{1} << 52) - 1);
  if (exponent == 1024) {  // infinite, or NaN, which keeps a bit
    const std::uint64_t payload = fraction == 0 ? 0 : fraction >> kShift | 1 << (kFraction - 1);
    return static_cast<std::uint16_t>(sign | kInfinity | payload);
  }
  std::int64_t biased = exponent + kBias;
  int shift = kShift;
  if (biased <= 0) {  // denormal there
    if (biased < -kFraction) return sign;
    fraction |= std::uint64_t{1} << 52;
    shift += static_cast<int>(1 - biased);
    biased = 0;
  }
  const std::uint64_t half = std::uint64_t{1} << (shift - 1), rest = fraction & (2 * half - 1);
  std::uint64_t rounded = (static_cast<std::uint64_t>(biased) << kFraction) + (fraction >> shift);
  if (rest > half || (rest == half && (rounded & 1) != 0)) ++rounded;
  return static_cast<std::uint16_t>(sign | (rounded < kInfinity ? rounded : kInfinity));
}

template <typename T>
T narrowed(double x) {
  return static_cast<T>(x);
}
template <>
inline Float16 narrowed<Float16>(double x) {
  return {round_to<5, 10>(x)};
}
template <>
inline Bfloat16 narrowed<Bfloat16>(double x) {
  return {round_to<8, 7>(x)};
}

// Every stride-th sample of n.
template <typename T>
void load_as(const void* from, std::size_t stride, std::size_t n, double* to) {
  const T* x = static_cast<const T*>(from);
  for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<double>(x[i * stride]);
}
template <typename T>
void store_as(const double* from, std::size_t n, void* to, std::size_t stride) {
  T* y = static_cast<T*>(to);
  for (std::size_t i = 0; i < n; ++i) y[i * stride] = narrowed<T>(from[i]);
}

using Load = void (*)(const void* from, std::size_t stride, std::size_t n, double* to);
using Store = void (*)(const double* from, std::size_t n, void* to, std::size_t stride);

inline Load load_of(Type type) {
  switch (type) {
    case Type::kFloat64:
      return load_as<double>;
    case Type::kFloat32:
      return load_as<float>;
    case Type::kFloat16:
      return load_as<Float16>;
    case Type::kBfloat16:
      return load_as<Bfloat16>;
    case Type::kInt8:
      return load_as<std::int8_t>;
    case Type::kInt16:
      return load_as<std::int16_t>;
    case Type::kInt32:
      return load_as<std::int32_t>;
    case Type::kInt64:
      return load_as<std::int64_t>;
    case Type::kUint8:
      return load_as<std::uint8_t>;
    case Type::kUint16:
      return load_as<std::uint16_t>;
    case Type::kUint32:
      return load_as<std::uint32_t>;
    case Type::kUint64:
      return load_as<std::uint64_t>;
  }
  return nullptr;
}

// Results are floats.
inline Store store_of(Type type) {
  switch (type) {
    case Type::kFloat32:
      return store_as<float>;
    case Type::kFloat16:
      return store_as<Float16>;
    case Type::kBfloat16:
      return store_as<Bfloat16>;
    default:
      return store_as<double>;
  }
}

}  // namespace EWMA_ISA
}  // namespace ewma
