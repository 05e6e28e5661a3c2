#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_events(nb::module_& m) { (void)m; }
