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
      : next_(static_cast<char*>(begin)), end_(next_ + bytes) {}

  // Comes before what is in front of `to` is written. What has been written already stays: a page
  // is written to without a change to what it holds.
  void reach(const void* to) {
    while (next_ < to && next_ != end_) {
      const std::size_t left = static_cast<std::size_t>(end_ - next_);
      const std::size_t of_page = kHugePage - reinterpret_cast<std::uintptr_t>(next_) % kHugePage;
      next_ += of_page < left ? of_page : left;
#if defined(__GNUC__)
      __atomic_fetch_or(static_cast<volatile char*>(next_ - 1), 0, __ATOMIC_RELAXED);
#endif
    }
  }

 private:
  static constexpr std::size_t kHugePage = std::size_t{1} << 21;

  char* next_ = nullptr;  // behind the pages that are there
  char* end_ = nullptr;
};

}  // namespace EWMA_ISA
}  // namespace ewma
