// EventReader and crc32c as Python sees them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>

#include "buffer.hpp"
#include "crc32c.hpp"
#include "events.hpp"

namespace nb = nanobind;

namespace {

template <class T>
using Array = nb::ndarray<nb::numpy, T, nb::ndim<1>>;

template <class T>
Array<T> to_numpy(std::unique_ptr<T[]> data, std::size_t size) {
  T* const raw = data.get();
  const nb::capsule owner(raw, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  data.release();
  return Array<T>(raw, {size}, owner);
}

void feed(ewma::EventReader& reader, nb::handle chunk) {
  const ewma::Buffer buffer(chunk, PyBUF_SIMPLE);
  const nb::gil_scoped_release release;
  reader.feed(static_cast<const std::uint8_t*>(buffer->buf), static_cast<std::size_t>(buffer->len));
}

nb::tuple take(ewma::EventReader& reader) {
  const std::size_t size = reader.columns().size();
  std::unique_ptr<std::int32_t[]> tag(new std::int32_t[size]);
  std::unique_ptr<std::int64_t[]> step(new std::int64_t[size]);
  std::unique_ptr<double[]> wall_time(new double[size]);
  std::unique_ptr<double[]> value(new double[size]);
  reader.columns().move_to(tag.get(), step.get(), wall_time.get(), value.get());
  return nb::make_tuple(to_numpy(std::move(tag), size), to_numpy(std::move(step), size),
                        to_numpy(std::move(wall_time), size), to_numpy(std::move(value), size));
}

nb::list tags(const ewma::EventReader& reader) {
  nb::list names;
  for (const ewma::Tag* tag : reader.tags().with_points()) {
    names.append(nb::bytes(tag->name.data(), tag->name.size()));
  }
  return names;
}

nb::list sessions(const ewma::EventReader& reader) {
  nb::list all;
  for (const ewma::Session& session : reader.sessions().all()) {
    all.append(nb::make_tuple(session.row,
                              session.has_step ? nb::object(nb::int_(session.step)) : nb::none()));
  }
  return all;
}

template <ewma::Damage kind>
nb::tuple damage(const ewma::EventReader& reader) {
  const ewma::DamageCount& count = reader.damage(kind);
  return nb::make_tuple(count.records, count.first_offset);
}

std::uint32_t crc32c(nb::handle data, bool portable) {
  const ewma::Buffer buffer(data, PyBUF_SIMPLE);
  const auto* bytes = static_cast<const std::uint8_t*>(buffer->buf);
  const auto size = static_cast<std::size_t>(buffer->len);
  return portable ? ewma::crc32c_portable(bytes, size) : ewma::crc32c(bytes, size);
}

}  // namespace

void bind_events(nb::module_& m) {
  nb::class_<ewma::EventReader>(
      m, "EventReader",
      "Reads one event file that is pushed in, chunk by chunk. Not for two threads at once.")
      .def(nb::init<>())
      .def("feed", &feed, nb::arg("chunk"),
           nb::sig("def feed(self, chunk: bytes | bytearray | memoryview) -> None"),
           "Read every record that is complete with this chunk.")
      .def("take", &take,
           nb::sig("def take(self) -> tuple["
                   "numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int64], "
                   "numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]"),
           "Hand over the points read since the last call: tag (an index into ``tags``), step, "
           "wall time and value.")
      .def_prop_ro("tags", &tags, nb::sig("def tags(self) -> list[bytes]"),
                   "The tags that have points, in the order of their first one.")
      .def_prop_ro(
          "sessions", &sessions, nb::sig("def sessions(self) -> list[tuple[int, int | None]]"),
          "Where a training began again, or for the first time with a step: the row of the "
          "first point after it, counting all rows read, and the step that a SessionLog "
          "START says.")
      .def_prop_ro("offset", &ewma::EventReader::offset, "Where the record under way begins.")
      .def_prop_ro("needed", &ewma::EventReader::needed,
                   "Bytes of the record under way known to be missing; 0 between records.")
      .def_prop_ro("stopped", &ewma::EventReader::stopped,
                   "Whether a damaged length has ended the reading.")
      .def_prop_ro("bad_length", &damage<ewma::Damage::kLength>,
                   nb::sig("def bad_length(self) -> tuple[int, int]"),
                   "How many lengths had a wrong checksum, and the first one's offset.")
      .def_prop_ro("bad_data", &damage<ewma::Damage::kData>,
                   nb::sig("def bad_data(self) -> tuple[int, int]"),
                   "How many records' data had a wrong checksum, and the first one's offset.")
      .def_prop_ro("bad_event", &damage<ewma::Damage::kEvent>,
                   nb::sig("def bad_event(self) -> tuple[int, int]"),
                   "How many records were no Event, and the first one's offset.");
  m.def("crc32c", &crc32c, nb::arg("data"), nb::arg("portable") = false,
        nb::sig("def crc32c(data: bytes | bytearray | memoryview, portable: bool = False) -> int"),
        "CRC-32C of the data, by the processor's instruction or by the portable tables.");
}
