// The tags that a file names, and which of them are wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bytes.hpp"
#include "form.hpp"

namespace ewma {

struct Tag {
  std::string name;
  bool wanted = true;
  bool has_metadata = false;  // the first metadata decides, as in TensorBoard
  bool is_foreign = false;    // its tensors belong to another plugin than "scalars"
  std::int32_t number = -1;   // among the tags that have points, or among those left out
  Form form;                  // of its last point
  Tag* next = nullptr;        // the tag that came after it last time
};

class Tags {
 public:
  using Filter = std::function<bool(std::string_view)>;

  // An empty filter wants every tag.
  explicit Tags(Filter filter) : filter_(std::move(filter)) {}
  Tags(const Tags&) = delete;
  Tags& operator=(const Tags&) = delete;

  // A training loop writes its tags in the same order each time, so what followed the last tag
  // is tried before the hash map.
  Tag& find(Bytes name) {
    const std::string_view wanted = view(name);
    if (last_->next == nullptr || last_->next->name != wanted) last_->next = &look_up(wanted);
    last_ = last_->next;
    return *last_;
  }

  // As `find`, where it is known already which tag it is.
  void found(Tag& tag) {
    last_->next = &tag;
    last_ = &tag;
  }

  // As `find`, of what followed the last tag.
  void go_on() { last_ = last_->next; }

  // The tag found last; before any, one that has no name.
  Tag* last() { return last_; }

  // Takes down that a tag has points.
  void has_points(Tag& tag) {
    std::vector<const Tag*>& list = tag.wanted ? with_points_ : left_out_;
    if (tag.number >= 0) return;
    tag.number = static_cast<std::int32_t>(list.size());
    list.push_back(&tag);
  }

  // In the order of their first points: the tags that are wanted, and the others.
  const std::vector<const Tag*>& with_points() const { return with_points_; }
  const std::vector<const Tag*>& left_out() const { return left_out_; }

 private:
  static std::string_view view(Bytes name) {
    return {reinterpret_cast<const char*>(name.data), name.size};
  }

  Tag& look_up(std::string_view name) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return *found->second;
    const bool wanted = !filter_ || filter_(name);
    Tag& tag = tags_.emplace_back();
    tag.name = name;
    tag.wanted = wanted;
    by_name_.emplace(tag.name, &tag);
    return tag;
  }

  Filter filter_;
  std::deque<Tag> tags_;  // a deque, so that the pointers and views below stay good
  std::unordered_map<std::string_view, Tag*> by_name_;
  std::vector<const Tag*> with_points_;
  std::vector<const Tag*> left_out_;
  Tag before_first_;
  Tag* last_ = &before_first_;
};

}  // namespace ewma
