// Memory that is asked for before it is needed, so that nobody waits for it.
#pragma once

#include <cstddef>

namespace ewma {
namespace EWMA_ISA {

// `bytes` from `at` on are soon read; may lie anywhere.
inline void soon_read(const void* at, std::size_t bytes) {
#if defined(__GNUC__)
  const char* const first = static_cast<const char*>(at);
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(first + i);
#else
  static_cast<void>(at), static_cast<void>(bytes);
#endif
}

// The same that are soon written.
inline void soon_written(const void* at, std::size_t bytes) {
#if defined(__GNUC__)
  const char* const first = static_cast<const char*>(at);
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(first + i, 1);
  if (bytes > 1) __builtin_prefetch(first + bytes - 1, 1);
#else
  static_cast<void>(at), static_cast<void>(bytes);
#endif
}

}  // namespace EWMA_ISA
}  // namespace ewma
