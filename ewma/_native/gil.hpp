// Letting go of Python's global lock, and taking it, for as long as these live.
//
// CPython before 3.14 ends a thread that asks for the lock while the interpreter is being finalized
// (a daemon thread at the end of a program) by pthread_exit. On Linux that unwinds the thread's
// stack as an exception would, and the first function that is noexcept, as destructors are, makes
// it the end of the process by SIGABRT. Such a thread waits here for the end instead, as in 3.14.
#pragma once

#include <Python.h>

#include <chrono>
#include <cstddef>
#include <thread>

namespace ewma {

template <typename Ask>
auto ask_or_wait_for_the_end(Ask ask) noexcept {
  try {
    return ask();
  } catch (...) {  // nothing but pthread_exit: these are C functions
    while (true) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  // Letting go costs more than it takes to work on a few items: then it does nothing.
  explicit WithoutGil(std::size_t items) : state_(items < kFew ? nullptr : PyEval_SaveThread()) {}
  ~WithoutGil() {
    if (state_ == nullptr) return;
    ask_or_wait_for_the_end([this] { PyEval_RestoreThread(state_); });
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  static constexpr std::size_t kFew = 4096;

  PyThreadState* state_;
};

class WithGil {
 public:
  WithGil() : state_(ask_or_wait_for_the_end(PyGILState_Ensure)) {}
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace ewma
