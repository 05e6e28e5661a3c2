// _core.smooth: arrays in, one call of the kernel that this machine runs best.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer.hpp"
#include "ema_kernel.hpp"
#include "gil.hpp"
#include "isa.hpp"
#include "parallel.hpp"

namespace nb = nanobind;

namespace {

template <typename T>
ewma::Kernel<T> kernel(unsigned isa_limit) {
  static const ewma::Isa best = ewma::best_isa();
  switch (isa_limit < best ? isa_limit : best) {
#if defined(EWMA_X86)
    case ewma::kAvx512:
      return {ewma::avx512::smooth, ewma::avx512::continue_series, ewma::avx512::answer};
    case ewma::kAvx2:
      return {ewma::avx2::smooth, ewma::avx2::continue_series, ewma::avx2::answer};
#endif
    default:
      return {ewma::baseline::smooth, ewma::baseline::continue_series, ewma::baseline::answer};
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
  const ewma::WithoutGil release(size);
  const auto run = type == "d" ? smooth<double> : smooth<float>;
  run(in, to, shape, options, threads, isa_limit);
}

ewma::Type type_named(std::string_view name) {
  using ewma::Type;
  static const std::pair<std::string_view, Type> types[] = {
      {"float64", Type::kFloat64},   {"float32", Type::kFloat32}, {"float16", Type::kFloat16},
      {"bfloat16", Type::kBfloat16}, {"int8", Type::kInt8},       {"int16", Type::kInt16},
      {"int32", Type::kInt32},       {"int64", Type::kInt64},     {"bool", Type::kUint8},
      {"uint8", Type::kUint8},       {"uint16", Type::kUint16},   {"uint32", Type::kUint32},
      {"uint64", Type::kUint64}};
  for (const auto& [known, type] : types) {
    if (known == name) return type;
  }
  throw nb::type_error("an unknown type of samples");
}

std::size_t size_of(ewma::Type type) {
  using ewma::Type;
  switch (type) {
    case Type::kInt8:
    case Type::kUint8:
      return 1;
    case Type::kFloat16:
    case Type::kBfloat16:
    case Type::kInt16:
    case Type::kUint16:
      return 2;
    case Type::kFloat32:
    case Type::kInt32:
    case Type::kUint32:
      return 4;
    default:
      return 8;
  }
}

std::size_t items(const ewma::Buffer& buffer) {
  return static_cast<std::size_t>(buffer->len / buffer->itemsize);
}

// A column of 8-byte items, one a row, or nothing.
class Column {
 public:
  Column(nb::handle object, std::size_t rows) {
    if (object.is_none()) return;
    buffer_.emplace(object, PyBUF_C_CONTIGUOUS);
    if ((*buffer_)->itemsize != 8 || items(*buffer_) != rows) {
      throw nb::value_error("times and groups must have `time` items of 8 bytes");
    }
  }
  const void* data() const { return buffer_ ? (*buffer_)->buf : nullptr; }

 private:
  std::optional<ewma::Buffer> buffer_;
};

std::ptrdiff_t backwards(nb::handle times, bool whole, nb::handle groups, std::size_t group_count) {
  const ewma::Buffer at(times, PyBUF_C_CONTIGUOUS);
  const Column column(times, items(at)), group(groups, items(at));
  const auto* const of = static_cast<const std::int64_t*>(group.data());
  const auto search = [&](const auto* time) -> std::ptrdiff_t {
    if (of == nullptr) {
      for (std::size_t i = 1; i < items(at); ++i) {
        if (!(time[i] >= time[i - 1])) return static_cast<std::ptrdiff_t>(i);
      }
      return -1;
    }
    std::vector<std::size_t> last(group_count);
    for (std::size_t i = 0; i < items(at); ++i) {  // `last` counts from 1
      const auto group = static_cast<std::size_t>(of[i]);
      std::size_t& before = last[group < group_count ? group : 0];  // somebody may write into it
      if (before > 0 && !(time[i] >= time[before - 1])) return static_cast<std::ptrdiff_t>(i);
      before = i + 1;
    }
    return -1;
  };
  const ewma::WithoutGil release;
  return whole ? search(static_cast<const std::int64_t*>(column.data()))
               : search(static_cast<const double*>(column.data()));
}

void answer(nb::handle x, std::string_view x_type, nb::handle out, std::string_view out_type,
            std::size_t outer, std::size_t time, std::size_t inner,
            const std::vector<std::pair<double, double>>& decays, unsigned statistic, bool bias,
            bool debias, bool ignore_na, bool fill, nb::handle times, bool whole, double unit,
            bool weigh, nb::handle groups, std::size_t group_count, bool pairs, unsigned threads,
            unsigned isa_limit) {
  const ewma::Buffer in(x, PyBUF_C_CONTIGUOUS), to(out, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
  const std::size_t size = items(in);
  if (decays.empty() || !is_product(size, {outer, time, inner}) ||
      !is_product(items(to), {decays.size(), outer, time, inner}) ||
      size_of(type_named(x_type)) != static_cast<std::size_t>(in->itemsize) ||
      size_of(type_named(out_type)) != static_cast<std::size_t>(to->itemsize)) {
    throw nb::value_error("x must have outer * time * inner items, and out as many a decay");
  }
  if (size == 0) return;
  const Column at(times, time), group(groups, time);
  const auto* const of = static_cast<const std::int64_t*>(group.data());
  const ewma::Data data{static_cast<const char*>(in->buf),
                        static_cast<char*>(to->buf),
                        type_named(x_type),
                        type_named(out_type),
                        static_cast<std::size_t>(in->itemsize),
                        static_cast<std::size_t>(to->itemsize),
                        size,
                        pairs};
  std::vector<ewma::Request> requests;
  for (const auto& [beta, log_beta] : decays) {
    requests.push_back({{beta, debias, ignore_na, fill},
                        static_cast<ewma::Statistic>(statistic),
                        bias,
                        {at.data(), whole, unit, log_beta, weigh},
                        {of, group_count}});
  }
  const ewma::WithoutGil release;
  if (of != nullptr) {
    for (std::size_t i = 0; i < time; ++i) {
      if (of[i] < 0 || static_cast<std::size_t>(of[i]) >= group_count) {
        throw std::out_of_range("a group must be in [0, group_count)");
      }
    }
  }
  ewma::answer_in_pieces(kernel<double>(isa_limit), data, {outer, time, inner, inner},
                         requests.data(), requests.size(), threads);
}

}  // namespace

void bind_ema(nb::module_& m) {
  m.def("smooth", &smooth_block, nb::arg("x"), nb::arg("out"), nb::arg("outer"), nb::arg("time"),
        nb::arg("inner"), nb::arg("beta"), nb::arg("debias"), nb::arg("ignore_na"), nb::arg("fill"),
        nb::arg("threads") = 1, nb::arg("isa_limit") = unsigned{ewma::kAvx512},
        "Smooth x, a C-contiguous float64 or float32 block (outer, time, inner), along time into\n"
        "out, which may be x. isa_limit: 0 baseline, 1 AVX2, 2 AVX-512.");
  m.def("answer", &answer, nb::arg("x"), nb::arg("x_type"), nb::arg("out"), nb::arg("out_type"),
        nb::arg("outer"), nb::arg("time"), nb::arg("inner"), nb::arg("decays"),
        nb::arg("statistic"), nb::arg("bias"), nb::arg("debias"), nb::arg("ignore_na"),
        nb::arg("fill"), nb::arg("times") = nb::none(), nb::arg("whole") = false,
        nb::arg("unit") = 1.0, nb::arg("weigh") = false, nb::arg("groups") = nb::none(),
        nb::arg("group_count") = 0, nb::arg("pairs") = false, nb::arg("threads") = 1,
        nb::arg("isa_limit") = unsigned{ewma::kAvx512},
        "The mean (statistic 0), the variance (1) or its root (2) of x, a C-contiguous block\n"
        "(outer, time, inner) of items of a type that NumPy names x_type, along time into out:\n"
        "a block each for the decays, pairs of beta and its logarithm a step of times. times and\n"
        "groups have 8 bytes a row: whole numbers or float64, and int64. pairs: two columns are a\n"
        "complex number.");
  m.def(
      "backwards", &backwards, nb::arg("times"), nb::arg("whole"), nb::arg("groups").none(),
      nb::arg("group_count"),
      "The first row whose time is not at or after that of the row before it in its group, or -1.");
}
