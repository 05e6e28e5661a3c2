// EventReader and crc32c as Python sees them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer.hpp"
#include "crc32c.hpp"
#include "events.hpp"
#include "gil.hpp"

namespace nb = nanobind;

namespace {

template <class T>
using Array = nb::ndarray<nb::numpy, T, nb::ndim<1>>;

template <class T>
Array<T> to_numpy(ewma::Column<T> column, std::size_t size) {
  T* const raw = column.get();
  const nb::capsule owner(raw, [](void* p) noexcept { ewma::Free()(p); });
  static_cast<void>(column.release());
  return Array<T>(raw, {size}, owner);
}

ewma::Verify verify_from(std::string_view name) {
  if (name == "all") return ewma::Verify::kAll;
  if (name == "scalars") return ewma::Verify::kScalars;
  if (name == "none") return ewma::Verify::kNone;
  throw nb::value_error("verify must be 'all', 'scalars' or 'none'");
}

void construct(ewma::EventReader* reader, std::string_view verify, nb::object wanted,
               std::uint64_t expected) {
  ewma::Tags::Filter filter;
  if (!wanted.is_none()) {
    filter = [wanted](std::string_view name) {
      const ewma::WithGil acquire;
      return nb::cast<bool>(wanted(nb::bytes(name.data(), name.size())));
    };
  }
  new (reader) ewma::EventReader(verify_from(verify), std::move(filter), expected);
}

void feed(ewma::EventReader& reader, nb::handle chunk) {
  const ewma::Buffer buffer(chunk, PyBUF_SIMPLE);
  const ewma::WithoutGil release;
  reader.feed(static_cast<const std::uint8_t*>(buffer->buf), static_cast<std::size_t>(buffer->len));
}

nb::tuple take(ewma::EventReader& reader) {
  const std::size_t size = reader.columns().size();
  return reader.columns().hand_over(
      [size](auto... columns) { return nb::make_tuple(to_numpy(std::move(columns), size)...); });
}

nb::list names(const std::vector<const ewma::Tag*>& tags) {
  nb::list names;
  for (const ewma::Tag* tag : tags) {
    names.append(nb::bytes(tag->name.data(), tag->name.size()));
  }
  return names;
}

nb::list tags(const ewma::EventReader& reader) { return names(reader.tags().with_points()); }
nb::list left_out(const ewma::EventReader& reader) { return names(reader.tags().left_out()); }

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
      .def("__init__", &construct, nb::arg("verify") = "scalars", nb::arg("wanted") = nb::none(),
           nb::arg("expected") = 0,
           nb::sig("def __init__(self, verify: str = 'scalars', "
                   "wanted: collections.abc.Callable[[bytes], bool] | None = None, "
                   "expected: int = 0) -> None"),
           "verify says of which records to compare the data's checksum: 'all', those with "
           "'scalars' that are wanted, 'none'. wanted is asked once a tag. expected is "
           "the size of the file, if known.")
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
      .def_prop_ro("left_out", &left_out, nb::sig("def left_out(self) -> list[bytes]"),
                   "The tags that have points but are not wanted.")
      .def("skip", &ewma::EventReader::skip, nb::arg("count"),
           "Take so many bytes for fed that were not, at most ``skippable``.")
      .def_prop_ro("skippable", &ewma::EventReader::skippable,
                   "How many of the bytes that come next make no difference.")
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
      .def_prop_ro("settled", &ewma::EventReader::settled,
                   "Where the damage at the end of what was read begins, or else ``offset``.")
      .def("retry", &ewma::EventReader::retry,
           "Go back to ``settled``: the bytes from there on are to be fed anew.")
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
