#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_ema(nb::module_& m) { (void)m; }
