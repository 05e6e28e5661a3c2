// Summary.Value: a tag with a scalar, or with something else.
#pragma once

#include <cstdint>

#include "bytes.hpp"
#include "protobuf.hpp"
#include "tensor.hpp"

namespace ewma {

enum class What { kOther, kSimple, kTensor };

struct SummaryValue {
  Bytes tag{nullptr, 0};
  Bytes plugin{nullptr, 0};
  bool has_metadata = false;
  What what = What::kOther;  // not kTensor unless the tensor is a scalar
  double number = 0;
  Bytes stored{nullptr, 0};  // where the number stands if it stands there as a float or a double

  // Its tensor belongs to another plugin than "scalars".
  bool is_foreign() const {
    static constexpr std::uint8_t kScalars[] = {'s', 'c', 'a', 'l', 'a', 'r', 's'};
    return plugin.size > 0 && !(plugin == Bytes{kScalars, sizeof kScalars});
  }

  // False if it is malformed.
  bool read(Bytes message) {
    Message in(message);
    Tensor tensor;
    std::uint32_t key;
    while (in.next(key)) {
      switch (key) {
        case field(1, kBytes):
          tag = in.bytes();
          break;
        case field(2, kFixed32):
          what = What::kSimple;
          stored = in.ahead(sizeof(float));
          number = static_cast<double>(bit_cast<float>(in.fixed32()));
          break;
        case field(8, kBytes):
          if (what != What::kTensor) tensor = Tensor();
          what = What::kTensor;
          if (!tensor.merge(in.bytes())) return false;
          break;
        case field(9, kBytes):
          has_metadata = true;
          if (!metadata(in.bytes())) return false;
          break;
        case field(3, kBytes):  // the other members of the oneof
        case field(4, kBytes):
        case field(5, kBytes):
        case field(6, kBytes):
          what = What::kOther;
          in.skip(key);
          break;
        default:
          in.skip(key);
      }
    }
    if (what == What::kTensor) {
      const Scalar found = tensor.scalar(number, stored);
      if (found == Scalar::kMalformed) return false;
      if (found == Scalar::kNone) what = What::kOther;
    }
    return in.ok();
  }

 private:
  bool metadata(Bytes message) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      if (key == field(1, kBytes)) {
        if (!plugin_data(in.bytes())) return false;
      } else {
        in.skip(key);
      }
    }
    return in.ok();
  }

  bool plugin_data(Bytes message) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      if (key == field(1, kBytes)) {
        plugin = in.bytes();
      } else {
        in.skip(key);
      }
    }
    return in.ok();
  }
};

}  // namespace ewma
