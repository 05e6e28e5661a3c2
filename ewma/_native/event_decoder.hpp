// One Event message becomes points.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bytes.hpp"
#include "columns.hpp"
#include "protobuf.hpp"
#include "sessions.hpp"
#include "tensor.hpp"

namespace ewma {

class EventDecoder {
 public:
  // Adds the event's points or what it says of the session; if any part of it is malformed,
  // nothing.
  bool decode(Bytes message, Tags& tags, Columns& columns, Sessions& sessions) {
    values_.clear();
    Member member = Member::kOther;
    std::uint64_t status = 0;
    double wall_time = 0;
    std::int64_t step = 0;
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      switch (key) {
        case field(1, kFixed64):
          wall_time = bit_cast<double>(in.fixed64());
          break;
        case field(2, kVarint):
          step = bit_cast<std::int64_t>(in.varint());
          break;
        case field(5, kBytes):
          member = Member::kOther;
          if (!summary(in.bytes())) return false;
          break;
        case field(7, kBytes):
          values_.clear();
          if (member != Member::kSessionLog) status = 0;
          member = Member::kSessionLog;
          if (!session_log(in.bytes(), status)) return false;
          break;
        case field(3, kBytes):  // the other members of the oneof: the last that is there counts
        case field(4, kBytes):
        case field(6, kBytes):
        case field(8, kBytes):
        case field(9, kBytes):
          values_.clear();
          member = key == field(3, kBytes) ? Member::kFileVersion : Member::kOther;
          in.skip(key);
          break;
        default:
          in.skip(key);
      }
    }
    if (!in.ok()) return false;
    for (const Value& value : values_) add(value, step, wall_time, tags, columns);
    if (member == Member::kFileVersion) sessions.begin(columns.pushed());
    if (member == Member::kSessionLog && static_cast<std::uint32_t>(status) == kStart) {
      sessions.begin(columns.pushed(), step);
    }
    return true;
  }

 private:
  enum class Member { kOther, kFileVersion, kSessionLog };
  enum class What { kOther, kSimple, kTensor };

  static constexpr std::uint32_t kStart = 1;  // SessionLog.SessionStatus

  struct Value {
    Bytes tag{nullptr, 0};
    Bytes plugin{nullptr, 0};
    bool has_metadata = false;
    What what = What::kOther;
    double number = 0;
  };

  static bool session_log(Bytes message, std::uint64_t& status) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      if (key == field(1, kVarint)) {
        status = in.varint();
      } else {
        in.skip(key);
      }
    }
    return in.ok();
  }

  bool summary(Bytes message) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      if (key != field(1, kBytes)) {
        in.skip(key);
        continue;
      }
      Value value;
      if (!read(in.bytes(), value)) return false;
      values_.push_back(value);
    }
    return in.ok();
  }

  bool read(Bytes message, Value& value) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      switch (key) {
        case field(1, kBytes):
          value.tag = in.bytes();
          break;
        case field(2, kFixed32):
          value.what = What::kSimple;
          value.number = static_cast<double>(bit_cast<float>(in.fixed32()));
          break;
        case field(8, kBytes):
          if (value.what != What::kTensor) tensor_ = Tensor();
          value.what = What::kTensor;
          if (!tensor_.merge(in.bytes())) return false;
          break;
        case field(9, kBytes):
          value.has_metadata = true;
          if (!metadata(in.bytes(), value.plugin)) return false;
          break;
        case field(3, kBytes):  // the other members of the oneof
        case field(4, kBytes):
        case field(5, kBytes):
        case field(6, kBytes):
          value.what = What::kOther;
          in.skip(key);
          break;
        default:
          in.skip(key);
      }
    }
    if (value.what == What::kTensor) {
      const Scalar found = tensor_.scalar(value.number);
      if (found == Scalar::kMalformed) return false;
      if (found == Scalar::kNone) value.what = What::kOther;
    }
    return in.ok();
  }

  static bool metadata(Bytes message, Bytes& plugin) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      if (key == field(1, kBytes)) {
        if (!plugin_data(in.bytes(), plugin)) return false;
      } else {
        in.skip(key);
      }
    }
    return in.ok();
  }

  static bool plugin_data(Bytes message, Bytes& plugin) {
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

  static void add(const Value& value, std::int64_t step, double wall_time, Tags& tags,
                  Columns& columns) {
    if (value.what == What::kOther && !value.has_metadata) return;
    Tag& tag = tags.find(value.tag);
    if (value.has_metadata && !tag.has_metadata) {
      static constexpr std::uint8_t kScalars[] = {'s', 'c', 'a', 'l', 'a', 'r', 's'};
      tag.has_metadata = true;
      tag.is_foreign = value.plugin.size > 0 && !(value.plugin == Bytes{kScalars, sizeof kScalars});
    }
    if (value.what == What::kSimple || (value.what == What::kTensor && !tag.is_foreign)) {
      columns.push({tags.column(tag), step, wall_time, value.number});
    }
  }

  std::vector<Value> values_;  // kept between events, so that an event allocates nothing
  Tensor tensor_;
};

}  // namespace ewma
