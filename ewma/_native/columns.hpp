// The points read so far, and the tags they name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bytes.hpp"

namespace ewma {

struct Point {
  std::int32_t tag;
  std::int64_t step;
  double wall_time;
  double value;
};

// Columns in blocks: growing copies nothing, and handing over frees each block once it is copied.
class Columns {
 public:
  std::size_t size() const { return blocks_.empty() ? 0 : (blocks_.size() - 1) * kRows + used_; }

  // Rows in all, those included that were moved away.
  std::uint64_t pushed() const { return moved_ + size(); }

  void push(const Point& point) {
    if (used_ == kRows) grow();
    Block& block = *blocks_.back();
    block.tag[used_] = point.tag;
    block.step[used_] = point.step;
    block.wall_time[used_] = point.wall_time;
    block.value[used_] = point.value;
    ++used_;
  }

  // Moves everything into arrays of size() elements.
  void move_to(std::int32_t* tag, std::int64_t* step, double* wall_time, double* value) {
    moved_ += size();
    std::size_t row = 0;
    for (std::unique_ptr<Block>& block : blocks_) {
      const std::size_t rows = &block == &blocks_.back() ? used_ : kRows;
      std::memcpy(tag + row, block->tag, rows * sizeof *tag);
      std::memcpy(step + row, block->step, rows * sizeof *step);
      std::memcpy(wall_time + row, block->wall_time, rows * sizeof *wall_time);
      std::memcpy(value + row, block->value, rows * sizeof *value);
      row += rows;
      block.reset();
    }
    blocks_.clear();
    used_ = kRows;
  }

 private:
  static constexpr std::size_t kRows = std::size_t{1} << 14;

  struct Block {
    std::int32_t tag[kRows];
    std::int64_t step[kRows];
    double wall_time[kRows];
    double value[kRows];
  };

  void grow() {
    blocks_.push_back(std::unique_ptr<Block>(new Block));  // make_unique would write zeros
    used_ = 0;
  }

  std::vector<std::unique_ptr<Block>> blocks_;
  std::uint64_t moved_ = 0;
  std::size_t used_ = kRows;  // rows in the last block; with none, as if that were full
};

struct Tag {
  std::string name;
  bool has_metadata = false;  // the first metadata decides, as in TensorBoard
  bool is_foreign = false;    // its tensors belong to another plugin than "scalars"
  std::int32_t column = -1;   // its number among the tags that have points
  Tag* next = nullptr;        // the tag that came after it last time
};

class Tags {
 public:
  Tags() = default;
  Tags(const Tags&) = delete;
  Tags& operator=(const Tags&) = delete;

  // A training loop writes its tags in the same order each time, so what followed the last tag
  // is tried before the hash map.
  Tag& find(Bytes name) {
    const std::string_view view(reinterpret_cast<const char*>(name.data), name.size);
    if (last_->next == nullptr || last_->next->name != view) last_->next = &look_up(view);
    last_ = last_->next;
    return *last_;
  }

  std::int32_t column(Tag& tag) {
    if (tag.column < 0) {
      tag.column = static_cast<std::int32_t>(with_points_.size());
      with_points_.push_back(&tag);
    }
    return tag.column;
  }

  // By column number.
  const std::vector<const Tag*>& with_points() const { return with_points_; }

 private:
  Tag& look_up(std::string_view name) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return *found->second;
    Tag& tag = tags_.emplace_back();
    tag.name = name;
    by_name_.emplace(tag.name, &tag);
    return tag;
  }

  std::deque<Tag> tags_;  // a deque, so that the pointers and views below stay good
  std::unordered_map<std::string_view, Tag*> by_name_;
  std::vector<const Tag*> with_points_;
  Tag before_first_;
  Tag* last_ = &before_first_;
};

}  // namespace ewma
