// Work on several threads at once. They live as long as the call: nothing is left over that a fork
// could copy half of.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace ewma {

// Linux starts a thread behind its caller, which will be busy, if on a machine with few cores the
// thread of the call before is still on its way out of the other one: half of all threads, where
// calls follow each other. Such a thread is sent away from the caller's core.
class Cores {
 public:
#if defined(__linux__)
  Cores() : known_(sched_getaffinity(0, sizeof all_, &all_) == 0) {
    const int here = sched_getcpu();
    others_ = all_;
    if (known_ && here >= 0) CPU_CLR(here, &others_);
  }
  void send_away(std::thread& thread) const {
    if (!known_ || CPU_COUNT(&others_) == 0) return;
    pthread_setaffinity_np(thread.native_handle(), sizeof others_, &others_);
  }
  // What a thread does first, for later it may run anywhere.
  void roam() const {
    if (known_) sched_setaffinity(0, sizeof all_, &all_);
  }

 private:
  cpu_set_t all_, others_;
  const bool known_;  // not with more cores than fit
#else
  void send_away(std::thread&) const {}
  void roam() const {}
#endif
};

// Calls work(0) .. work(count - 1), each on a thread of its own as far as there are any to be had.
// What one of them throws is thrown when all have ended.
template <typename Work>
void side_by_side(std::size_t count, const Work& work) {
  const Cores cores{};
  std::vector<std::thread> threads;
  std::vector<std::atomic<bool>> up(count);
  std::vector<std::exception_ptr> errors(count);
  std::atomic<bool> sent{false};
  const auto guarded = [&](std::size_t i) {
    try {
      work(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  std::size_t started = 1;
  try {
    threads.reserve(count - 1);
    for (; started < count; ++started) {
      threads.emplace_back([&, i = started] {
        up[i] = true;
        cores.roam();
        guarded(i);
        // Sent away when it has ended, a thread would be nobody: to Linux, whoever sends it.
        while (!sent) std::this_thread::yield();
      });
    }
  } catch (const std::exception&) {
    // As many as system and memory give; the rest is done here.
  }
  for (std::size_t i = 1; i < started; ++i) {
    if (!up[i]) cores.send_away(threads[i - 1]);
  }
  sent = true;
  guarded(0);
  for (std::size_t i = started; i < count; ++i) guarded(i);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

}  // namespace ewma
