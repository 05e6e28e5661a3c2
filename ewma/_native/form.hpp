// What the last value of a tag looked like. A training loop writes the same bytes again and again
// but for the number in them: comparing is several times faster than reading them once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bytes.hpp"

namespace ewma {

class Form {
 public:
  // `number` lies in `value`: a float or a double, wherever the encoding has put it.
  void learn(Bytes value, Bytes number) {
    forget();
    if (value.size < kWord || value.size > kLongest) return;
    std::vector<std::uint8_t> mask(value.size, 0xFF);
    const auto at = static_cast<std::size_t>(number.data - value.data);
    std::memset(mask.data() + at, 0, number.size);
    words_.clear();
    for (std::size_t i = 0; i + kWord <= value.size; i += kWord) {
      words_.push_back({word(value.data + i), word(mask.data() + i)});
    }
    const std::size_t last = value.size - kWord;
    words_.push_back({word(value.data + last), word(mask.data() + last)});
    size_ = value.size;
    number_at_ = at;
    is_double_ = number.size == sizeof(double);
  }

  void forget() { size_ = kNone; }

  // Of the values that fit; larger than any if none does.
  std::size_t size() const { return size_; }

  // Whether the value is the same but for its number, and so means the same.
  bool fits(Bytes value) const { return value.size == size_ && fits(value.data); }

  // As that, of a value that is known to have the size.
  bool fits(const std::uint8_t* value) const {
    const Word* expected = words_.data();
    for (std::size_t i = 0; i + kWord <= size_; i += kWord, ++expected) {
      if (((word(value + i) ^ expected->bits) & expected->mask) != 0) return false;
    }
    return ((word(value + size_ - kWord) ^ expected->bits) & expected->mask) == 0;
  }

  double number(const std::uint8_t* value) const {
    const std::uint8_t* const p = value + number_at_;
    return is_double_ ? bit_cast<double>(load_le<std::uint64_t>(p))
                      : static_cast<double>(bit_cast<float>(load_le<std::uint32_t>(p)));
  }

 private:
  static constexpr std::size_t kWord = sizeof(std::uint64_t);
  static constexpr std::size_t kLongest = 512;
  static constexpr std::size_t kNone = ~std::size_t{0} / 2;

  struct Word {
    std::uint64_t bits;
    std::uint64_t mask;
  };

  static std::uint64_t word(const std::uint8_t* p) {
    std::uint64_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return bits;
  }

  std::vector<Word> words_;  // the last one overlaps the one before it
  std::size_t size_ = kNone;
  std::size_t number_at_ = 0;
  bool is_double_ = false;
};

}  // namespace ewma
