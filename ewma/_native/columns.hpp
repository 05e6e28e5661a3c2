// The points read so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace ewma {

struct Free {
  void operator()(void* p) const { std::free(p); }
};

// An array whose owner may resize it without copying where the system can move pages instead.
template <class T>
using Column = std::unique_ptr<T[], Free>;

struct Point {
  std::int32_t tag;
  std::int64_t step;
  double wall_time;
  double value;
};

// An array a column, so that handing them over copies nothing.
class Columns {
 public:
  std::size_t size() const { return size_; }

  // Rows in all, those included that were handed over.
  std::uint64_t pushed() const { return handed_over_ + size_; }

  // So many rows will come in all, as far as can be told: room for them is made in one go.
  void expect(double rows) { expected_ = rows; }

  void push(const Point& point) {
    if (size_ == capacity_) grow();
    tag_[size_] = point.tag;
    step_[size_] = point.step;
    wall_time_[size_] = point.wall_time;
    value_[size_] = point.value;
    ++size_;
  }

  // Calls `use` with the four columns, which are its own then, and is empty.
  template <class Use>
  auto hand_over(const Use& use) {
    if (size_ > 0) resize(size_);
    handed_over_ += size_;
    size_ = capacity_ = 0;
    return use(std::move(tag_), std::move(step_), std::move(wall_time_), std::move(value_));
  }

 private:
  static constexpr std::size_t kFirst = std::size_t{1} << 12;
  static constexpr double kMostAtFirst = 1 << 21;
  static constexpr std::size_t kLarge = std::size_t{1} << 22;

  void grow() {
    const auto doubled = static_cast<double>(2 * size_);
    const double most = std::max(16 * doubled, kMostAtFirst);  // the rest may be different
    const double more = std::max(std::min(1.02 * expected_, most), doubled);
    const std::size_t capacity = std::max(kFirst, static_cast<std::size_t>(more));
    resize(capacity);
    capacity_ = capacity;  // only now: there may have been no memory
  }

  void resize(std::size_t size) {
    resize(tag_, size);
    resize(step_, size);
    resize(wall_time_, size);
    resize(value_, size);
  }

  template <class T>
  static void resize(Column<T>& column, std::size_t size) {
    static_assert(std::is_trivially_copyable_v<T>);
    void* const moved = std::realloc(column.get(), size * sizeof(T));
    if (moved == nullptr) throw std::bad_alloc();
    static_cast<void>(column.release());
    column.reset(static_cast<T*>(moved));
    in_large_pages(moved, size * sizeof(T));
  }

  // As NumPy asks of Linux for its own arrays: one page fault for 2 MiB in place of one for 4 KiB.
  static void in_large_pages(void* begin, std::size_t bytes) {
#if defined(__linux__)
    if (bytes < kLarge) return;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(begin);
    const std::uintptr_t past = (page - address % page) % page;
    ::madvise(static_cast<char*>(begin) + past, bytes - past, MADV_HUGEPAGE);
#else
    static_cast<void>(begin), static_cast<void>(bytes);
#endif
  }

  Column<std::int32_t> tag_;
  Column<std::int64_t> step_;
  Column<double> wall_time_;
  Column<double> value_;
  std::size_t size_ = 0;
  std::uint64_t handed_over_ = 0;
  double expected_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace ewma
