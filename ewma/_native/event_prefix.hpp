// What the beginning of a long event tells: that it is an image or the like, and holds no scalar,
// or that it is no event at all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "protobuf.hpp"
#include "tensor.hpp"

namespace ewma {

// A message of `size` bytes, of which only the first ones are there.
struct Prefix {
  Bytes seen;
  std::uint64_t size;

  bool is_whole() const { return seen.size == size; }
};

// A walk over the fields of a message down to the one that leads out of what is seen.
class PrefixWalk {
 public:
  explicit PrefixWalk(Prefix message) : message_(message), in_(message.seen) {}

  // Goes to the next field that is a message, text or bytes. False at the end of what is seen, or
  // if it is malformed.
  bool next(std::uint32_t& key, Prefix& content) {
    while (true) {
      start_ = in_.position();
      if (!in_.next(key)) return false;
      if ((key & 7) == kBytes) break;
      in_.skip(key);
      if (!in_.ok()) return false;
    }
    content.size = in_.varint();
    if (!in_.ok() || content.size > message_.size - walked(in_.position())) return false;
    const auto seen = message_.seen.size - walked(in_.position());
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(content.size, seen));
    behind_ = message_.size - walked(in_.position()) - content.size;
    content.seen = in_.ahead(size);
    in_.take(size);
    return true;
  }

  // How many bytes come after the field.
  std::uint64_t behind() const { return behind_; }

  // What stands before the field.
  Bytes before() const { return {message_.seen.data, walked(start_)}; }

 private:
  std::size_t walked(const std::uint8_t* to) const {
    return static_cast<std::size_t>(to - message_.seen.data);
  }

  Prefix message_;
  Message in_;
  const std::uint8_t* start_ = nullptr;
  std::uint64_t behind_ = 0;
};

// What is to be kept of an event without a scalar: of which plugin its tag is may stand behind what
// is long.
struct Passed {
  Bytes tag{nullptr, 0};
  std::uint64_t behind = 0;  // bytes at the event's end
};

// These say true only of what every writer writes: one value, its fields in the order of their
// numbers. Of anything else the whole is to be read.

inline bool tensor_is_no_scalar(Prefix tensor) {
  PrefixWalk walk(tensor);
  std::uint32_t key;
  Prefix content;
  while (walk.next(key, content) && content.is_whole()) {
  }
  Tensor beginning;
  return beginning.merge(walk.before()) && beginning.is_no_scalar();
}

inline bool value_is_no_scalar(Prefix value, Passed& passed) {
  PrefixWalk walk(value);
  std::uint32_t key;
  Prefix content;
  while (walk.next(key, content)) {
    if (content.is_whole()) {
      if (key == field(1, kBytes)) passed.tag = content.seen;
      continue;
    }
    passed.behind = walk.behind();
    switch (key) {
      case field(4, kBytes):  // image
      case field(5, kBytes):  // histogram
      case field(6, kBytes):  // audio
        return true;
      case field(8, kBytes):
        return tensor_is_no_scalar(content);
      default:
        return false;
    }
  }
  return false;
}

inline bool summary_has_no_scalar(Prefix summary, Passed& passed) {
  PrefixWalk walk(summary);
  std::uint32_t key;
  Prefix content;
  return walk.next(key, content) && key == field(1, kBytes) && walk.behind() == 0 &&
         value_is_no_scalar(content, passed);
}

inline bool event_has_no_scalar(Prefix event, Passed& passed) {
  PrefixWalk walk(event);
  std::uint32_t key;
  Prefix content;
  if (!walk.next(key, content) || walk.behind() > 0) return false;
  switch (key) {
    case field(4, kBytes):  // graph
    case field(8, kBytes):  // metadata of a run
    case field(9, kBytes):  // meta graph
      return true;
    case field(5, kBytes):
      return summary_has_no_scalar(content, passed);
    default:
      return false;
  }
}

// Whether a message is malformed already in what is seen of it, and so as a whole. Only the fields
// on the way to a summary's values are gone into: `inner` is the one of them to look for, or 0.
inline bool message_is_malformed(Prefix message, std::uint32_t inner, std::uint32_t innermost) {
  // A key and the number behind it are no longer: what fails here is not just out of sight.
  constexpr std::size_t kMostOfAField = 20;
  Message in(message.seen);
  while (true) {
    const auto walked = [&] { return static_cast<std::size_t>(in.position() - message.seen.data); };
    if (message.seen.size - walked() < kMostOfAField) return false;
    std::uint32_t key;
    if (!in.next(key)) return true;
    if ((key & 7) == kGroup) return false;  // its end may be out of sight
    if ((key & 7) != kBytes) {
      in.skip(key);
      if (!in.ok()) return true;
      continue;
    }
    const std::uint64_t size = in.varint();
    if (!in.ok() || size > message.size - walked()) return true;
    const auto seen =
        static_cast<std::size_t>(std::min<std::uint64_t>(size, message.seen.size - walked()));
    const Prefix content{in.ahead(seen), size};
    if (key == inner && message_is_malformed(content, innermost, 0)) return true;
    in.take(seen);
  }
}

inline bool event_is_malformed(Prefix event) {
  return message_is_malformed(event, field(5, kBytes), field(1, kBytes));
}

}  // namespace ewma
