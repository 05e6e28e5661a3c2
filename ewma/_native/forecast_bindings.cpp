// _core.forecast_errors: how well each of some betas forecasts a series.
#include <nanobind/nanobind.h>

#include "buffer.hpp"
#include "forecast_kernel.hpp"
#include "gil.hpp"
#include "isa.hpp"

namespace nb = nanobind;

namespace {

auto kernel(unsigned isa_limit) {
  static const ewma::Isa best = ewma::best_isa();
  switch (isa_limit < best ? isa_limit : best) {
#if defined(EWMA_X86)
    case ewma::kAvx512:
      return ewma::avx512::forecast_errors;
    case ewma::kAvx2:
      return ewma::avx2::forecast_errors;
#endif
    default:
      return ewma::baseline::forecast_errors;
  }
}

std::size_t items(const ewma::Buffer& buffer) {
  if (buffer->itemsize != sizeof(double)) throw nb::type_error("all arrays must be float64");
  return static_cast<std::size_t>(buffer->len / buffer->itemsize);
}

void forecast_errors(nb::handle x, nb::handle betas, nb::handle sums, unsigned isa_limit) {
  const ewma::Buffer in(x, PyBUF_C_CONTIGUOUS), of(betas, PyBUF_C_CONTIGUOUS);
  const ewma::Buffer to(sums, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
  const std::size_t n = items(in), count = items(of);
  if (n == 0 || count % ewma::kBetasAtOnce != 0 || items(to) != count) {
    throw nb::value_error("there must be samples, and as many sums as betas, a multiple of 16");
  }
  const ewma::WithoutGil release;
  kernel(isa_limit)(static_cast<const double*>(in->buf), n, static_cast<const double*>(of->buf),
                    count, static_cast<double*>(to->buf));
}

}  // namespace

void bind_forecast(nb::module_& m) {
  m.def("forecast_errors", &forecast_errors, nb::arg("x"), nb::arg("betas"), nb::arg("sums"),
        nb::arg("isa_limit") = unsigned{ewma::kAvx512},
        "Sum up (x_t - y_{t-1})^2 for each of betas, a multiple of 16 of them, into sums, in one\n"
        "pass over x; all are float64.");
}
