// ewma._core: the two loops that touch every byte, the recurrence and the event-file reader.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_ema(nb::module_& m);
void bind_events(nb::module_& m);
void bind_forecast(nb::module_& m);
void bind_stream(nb::module_& m);

NB_MODULE(_core, m) {
#ifdef NDEBUG
  // At an interrupt, a thread that waits for a silent server is left behind with what it holds.
  nb::set_leak_warnings(false);
#endif
  m.doc() = "The recurrence and the event-file reader, in C++.";
  bind_ema(m);
  bind_events(m);
  bind_forecast(m);
  bind_stream(m);
}
