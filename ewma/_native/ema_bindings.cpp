// _core.smooth: arrays in, one call of the kernel that this machine runs best.
#include <nanobind/nanobind.h>

#include "ema_kernel.hpp"

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
void smooth(const void* x, void* y, const ewma::Shape& shape, const ewma::Options& options,
            unsigned isa_limit) {
  static const Isa best = best_isa();
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  switch (isa_limit < best ? isa_limit : best) {
#if defined(EWMA_X86)
    case Isa::avx512:
      return ewma::avx512::smooth(from, to, shape, options);
    case Isa::avx2:
      return ewma::avx2::smooth(from, to, shape, options);
#endif
    default:
      return ewma::baseline::smooth(from, to, shape, options);
  }
}

// A view of a Python object's memory, released at the end.
class Buffer {
 public:
  Buffer(nb::handle object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) {
      throw nb::python_error();
    }
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  const Py_buffer& operator*() const { return view_; }
  const Py_buffer* operator->() const { return &view_; }

 private:
  Py_buffer view_;
};

void smooth_block(nb::handle x, nb::handle out, std::size_t outer, std::size_t time,
                  std::size_t inner, double beta, bool debias, bool ignore_na, bool fill,
                  unsigned isa_limit) {
  const Buffer in(x, PyBUF_SIMPLE), to(out, PyBUF_WRITABLE);
  const char type = in->format[0];
  if (in->format[1] != 0 || (type != 'd' && type != 'f') || to->format[0] != type ||
      to->format[1] != 0) {
    throw nb::type_error("x and out must both be float64 or both float32, in native byte order");
  }
  const std::size_t bytes = outer * time * inner * static_cast<std::size_t>(in->itemsize);
  if (static_cast<std::size_t>(in->len) != bytes || static_cast<std::size_t>(to->len) != bytes) {
    throw nb::value_error("x and out must have outer * time * inner items");
  }
  const ewma::Shape shape{outer, time, inner};
  const ewma::Options options{beta, debias, ignore_na, fill};
  // Letting go of the GIL costs more than a short series does.
  constexpr std::size_t kLong = std::size_t{1} << 15;
  PyThreadState* thread = bytes >= kLong ? PyEval_SaveThread() : nullptr;
  if (type == 'd') {
    smooth<double>(in->buf, to->buf, shape, options, isa_limit);
  } else {
    smooth<float>(in->buf, to->buf, shape, options, isa_limit);
  }
  if (thread) PyEval_RestoreThread(thread);
}

}  // namespace

void bind_ema(nb::module_& m) {
  m.def("smooth", &smooth_block, nb::arg("x"), nb::arg("out"), nb::arg("outer"), nb::arg("time"),
        nb::arg("inner"), nb::arg("beta"), nb::arg("debias"), nb::arg("ignore_na"), nb::arg("fill"),
        nb::arg("isa_limit") = unsigned{Isa::avx512},
        "Smooth x, a C-contiguous float64 or float32 block (outer, time, inner), along time into\n"
        "out, which may be x. isa_limit: 0 baseline, 1 AVX2, 2 AVX-512.");
}
