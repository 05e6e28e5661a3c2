// One Event message becomes points.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bytes.hpp"
#include "columns.hpp"
#include "protobuf.hpp"
#include "sessions.hpp"
#include "summary_value.hpp"
#include "tags.hpp"

namespace ewma {

// Reads an event in two steps, so that the checksum need not be looked at of one that is left out.
class EventDecoder {
 public:
  // Takes the message in; false if any part of it is malformed. It is used until `commit` returns.
  bool parse(Bytes message, Tags& tags) {
    values_.clear();
    read_.clear();
    last_ = tags.last();
    member_ = Member::kOther;
    status_ = 0;
    wall_time_ = 0;
    step_ = 0;
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      switch (key) {
        case field(1, kFixed64):
          wall_time_ = bit_cast<double>(in.fixed64());
          break;
        case field(2, kVarint):
          step_ = bit_cast<std::int64_t>(in.varint());
          break;
        case field(5, kBytes):
          member_ = Member::kOther;
          if (!summary(in.bytes())) return false;
          break;
        case field(7, kBytes):
          values_.clear();
          if (member_ != Member::kSessionLog) status_ = 0;
          member_ = Member::kSessionLog;
          if (!session_log(in.bytes())) return false;
          break;
        case field(3, kBytes):  // the other members of the oneof: the last that is there counts
        case field(4, kBytes):
        case field(6, kBytes):
        case field(8, kBytes):
        case field(9, kBytes):
          values_.clear();
          member_ = key == field(3, kBytes) ? Member::kFileVersion : Member::kOther;
          in.skip(key);
          break;
        default:
          in.skip(key);
      }
    }
    return in.ok();
  }

  // Whether it is nothing but points of tags that are not wanted, as known from earlier ones.
  bool is_left_out() const {
    const auto left_out = [](const Value& v) { return v.tag != nullptr && !v.tag->wanted; };
    return !values_.empty() && std::all_of(values_.begin(), values_.end(), left_out);
  }

  // Adds the event's points or what it says of the session.
  void commit(Tags& tags, Columns& columns, Sessions& sessions) {
    for (const Value& value : values_) {
      if (value.tag != nullptr) {
        tags.found(*value.tag);
        push(*value.tag, value.number, columns);
      } else {
        add(read_[value.read], value.bytes, tags, columns);
      }
    }
    if (member_ == Member::kFileVersion) sessions.begin(columns.pushed());
    if (member_ == Member::kSessionLog && static_cast<std::uint32_t>(status_) == kStart) {
      sessions.begin(columns.pushed(), step_);
    }
  }

  // Takes down what stands in a value without a scalar, behind what is long in it.
  static void learn(const std::string& tag, Bytes behind, Tags& tags) {
    SummaryValue value;
    value.tag = {reinterpret_cast<const std::uint8_t*>(tag.data()), tag.size()};
    if (value.read(behind) && value.has_metadata) learn(value, tags.find(value.tag));
  }

 private:
  enum class Member { kOther, kFileVersion, kSessionLog };

  static constexpr std::uint32_t kStart = 1;  // SessionLog.SessionStatus

  // One that has its tag's form, or else one that had to be read.
  struct Value {
    Tag* tag;
    double number;
    Bytes bytes;
    std::size_t read;
  };

  bool summary(Bytes message) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      if (key != field(1, kBytes)) {
        in.skip(key);
        continue;
      }
      const Bytes bytes = in.bytes();
      last_ = last_ == nullptr ? nullptr : last_->next;
      if (last_ != nullptr && last_->form.fits(bytes)) {
        values_.push_back({last_, last_->form.number(bytes.data), bytes, 0});
      } else {
        last_ = nullptr;
        SummaryValue& value = read_.emplace_back();
        if (!value.read(bytes)) return false;
        if (value.what == What::kOther && !value.has_metadata) {
          read_.pop_back();
        } else {
          values_.push_back({nullptr, 0, bytes, read_.size() - 1});
        }
      }
    }
    return in.ok();
  }

  bool session_log(Bytes message) {
    Message in(message);
    std::uint32_t key;
    while (in.next(key)) {
      if (key == field(1, kVarint)) {
        status_ = in.varint();
      } else {
        in.skip(key);
      }
    }
    return in.ok();
  }

  void add(const SummaryValue& value, Bytes bytes, Tags& tags, Columns& columns) {
    Tag& tag = tags.find(value.tag);
    learn(value, tag);
    if (!is_point(value, tag)) return;
    if (value.stored.size > 0) tag.form.learn(bytes, value.stored);
    tags.has_points(tag);
    push(tag, value.number, columns);
  }

  static void learn(const SummaryValue& value, Tag& tag) {
    if (!value.has_metadata || tag.has_metadata) return;
    tag.has_metadata = true;
    tag.is_foreign = value.is_foreign();
    if (tag.is_foreign) tag.form.forget();
  }

  static bool is_point(const SummaryValue& value, const Tag& tag) {
    return value.what == What::kSimple || (value.what == What::kTensor && !tag.is_foreign);
  }

  void push(const Tag& tag, double number, Columns& columns) const {
    if (tag.wanted) columns.push({tag.number, step_, wall_time_, number});
  }

  // Both are kept between events, so that an event allocates nothing.
  std::vector<Value> values_;
  std::vector<SummaryValue> read_;
  Tag* last_ = nullptr;  // the tag of the value before, where it is known already
  Member member_ = Member::kOther;
  std::uint64_t status_ = 0;
  double wall_time_ = 0;
  std::int64_t step_ = 0;
};

}  // namespace ewma
