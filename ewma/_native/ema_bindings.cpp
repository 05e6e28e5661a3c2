// _core.smooth: arrays in, one call of the kernel that this machine runs best.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "buffer.hpp"
#include "ema_kernel.hpp"
#include "parallel.hpp"

#if defined(EWMA_X86) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace nb = nanobind;

namespace {

enum Isa : unsigned { baseline, avx2, avx512 };

// The best copy of the kernel that both the processor and the operating system take.
Isa best_isa() {
#if !defined(EWMA_X86)
  return Isa::baseline;
#elif defined(_MSC_VER)
  int leaf[4];
  __cpuid(leaf, 0);
  if (leaf[0] < 7) return Isa::baseline;
  __cpuid(leaf, 1);
  const bool fma = leaf[2] & (1 << 12), osxsave = leaf[2] & (1 << 27);
  if (!fma || !osxsave) return Isa::baseline;
  const auto saved = _xgetbv(0);
  __cpuidex(leaf, 7, 0);
  if ((saved & 0x06) != 0x06 || !(leaf[1] & (1 << 5))) return Isa::baseline;
  constexpr unsigned f_dq_vl = 1u << 16 | 1u << 17 | 1u << 31;
  const bool avx512 = (static_cast<unsigned>(leaf[1]) & f_dq_vl) == f_dq_vl;
  return avx512 && (saved & 0xe6) == 0xe6 ? Isa::avx512 : Isa::avx2;
#else
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::baseline;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? Isa::avx512 : Isa::avx2;
#endif
}

template <typename T>
ewma::Kernel<T> kernel(unsigned isa_limit) {
  static const Isa best = best_isa();
  switch (isa_limit < best ? isa_limit : best) {
#if defined(EWMA_X86)
    case Isa::avx512:
      return {ewma::avx512::smooth, ewma::avx512::continue_series};
    case Isa::avx2:
      return {ewma::avx2::smooth, ewma::avx2::continue_series};
#endif
    default:
      return {ewma::baseline::smooth, ewma::baseline::continue_series};
  }
}

template <typename T>
void smooth(const ewma::Buffer& x, const ewma::Buffer& out, const ewma::Shape& shape,
            const ewma::Options& options, unsigned threads, unsigned isa_limit) {
  ewma::smooth_in_pieces(kernel<T>(isa_limit), static_cast<const T*>(x->buf),
                         static_cast<T*>(out->buf), shape, options, threads);
}

// Whether the sizes' product is n, without computing it: it may be too large for its type.
bool is_product(std::size_t n, std::initializer_list<std::size_t> sizes) {
  if (std::count(sizes.begin(), sizes.end(), 0u) > 0) return n == 0;
  for (const std::size_t size : sizes) {
    if (n % size != 0) return false;
    n /= size;
  }
  return n == 1;
}

void smooth_block(nb::handle x, nb::handle out, std::size_t outer, std::size_t time,
                  std::size_t inner, double beta, bool debias, bool ignore_na, bool fill,
                  unsigned threads, unsigned isa_limit) {
  const int contiguous = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT;
  const ewma::Buffer in(x, contiguous), to(out, contiguous | PyBUF_WRITABLE);
  const std::string_view type = in->format;
  if ((type != "d" && type != "f") || type != to->format) {
    throw nb::type_error("x and out must both be float64 or both float32, in native byte order");
  }
  const auto size = static_cast<std::size_t>(in->len / in->itemsize);
  if (!is_product(size, {outer, time, inner}) || to->len != in->len) {
    throw nb::value_error("x and out must have outer * time * inner items");
  }
  if (size == 0) return;
  const ewma::Shape shape{outer, time, inner, inner};
  const ewma::Options options{beta, debias, ignore_na, fill};
  // Letting go of the GIL costs more than a short series does.
  constexpr std::size_t kLong = 4096;
  PyThreadState* state = size >= kLong ? PyEval_SaveThread() : nullptr;
  const auto run = type == "d" ? smooth<double> : smooth<float>;
  run(in, to, shape, options, threads, isa_limit);
  if (state) PyEval_RestoreThread(state);
}

}  // namespace

void bind_ema(nb::module_& m) {
  m.def("smooth", &smooth_block, nb::arg("x"), nb::arg("out"), nb::arg("outer"), nb::arg("time"),
        nb::arg("inner"), nb::arg("beta"), nb::arg("debias"), nb::arg("ignore_na"), nb::arg("fill"),
        nb::arg("threads") = 1, nb::arg("isa_limit") = unsigned{Isa::avx512},
        "Smooth x, a C-contiguous float64 or float32 block (outer, time, inner), along time into\n"
        "out, which may be x. isa_limit: 0 baseline, 1 AVX2, 2 AVX-512.");
}
