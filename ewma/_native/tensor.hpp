// TensorProto, as far as it can hold one number.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "bytes.hpp"
#include "protobuf.hpp"

namespace ewma {

enum class Scalar { kNone, kNumber, kMalformed };

// IEEE half precision: sign, 5 bits of exponent, 10 of fraction.
inline double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  double value;
  if (exponent == 31) {
    value = fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                          : std::numeric_limits<double>::infinity();
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(1024 + fraction, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

// TensorFlow's numbers for the types (types.proto) that hold a scalar.
enum class Dtype : std::uint64_t {
  kFloat = 1,
  kDouble = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kInt64 = 9,
  kBfloat16 = 14,
  kUint16 = 17,
  kHalf = 19,
  kUint32 = 22,
  kUint64 = 23,
};

// The repeated fields of TensorProto that hold numbers.
enum Typed : std::size_t { kFloats, kDoubles, kInts, kInt64s, kHalves, kUint32s, kUint64s, kTypes };

class Tensor {
 public:
  // Reads the fields of one message; protobuf merges a message that occurs twice.
  bool merge(Bytes message) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      switch (key) {
        case field(1, kVarint):
          dtype_ = static_cast<Dtype>(in.varint());
          break;
        case field(2, kBytes):
          shape(in);
          break;
        case field(4, kBytes):
          content_ = in.bytes();
          break;
        case field(5, kFixed32):
          add<kFixed32>(kFloats, in);
          break;
        case field(5, kBytes):
          packed<kFixed32>(kFloats, in);
          break;
        case field(6, kFixed64):
          add<kFixed64>(kDoubles, in);
          break;
        case field(6, kBytes):
          packed<kFixed64>(kDoubles, in);
          break;
        case field(7, kVarint):
          add<kVarint>(kInts, in);
          break;
        case field(7, kBytes):
          packed<kVarint>(kInts, in);
          break;
        case field(10, kVarint):
          add<kVarint>(kInt64s, in);
          break;
        case field(10, kBytes):
          packed<kVarint>(kInt64s, in);
          break;
        case field(13, kVarint):
          add<kVarint>(kHalves, in);
          break;
        case field(13, kBytes):
          packed<kVarint>(kHalves, in);
          break;
        case field(16, kVarint):
          add<kVarint>(kUint32s, in);
          break;
        case field(16, kBytes):
          packed<kVarint>(kUint32s, in);
          break;
        case field(17, kVarint):
          add<kVarint>(kUint64s, in);
          break;
        case field(17, kBytes):
          packed<kVarint>(kUint64s, in);
          break;
        default:
          in.skip(key);
      }
    }
    return in.ok() && ok_;
  }

  // Whether the type or the shape that were read say that this is no scalar.
  bool is_no_scalar() const {
    double value;
    Bytes stored;
    return !one_element_ || (dtype_ != Dtype{} && scalar(value, stored) == Scalar::kNone);
  }

  // `stored` becomes where the number stands, if it stands there as a float or a double.
  Scalar scalar(double& value, Bytes& stored) const {
    stored = {nullptr, 0};
    if (!one_element_) return Scalar::kNone;
    switch (dtype_) {
      case Dtype::kFloat:
        stored = place(kFloats, sizeof(float));
        return number<float>(kFloats, value);
      case Dtype::kDouble:
        stored = place(kDoubles, sizeof(double));
        return number<double>(kDoubles, value);
      case Dtype::kInt32:
        return number<std::int32_t>(kInts, value);
      case Dtype::kUint8:
        return number<std::uint8_t>(kInts, value);
      case Dtype::kInt16:
        return number<std::int16_t>(kInts, value);
      case Dtype::kInt8:
        return number<std::int8_t>(kInts, value);
      case Dtype::kUint16:
        return number<std::uint16_t>(kInts, value);
      case Dtype::kInt64:
        return number<std::int64_t>(kInt64s, value);
      case Dtype::kUint32:
        return number<std::uint32_t>(kUint32s, value);
      case Dtype::kUint64:
        return number<std::uint64_t>(kUint64s, value);
      case Dtype::kHalf:
      case Dtype::kBfloat16:
        return sixteen_bits(value);
    }
    return Scalar::kNone;
  }

 private:
  template <Wire wire>
  void add(Typed type, Message& in) {
    ++count_[type];
    if constexpr (wire == kFixed32) at_ = in.ahead(sizeof(float)), bits_[type] = in.fixed32();
    if constexpr (wire == kFixed64) at_ = in.ahead(sizeof(double)), bits_[type] = in.fixed64();
    if constexpr (wire == kVarint) bits_[type] = in.varint();
  }

  template <Wire wire>
  void packed(Typed type, Message& in) {
    Message values(in.bytes());
    if (!one_element_) return;  // no scalar, so that it does not matter what is in it
    while (!values.at_end()) add<wire>(type, values);
    ok_ = ok_ && values.ok();
  }

  // A scalar has no dimensions; a tensor whose every dimension is 1 is taken for one.
  void shape(Message& in) {
    Message dims(in.bytes());
    std::uint32_t key;
    while (dims.next(key)) {
      switch (key) {
        case field(2, kBytes):
          dimension(dims);
          break;
        case field(3, kVarint):  // the rank is unknown
          if (dims.varint() != 0) one_element_ = false;
          break;
        default:
          dims.skip(key);
      }
    }
    ok_ = ok_ && dims.ok();
  }

  void dimension(Message& dims) {
    Message in(dims.bytes());
    std::uint64_t size = 0;
    std::uint32_t key;
    while (in.next(key)) {
      if (key == field(1, kVarint)) {
        size = in.varint();
      } else {
        in.skip(key);
      }
    }
    if (size != 1) one_element_ = false;
    ok_ = ok_ && in.ok();
  }

  // The one element's bits: in tensor_content, or in the typed field, where none means 0.
  template <class Stored>
  Scalar element(Typed type, Stored& stored) const {
    if (content_.size > 0) {
      if (content_.size != sizeof(Stored)) return Scalar::kMalformed;
      stored = load_le<Stored>(content_.data);
      return Scalar::kNumber;
    }
    if (count_[type] > 1) return Scalar::kMalformed;
    stored = static_cast<Stored>(bits_[type]);
    return Scalar::kNumber;
  }

  Bytes place(Typed type, std::size_t size) const {
    const Bytes bytes = content_.size > 0 ? content_ : at_;
    return bytes.size == size && (content_.size > 0 || count_[type] == 1) ? bytes
                                                                          : Bytes{nullptr, 0};
  }

  template <class T>
  Scalar number(Typed type, double& value) const {
    Unsigned<sizeof(T)> stored = 0;
    const Scalar found = element(type, stored);
    value = static_cast<double>(bit_cast<T>(stored));
    return found;
  }

  Scalar sixteen_bits(double& value) const {
    std::uint16_t stored = 0;
    const Scalar found = element(kHalves, stored);
    value = dtype_ == Dtype::kHalf
                ? half_to_double(stored)
                : static_cast<double>(bit_cast<float>(static_cast<std::uint32_t>(stored) << 16));
    return found;
  }

  Dtype dtype_{};
  bool one_element_ = true;
  bool ok_ = true;
  Bytes content_{nullptr, 0};
  Bytes at_{nullptr, 0};  // the last float or double
  // How many values each typed field has, and the bits of the last.
  std::array<std::uint64_t, kTypes> count_{};
  std::array<std::uint64_t, kTypes> bits_{};
};

}  // namespace ewma
