// The event that nearly all are: wall time, step, and one value in the form of its tag's last one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "crc32c.hpp"
#include "form.hpp"
#include "protobuf.hpp"

namespace ewma {

struct OneScalar {
  double wall_time = 0;
  std::int64_t step = 0;
  double number = 0;

  // Bytes beside the value, at most: a wall time, a step, and what two messages begin with.
  static constexpr std::size_t kMostBeside = 9 + 10 + 4;
  // A longer value has not got two messages that begin so shortly.
  static constexpr std::size_t kLongestValue = 127 - 2;

  // False if the event of `size` bytes is another one. Of what is read no more than `kMostBeside`
  // and the form's size must be there.
  bool read(const std::uint8_t* const event, std::size_t size, const Form& form) {
    const std::uint8_t* p = event;
    if (*p != field(1, kFixed64)) return false;
    wall_time = bit_cast<double>(load_le<std::uint64_t>(p + 1));
    p += 9;
    std::uint64_t bits = 0;
    if (*p == field(2, kVarint)) {
      unsigned shift = 0;
      do {
        if (shift == 63) return false;  // what is negative is rare
        bits |= static_cast<std::uint64_t>(*++p & 0x7F) << shift;
        shift += 7;
      } while (*p >= 0x80);
      ++p;
    }
    step = static_cast<std::int64_t>(bits);
    const std::size_t value = form.size();
    if (size != static_cast<std::size_t>(p - event) + 4 + value || value > kLongestValue) {
      return false;
    }
    const auto length = static_cast<std::uint32_t>(value);
    const std::uint32_t heads =
        field(5, kBytes) | (length + 2) << 8 | field(1, kBytes) << 16 | length << 24;
    if (load_le<std::uint32_t>(p) != heads || !form.fits(p + 4)) return false;
    number = form.number(p + 4);
    return true;
  }
};

constexpr std::array<std::uint32_t, 256> make_length_checks() {
  std::array<std::uint32_t, 256> checks{};
  for (std::uint32_t length = 0; length < 256; ++length) {
    std::uint32_t crc = ~std::uint32_t{0} ^ length;
    for (int byte = 0; byte < 8; ++byte) crc = kCrc32cTables[0][crc & 255] ^ (crc >> 8);
    checks[length] = masked(~crc);
  }
  return checks;
}

// What stands behind the length of a record: no event of one scalar has more bytes.
inline constexpr std::array<std::uint32_t, 256> kLengthChecks = make_length_checks();

}  // namespace ewma
