// _core.Stream: what is under ewma.EMA. Names, types and messages are Python's; here is what must
// be fast.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "buffer.hpp"
#include "gil.hpp"
#include "isa.hpp"
#include "stream_kernel.hpp"

namespace nb = nanobind;

namespace {

struct StreamKernel {
  decltype(&ewma::baseline::observe) observe;
  decltype(&ewma::baseline::resume<double>) resume_double;
  decltype(&ewma::baseline::resume<float>) resume_float;
  decltype(&ewma::baseline::resume_at<double>) resume_at_double;
  decltype(&ewma::baseline::resume_at<float>) resume_at_float;
  decltype(&ewma::baseline::mean_of) mean_of;
  decltype(&ewma::baseline::join) join;
};

#define EWMA_STREAM_KERNEL(isa)                                                        \
  StreamKernel {                                                                       \
    ewma::isa::observe, ewma::isa::resume<double>, ewma::isa::resume<float>,           \
        ewma::isa::resume_at<double>, ewma::isa::resume_at<float>, ewma::isa::mean_of, \
        ewma::isa::join                                                                \
  }

StreamKernel kernel_of(unsigned isa_limit) {
  static const ewma::Isa best = ewma::best_isa();
  switch (isa_limit < best ? isa_limit : best) {
#if defined(EWMA_X86)
    case ewma::kAvx512:
      return EWMA_STREAM_KERNEL(avx512);
    case ewma::kAvx2:
      return EWMA_STREAM_KERNEL(avx2);
#endif
    default:
      return EWMA_STREAM_KERNEL(baseline);
  }
}

class Stream {
 public:
  Stream(double beta, bool debias, bool ignore_na, bool fill, unsigned isa_limit)
      : rule_({beta, debias, ignore_na, fill}), kernel_(kernel_of(isa_limit)), states_(1) {}

  // A number goes the short way while this is one series without times; anything else is opened in
  // Python first.
  nb::object update(nb::handle x, nb::handle times) {
    if (plain_ && times.is_none() && (PyFloat_Check(x.ptr()) || PyLong_CheckExact(x.ptr()))) {
      const double sample = PyFloat_AsDouble(x.ptr());
      if (sample != -1.0 || PyErr_Occurred() == nullptr) {
        ++rows_;
        return nb::steal(PyFloat_FromDouble(kernel_.observe(sample, rule_, states_[0])));
      }
      PyErr_Clear();  // an integer too large, of which the long way tells
    }
    return nb::find(*this).attr("_update")(x, times);
  }

  void run(nb::handle x, nb::handle out, nb::handle times, double log_beta, double unit) {
    const int contiguous = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT;
    const ewma::Buffer in(x, contiguous), to(out, contiguous | PyBUF_WRITABLE);
    const std::string_view type = in->format;
    if ((type != "d" && type != "f") || type != to->format) {
      throw nb::type_error("x and out must both be float64 or both float32, in native byte order");
    }
    const auto size = static_cast<std::size_t>(in->len / in->itemsize);
    const std::size_t columns = states_.size(), rows = columns == 0 ? 0 : size / columns;
    if (rows * columns != size || to->len != in->len) {
      throw nb::value_error("x and out must have a whole number of rows of this stream");
    }
    if (times.is_none()) {
      const auto run = [&](auto resume, auto sample) {
        using T = decltype(sample);
        resume(static_cast<const T*>(in->buf), static_cast<T*>(to->buf), rows, columns, rule_,
               states_.data());
      };
      const ewma::WithoutGil release(size);
      type == "d" ? run(kernel_.resume_double, 0.0) : run(kernel_.resume_float, 0.0f);
    } else {
      const ewma::Buffer at(times, PyBUF_C_CONTIGUOUS);
      if (at->itemsize != sizeof(double) || at->len != static_cast<Py_ssize_t>(8 * rows)) {
        throw nb::value_error("times must have a float64 a row");
      }
      const ewma::Elapse elapse{static_cast<const double*>(at->buf), log_beta, unit};
      const auto run = [&](auto resume, auto sample) {
        using T = decltype(sample);
        resume(static_cast<const T*>(in->buf), static_cast<T*>(to->buf), rows, columns, rule_,
               elapse, states_.data());
      };
      const ewma::WithoutGil release(size);
      type == "d" ? run(kernel_.resume_at_double, 0.0) : run(kernel_.resume_at_float, 0.0f);
    }
    rows_ += static_cast<std::int64_t>(rows);
  }

  // Puts an earlier stretch before this one. powers: what is left of it after this one, a column.
  void join(const Stream& earlier, const std::vector<double>& powers) {
    if (earlier.states_.size() != states_.size() || powers.size() != states_.size()) {
      throw nb::value_error("streams must have as many columns each, and as many powers");
    }
    for (std::size_t j = 0; j < states_.size(); ++j) {
      kernel_.join(earlier.states_[j], powers[j], rule_, states_[j]);
    }
    rows_ += earlier.rows_;
  }

  void set_columns(std::size_t columns) { states_.assign(columns, {}); }

  nb::list means() const {
    nb::list means;
    for (const ewma::StreamState& state : states_) means.append(kernel_.mean_of(state));
    return means;
  }

  nb::list states() const {
    nb::list all;
    for (const ewma::StreamState& s : states_) {
      all.append(nb::make_tuple(s.mean, s.mean_rest, s.weight, s.weight_rest, s.largest, s.scale,
                                s.count, s.elapsed, s.elapsed_rest, s.first_decays));
    }
    return all;
  }

  void set_states(const std::vector<nb::tuple>& all) {
    std::vector<ewma::StreamState> states;
    for (const nb::tuple& s : all) {
      if (s.size() != 10) throw nb::value_error("a state has 10 numbers");
      ewma::StreamState state;
      state.mean = nb::cast<double>(s[0]), state.mean_rest = nb::cast<double>(s[1]);
      state.weight = nb::cast<double>(s[2]), state.weight_rest = nb::cast<double>(s[3]);
      state.largest = nb::cast<double>(s[4]), state.scale = nb::cast<std::int64_t>(s[5]);
      state.count = nb::cast<std::int64_t>(s[6]);
      state.elapsed = nb::cast<double>(s[7]), state.elapsed_rest = nb::cast<double>(s[8]);
      state.first_decays = nb::cast<bool>(s[9]);
      if (state.scale < 0 || state.scale >= ewma::kScaleCount) {
        throw nb::value_error("scale must be 0, 1 or 2");
      }
      states.push_back(state);
    }
    states_ = std::move(states);
  }

  std::int64_t rows() const { return rows_; }
  void set_rows(std::int64_t rows) { rows_ = rows; }
  bool plain() const { return plain_; }
  void set_plain(bool plain) { plain_ = plain && states_.size() == 1; }

 private:
  ewma::StreamRule rule_;
  StreamKernel kernel_;
  std::vector<ewma::StreamState> states_;  // one a column
  std::int64_t rows_ = 0;
  bool plain_ = true;  // one series, and no times
};

}  // namespace

void bind_stream(nb::module_& m) {
  nb::class_<Stream>(m, "Stream", "The recurrence with its state kept between calls.")
      .def(nb::init<double, bool, bool, bool, unsigned>(), nb::arg("beta"), nb::arg("debias"),
           nb::arg("ignore_na"), nb::arg("fill"), nb::arg("isa_limit") = unsigned{ewma::kAvx512})
      .def("update", &Stream::update, nb::arg("x").none(), nb::arg("times") = nb::none(),
           nb::sig("def update(self, x: typing.Any, times: typing.Any = None) -> typing.Any"),
           "Take in the next samples, and return what `ewma.smooth` would give for them at the\n"
           "end of the whole series.\n\n"
           "Parameters\n"
           "----------\n"
           "x : float, list, tuple, ndarray, Series or DataFrame\n"
           "    A sample, or a chunk of samples along the first axis.\n"
           "times : number, date or array of them, optional\n"
           "    When the samples were taken, with every call or with none.\n\n"
           "Returns\n"
           "-------\n"
           "float, list, tuple, ndarray, Series or DataFrame\n"
           "    What x is, smoothed.")
      .def("_run", &Stream::run, nb::arg("x"), nb::arg("out"), nb::arg("times") = nb::none(),
           nb::arg("log_beta") = 0.0, nb::arg("unit") = 1.0)
      .def("_join", &Stream::join, nb::arg("earlier"), nb::arg("powers"))
      .def("_set_columns", &Stream::set_columns, nb::arg("columns"))
      .def_prop_ro("_means", &Stream::means, nb::sig("def _means(self) -> list[float]"))
      .def_prop_rw("_states", &Stream::states, &Stream::set_states)
      .def_prop_rw("_rows", &Stream::rows, &Stream::set_rows)
      .def_prop_rw("_plain", &Stream::plain, &Stream::set_plain);
}
