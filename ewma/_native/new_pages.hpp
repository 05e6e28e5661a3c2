// Memory that the system hands out when it is first written, where it can a huge page at a time.
//
// Linux zeroes a huge page from its other end towards the address that was written. Written at its
// start first, it is zeroed backwards, which no prefetcher expects; written at its end first, it is
// zeroed forwards, in a third of the time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ewma {
namespace EWMA_ISA {

// What is written from about its start to its end; by default nothing.
class NewPages {
 public:
  NewPages() = default;
  NewPages(void* begin, std::size_t bytes)
      : begin_(static_cast<char*>(begin)), next_(begin_), end_(begin_ + bytes) {}

  // Where threads share out the columns, so many bytes of each row: if two wrote to a new page at
  // once, both would zero it. Thread `index` has every `threads`-th page zeroed, before the others
  // need it, by writing to its own bytes: those up to `own_end` of a row.
  NewPages(void* begin, std::size_t bytes, std::size_t row, std::size_t own_end, std::size_t index,
           std::size_t threads)
      : NewPages(begin, bytes) {
    row_ = row, own_end_ = own_end, threads_ = threads;
    skip(index);
  }

  // Comes before what is in front of `to` is written. What has been written already stays: a page
  // is written to without a change to what it holds.
  void reach(const void* to) {
    if (begin_ == end_) return;
    const auto ahead = static_cast<std::ptrdiff_t>((threads_ - 1) * kHugePage);
    while (next_ != end_ && next_ - static_cast<const char*>(to) < ahead) {
      const char* const start = next_;
      skip(1);
      char* const own_end = end_of_own();
#if defined(__GNUC__)
      if (own_end > start) {
        __atomic_fetch_or(static_cast<volatile char*>(own_end - 1), 0, __ATOMIC_RELAXED);
      }
#endif
      skip(threads_ - 1);
    }
  }

 private:
  static constexpr std::size_t kHugePage = std::size_t{1} << 21;

  void skip(std::size_t pages) {
    for (std::size_t i = 0; i < pages; ++i) {
      const std::size_t left = static_cast<std::size_t>(end_ - next_);
      const std::size_t of_page = kHugePage - reinterpret_cast<std::uintptr_t>(next_) % kHugePage;
      next_ += of_page < left ? of_page : left;
    }
  }

  // Where the thread's own bytes end in front of the next page.
  char* end_of_own() const {
    if (threads_ == 1) return next_;
    const std::size_t before = static_cast<std::size_t>(next_ - begin_);
    return before < own_end_ ? begin_ : begin_ + (before - own_end_) / row_ * row_ + own_end_;
  }

  char* begin_ = nullptr;
  char* next_ = nullptr;  // page to be written to
  char* end_ = nullptr;
  std::size_t row_ = 0, own_end_ = 0, threads_ = 1;
};

}  // namespace EWMA_ISA
}  // namespace ewma
