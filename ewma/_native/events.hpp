// The reader of event files: bytes are pushed in, in chunks of any size; points come out.
//
// A record is uint64 length, uint32 masked crc32c(length), the bytes of an Event, and uint32 masked
// crc32c(bytes), all little endian.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bytes.hpp"
#include "columns.hpp"
#include "crc32c.hpp"
#include "event_decoder.hpp"
#include "event_prefix.hpp"
#include "one_scalar.hpp"
#include "sessions.hpp"
#include "tags.hpp"

namespace ewma {

enum class Damage : std::size_t {
  kLength,  // the length's checksum is wrong: where the next record begins is not known
  kData,    // the data's checksum is wrong: the record is left out
  kEvent,   // the bytes are no Event: left out as well
};

// A million damaged records take no more memory than one.
struct DamageCount {
  std::uint64_t records = 0;
  std::uint64_t first_offset = 0;
};

// Of which records the data's checksum is compared. A length's always is.
enum class Verify { kAll, kScalars, kNone };

class EventReader {
 public:
  // `expected` is the size of the file, as far as it is known.
  explicit EventReader(Verify verify = Verify::kScalars, Tags::Filter wanted = {},
                       std::uint64_t expected = 0)
      : verify_(verify), expected_(static_cast<double>(expected)), tags_(std::move(wanted)) {}
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  // Reads every record that is complete with this chunk, in place; of the chunk, only the
  // beginning of an unfinished record is kept. Memory follows what has arrived, never what a
  // length claims.
  void feed(const std::uint8_t* p, std::size_t n) {
    while (n > 0 && !stopped_) {
      if (arrived_ == 0) {
        const std::size_t used = read_expected(p, n);
        p += used;
        n -= used;
        if (n == 0) break;
      }
      const std::size_t used = passing_        ? pass_over(p, n)
                               : arrived_ == 0 ? read_in_place(p, n)
                                               : collect(p, n);
      p += used;
      n -= used;
    }
    if (offset_ > 0) {
      const auto rows = static_cast<double>(columns_.size());
      columns_.expect(rows * expected_ / static_cast<double>(offset_));
    }
  }

  // Where the record under way begins, and how many bytes of it are known to be still missing:
  // at least the rest of its header; 0 between records.
  std::uint64_t offset() const { return offset_; }
  std::uint64_t needed() const { return arrived_ == 0 ? 0 : size_ - arrived_; }

  // How many of the bytes that come next make no difference; `skip` takes so many for fed. Never
  // all of a record: only its end shows that it is there.
  std::uint64_t skippable() const {
    const std::uint64_t kept = behind_ + kFooter;
    return passing_ && !checked_ && needed() > kept ? needed() - kept : 0;
  }
  void skip(std::uint64_t n) { arrived_ += std::min(n, skippable()); }

  // Whether a damaged length has ended the reading.
  bool stopped() const { return stopped_; }

  // Where the damage at the end of what was read begins: what stands there may still change, as
  // network file systems show a hole of zeros first. Otherwise the same as `offset`.
  std::uint64_t settled() const { return settled_; }

  // Goes back there: the bytes from there on are to be fed anew. What was kept of them is let go.
  void retry() {
    damage_[static_cast<std::size_t>(Damage::kLength)] = {};
    damage_[static_cast<std::size_t>(Damage::kData)].records -= unsettled_;
    offset_ = settled_;
    unsettled_ = 0;
    stopped_ = passing_ = false;
    size_ = kHeader;
    arrived_ = 0;
    let_go();
  }

  const DamageCount& damage(Damage kind) const { return damage_[static_cast<std::size_t>(kind)]; }
  const Tags& tags() const { return tags_; }
  Columns& columns() { return columns_; }
  const Sessions& sessions() const { return sessions_; }

 private:
  static constexpr std::size_t kHeader = 12;
  static constexpr std::size_t kFooter = 4;
  static constexpr std::size_t kSpare = std::size_t{1} << 20;
  // Of a record that is long the beginning is looked at first: that may do. No record of scalars
  // alone is so long unless it has hundreds of them, so that no damage turns one into another
  // that is passed over. What is long does not depend on the chunks, so that they change nothing.
  static constexpr std::uint64_t kLong = std::uint64_t{1} << 14;
  static constexpr std::size_t kBeginning = std::size_t{1} << 10;
  // So much damage at the end may still change; of more all but the last is taken for what it is.
  static constexpr std::uint64_t kMayChange = std::uint64_t{1} << 20;
  // Protobuf's own limit. Whatever is longer is no Event, and is not kept while it arrives.
  static constexpr std::uint64_t kLongestEvent = 0x7FFFFFFF;

  // The four ways to use a chunk's bytes return how many they have used.

  // Reads records as long as each is what followed the one before last time. Whatever is different
  // is left as it is: nothing here decides what a record means.
  std::size_t read_expected(const std::uint8_t* const chunk, std::size_t n) {
    const std::uint8_t* p = chunk;
    OneScalar scalar;
    while (Tag* const tag = tags_.last()->next) {
      const std::size_t left = n - static_cast<std::size_t>(p - chunk);
      if (left < kHeader + OneScalar::kMostBeside + tag->form.size() + kFooter) break;
      const auto size = load_le<std::uint64_t>(p);
      if (size >= kLengthChecks.size() || load_le<std::uint32_t>(p + 8) != kLengthChecks[size]) {
        break;
      }
      const std::uint8_t* const data = p + kHeader;
      if (!scalar.read(data, static_cast<std::size_t>(size), tag->form)) break;
      const bool check = verify_ == Verify::kAll || (verify_ == Verify::kScalars && tag->wanted);
      if (check && load_le<std::uint32_t>(data + size) !=
                       masked(crc32c(data, static_cast<std::size_t>(size)))) {
        break;
      }
      tags_.go_on();
      if (tag->wanted) {
        columns_.push({tag->number, scalar.step, scalar.wall_time, scalar.number});
      }
      p = data + size + kFooter;
    }
    const auto used = static_cast<std::size_t>(p - chunk);
    if (used > 0) advance(used);
    return used;
  }

  // At the beginning of a record. It is kept if it goes on beyond the chunk.
  std::size_t read_in_place(const std::uint8_t* p, std::size_t n) {
    if (n < kHeader) return keep(p, n);
    read_header(p);
    if (stopped_) return n;
    if (is_long()) {
      if (n < kHeader + kBeginning) return keep(p, n);
      look_at_beginning(p);
      if (passing_) return arrived_ = kHeader + kBeginning;
    }
    if (size_ > n) return keep(p, n);
    const auto used = static_cast<std::size_t>(size_);
    read_record(p);
    return used;
  }

  // In the middle of a record that is kept: up to where the next thing can be known of it.
  std::size_t collect(const std::uint8_t* p, std::size_t n) {
    const std::uint64_t goal =
        is_long() && arrived_ < kHeader + kBeginning ? kHeader + kBeginning : size_;
    const std::size_t used =
        keep(p, static_cast<std::size_t>(std::min<std::uint64_t>(goal - arrived_, n)));
    if (arrived_ < goal) return used;
    if (goal == kHeader) {
      read_header(tail_.data());
    } else if (goal < size_) {
      look_at_beginning(tail_.data());
      if (passing_) tail_.clear();
    } else {
      read_record(tail_.data());
      let_go();
    }
    return used;
  }

  // In the middle of a record without scalars or that is no Event, of which no more than the end is
  // kept.
  std::size_t pass_over(const std::uint8_t* p, std::size_t n) {
    const std::uint64_t end = size_ - kFooter - behind_;
    const bool is_kept = arrived_ >= end;
    const auto used =
        static_cast<std::size_t>(std::min<std::uint64_t>((is_kept ? size_ : end) - arrived_, n));
    if (is_kept) {
      tail_.insert(tail_.end(), p, p + used);
    } else if (checked_) {
      crc_ = crc32c(p, used, crc_);
    }
    arrived_ += used;
    if (arrived_ == size_) {
      passing_ = false;
      const Bytes behind{tail_.data(), behind_};
      bool is_damaged = false;
      if (checked_ && load_le<std::uint32_t>(behind.data + behind.size) !=
                          masked(crc32c(behind.data, behind.size, crc_))) {
        note(Damage::kData);
        is_damaged = true;
      } else if (no_event_) {
        note(Damage::kEvent);
      } else {
        decoder_.learn(long_tag_, behind, tags_);
      }
      tail_.clear();
      go_on(is_damaged);
    }
    return used;
  }

  // Learns the size of the record under way from its header.
  void read_header(const std::uint8_t* p) {
    if (load_le<std::uint32_t>(p + 8) != masked(crc32c(p, 8))) {
      note(Damage::kLength);
      stopped_ = true;
      return;
    }
    constexpr std::uint64_t most = ~std::uint64_t{0} - kHeader - kFooter;
    size_ = kHeader + std::min(load_le<std::uint64_t>(p), most) + kFooter;
  }

  // Decides whether to read the long record under way or to pass over the rest of it.
  void look_at_beginning(const std::uint8_t* p) {
    const Bytes beginning{p + kHeader, kBeginning};
    const Prefix event{beginning, size_ - kHeader - kFooter};
    Passed passed;
    const bool has_no_scalar = event_has_no_scalar(event, passed) && passed.behind <= kLong;
    // A hole of zeros, or bytes that are no protobuf: a length may claim gigabytes of them.
    no_event_ = is_too_long() || (!has_no_scalar && event_is_malformed(event));
    passing_ = has_no_scalar || no_event_;
    behind_ = no_event_ || !passing_ ? 0 : static_cast<std::size_t>(passed.behind);
    if (!passing_) return;
    if (!no_event_) {
      long_tag_.assign(reinterpret_cast<const char*>(passed.tag.data), passed.tag.size);
    }
    // As in `read_record`, the checksum tells damaged data from what never was an Event.
    checked_ = !is_too_long() && (no_event_ || verify_ == Verify::kAll);
    if (checked_) crc_ = crc32c(beginning.data, beginning.size);
  }

  // Reads the record under way, which is complete, and goes to the next.
  void read_record(const std::uint8_t* p) {
    const Bytes data{p + kHeader, static_cast<std::size_t>(size_) - kHeader - kFooter};
    const bool is_event = decoder_.parse(data, tags_);
    const bool check = !is_event || verify_ == Verify::kAll ||
                       (verify_ == Verify::kScalars && !decoder_.is_left_out());
    if (check &&
        load_le<std::uint32_t>(data.data + data.size) != masked(crc32c(data.data, data.size))) {
      note(Damage::kData);
      return go_on(true);
    }
    if (is_event) {
      decoder_.commit(tags_, columns_, sessions_);
    } else {
      note(Damage::kEvent);
    }
    go_on(false);
  }

  void go_on(bool is_damaged) {
    advance(size_, is_damaged);
    size_ = kHeader;
    arrived_ = 0;
  }

  void advance(std::uint64_t bytes, bool is_damaged = false) {
    offset_ += bytes;
    ++unsettled_;
    if (is_damaged && offset_ - settled_ <= kMayChange) return;
    settled_ = offset_;
    unsettled_ = 0;
  }

  std::size_t keep(const std::uint8_t* p, std::size_t n) {
    tail_.insert(tail_.end(), p, p + n);
    arrived_ += n;
    return n;
  }

  void let_go() {
    tail_.clear();
    if (tail_.capacity() > kSpare) tail_.shrink_to_fit();
  }

  bool is_long() const { return size_ > kHeader + kLong + kFooter; }
  bool is_too_long() const { return size_ > kHeader + kLongestEvent + kFooter; }

  void note(Damage kind) {
    DamageCount& count = damage_[static_cast<std::size_t>(kind)];
    if (count.records++ == 0) count.first_offset = offset_;
  }

  Verify verify_;
  double expected_;                 // bytes in all
  std::uint64_t offset_ = 0;        // of the record under way
  std::uint64_t settled_ = 0;       // behind the last record that was not damaged
  std::uint64_t unsettled_ = 0;     // damaged records since
  std::uint64_t size_ = kHeader;    // of the record under way, as far as it is known
  std::uint64_t arrived_ = 0;       // bytes of it, in earlier chunks
  std::vector<std::uint8_t> tail_;  // those bytes, or only the end where it is passed over
  bool passing_ = false;            // over the rest of the record under way
  bool no_event_ = false;           // it is passed over as it cannot be an Event
  bool checked_ = false;            // its checksum is compared
  std::size_t behind_ = 0;          // bytes before its checksum that are kept all the same
  std::string long_tag_;            // its tag
  std::uint32_t crc_ = 0;           // of the data passed over so far
  bool stopped_ = false;
  std::array<DamageCount, 3> damage_;
  EventDecoder decoder_;
  Tags tags_;
  Columns columns_;
  Sessions sessions_;
};

}  // namespace ewma
