// Where in a file a training began, or began again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ewma {

struct Session {
  std::uint64_t row;  // of the first point written in it
  bool has_step;      // said by a SessionLog START: what has this step or a later one is obsolete
  std::int64_t step;
};

// The sessions after a file's first, which begins with it and needs a mention only if it has a
// step. No more are kept than there are points between them.
class Sessions {
 public:
  // A file version stands at the beginning of a file: further on, several were joined to one.
  void begin(std::uint64_t row) {
    if (row > (all_.empty() ? 0 : all_.back().row)) all_.push_back({row, false, 0});
  }

  void begin(std::uint64_t row, std::int64_t step) {
    if (all_.empty() || all_.back().row < row) all_.push_back({row, true, step});
    Session& last = all_.back();
    last.step = last.has_step ? std::min(last.step, step) : step;
    last.has_step = true;
  }

  const std::vector<Session>& all() const { return all_; }

 private:
  std::vector<Session> all_;
};

}  // namespace ewma
