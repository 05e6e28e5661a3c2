// The reader of event files: bytes are pushed in, in chunks of any size; points come out.
//
// A record is uint64 length, uint32 masked crc32c(length), the bytes of an Event, and uint32 masked
// crc32c(bytes), all little endian.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes.hpp"
#include "columns.hpp"
#include "crc32c.hpp"
#include "event_decoder.hpp"
#include "sessions.hpp"

namespace ewma {

enum class Damage : std::size_t {
  kLength,  // the length's checksum is wrong: where the next record begins is not known
  kData,    // the data's checksum is wrong: the record is skipped
  kEvent,   // the checksums are right, but the bytes are no Event: skipped as well
};

// A million damaged records take no more memory than one.
struct DamageCount {
  std::uint64_t records = 0;
  std::uint64_t first_offset = 0;
};

class EventReader {
 public:
  EventReader() = default;
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  // Reads every record that is complete with this chunk, in place; of the chunk, only the
  // beginning of an unfinished record is kept. Memory follows what has arrived, never what a
  // length claims.
  void feed(const std::uint8_t* p, std::size_t n) {
    while (n > 0 && arrived_ > 0 && !stopped_) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(size_ - arrived_, n));
      keep(p, take);
      p += take;
      n -= take;
      if (arrived_ < size_) return;
      if (size_ == kHeader) {
        read_header(tail_.data());
      } else {
        read_record(tail_.data());
        tail_.clear();
        if (tail_.capacity() > kSpare) tail_.shrink_to_fit();
      }
    }
    while (n >= kHeader && !stopped_) {
      read_header(p);
      if (stopped_ || size_ > n) break;
      const auto size = static_cast<std::size_t>(size_);
      read_record(p);
      p += size;
      n -= size;
    }
    if (n > 0 && !stopped_) keep(p, n);
  }

  // Where the record under way begins, and how many bytes of it are known to be still missing:
  // at least the rest of its header; 0 between records.
  std::uint64_t offset() const { return offset_; }
  std::uint64_t needed() const { return arrived_ == 0 ? 0 : size_ - arrived_; }

  // Whether a damaged length has ended the reading.
  bool stopped() const { return stopped_; }

  const DamageCount& damage(Damage kind) const { return damage_[static_cast<std::size_t>(kind)]; }
  const Tags& tags() const { return tags_; }
  Columns& columns() { return columns_; }
  const Sessions& sessions() const { return sessions_; }

 private:
  static constexpr std::size_t kHeader = 12;
  static constexpr std::size_t kFooter = 4;
  static constexpr std::size_t kSpare = std::size_t{1} << 20;
  // Protobuf's own limit. Whatever is longer is no Event, and is not kept while it arrives.
  static constexpr std::uint64_t kLongestEvent = 0x7FFFFFFF;

  // Learns the size of the record under way from its header.
  void read_header(const std::uint8_t* p) {
    if (load_le<std::uint32_t>(p + 8) != masked_crc32c(p, 8)) {
      note(Damage::kLength);
      stopped_ = true;
      return;
    }
    constexpr std::uint64_t most = ~std::uint64_t{0} - kHeader - kFooter;
    size_ = kHeader + std::min(load_le<std::uint64_t>(p), most) + kFooter;
  }

  // Reads the record under way, which is complete, and goes to the next.
  void read_record(const std::uint8_t* p) {
    if (is_too_long()) {
      note(Damage::kEvent);
    } else {
      const Bytes data{p + kHeader, static_cast<std::size_t>(size_) - kHeader - kFooter};
      if (load_le<std::uint32_t>(data.data + data.size) != masked_crc32c(data.data, data.size)) {
        note(Damage::kData);
      } else if (!decoder_.decode(data, tags_, columns_, sessions_)) {
        note(Damage::kEvent);
      }
    }
    offset_ += size_;
    size_ = kHeader;
    arrived_ = 0;
  }

  void keep(const std::uint8_t* p, std::size_t n) {
    if (!is_too_long()) tail_.insert(tail_.end(), p, p + n);
    arrived_ += n;
  }

  bool is_too_long() const { return size_ > kHeader + kLongestEvent + kFooter; }

  void note(Damage kind) {
    DamageCount& count = damage_[static_cast<std::size_t>(kind)];
    if (count.records++ == 0) count.first_offset = offset_;
  }

  std::uint64_t offset_ = 0;        // of the record under way
  std::uint64_t size_ = kHeader;    // of the record under way, as far as it is known
  std::uint64_t arrived_ = 0;       // bytes of it, in earlier chunks
  std::vector<std::uint8_t> tail_;  // those bytes
  bool stopped_ = false;
  std::array<DamageCount, 3> damage_;
  EventDecoder decoder_;
  Tags tags_;
  Columns columns_;
  Sessions sessions_;
};

}  // namespace ewma
