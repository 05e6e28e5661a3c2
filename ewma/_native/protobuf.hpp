// A walk over the fields of one protobuf message.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bytes.hpp"

namespace ewma {

enum Wire : std::uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

// A field's number and wire type, as they stand in the message. A field of a known number with
// another wire type than it should have is, to protobuf, an unknown field.
constexpr std::uint32_t field(std::uint32_t number, Wire wire) { return number << 3 | wire; }

// Once malformed it stays so: it is then at its end, and every read gives 0.
class Message {
 public:
  explicit Message(Bytes bytes) : p_(bytes.data), end_(bytes.data + bytes.size) {}

  bool ok() const { return ok_; }
  bool at_end() const { return p_ == end_; }
  const std::uint8_t* position() const { return p_; }

  // The next field, or false at the end.
  bool next(std::uint32_t& key) {
    if (p_ == end_) return false;
    const std::uint64_t wide = varint();
    key = static_cast<std::uint32_t>(wide);
    if (wide > 0xFFFFFFFFu || key >> 3 == 0) fail();
    return ok_;
  }

  std::uint64_t varint() {
    if (p_ != end_ && *p_ < 0x80) return *p_++;
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && p_ != end_; shift += 7) {
      const std::uint8_t byte = *p_++;
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail();
    return 0;
  }

  // The bytes that are read next, or none if there are not so many.
  Bytes ahead(std::size_t size) const { return {p_, size <= left() ? size : 0}; }

  // Goes over so many bytes of those ahead.
  void take(std::size_t size) { p_ += size; }

  std::uint32_t fixed32() { return fixed<std::uint32_t>(); }
  std::uint64_t fixed64() { return fixed<std::uint64_t>(); }

  Bytes bytes() {
    const std::uint64_t size = varint();
    if (size > left()) {
      fail();
      return {p_, 0};
    }
    const Bytes out{p_, static_cast<std::size_t>(size)};
    p_ += out.size;
    return out;
  }

  // `depth` bounds the nesting of groups, as protobuf's own limit does.
  void skip(std::uint32_t key, int depth = 100) {
    switch (key & 7) {
      case kVarint:
        varint();
        break;
      case kFixed64:
        fixed64();
        break;
      case kBytes:
        bytes();
        break;
      case kGroup:
        skip_group(key >> 3, depth);
        break;
      case kFixed32:
        fixed32();
        break;
      default:
        fail();
    }
  }

 private:
  std::size_t left() const { return static_cast<std::size_t>(end_ - p_); }

  void fail() {
    ok_ = false;
    p_ = end_;
  }

  template <class T>
  T fixed() {
    if (left() < sizeof(T)) {
      fail();
      return 0;
    }
    const T value = load_le<T>(p_);
    p_ += sizeof(T);
    return value;
  }

  void skip_group(std::uint32_t number, int depth) {
    std::uint32_t key;
    while (depth > 0 && next(key)) {
      if (key == field(number, kEndGroup)) return;
      skip(key, depth - 1);
    }
    fail();
  }

  const std::uint8_t* p_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

}  // namespace ewma
