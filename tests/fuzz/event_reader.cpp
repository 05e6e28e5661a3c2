// Feeds arbitrary bytes to the reader of event files and checks what must hold of any bytes.
//
// The first bytes of an input choose how the rest is read: whether its checksums are put right
// first, so that damage reaches the protobuf decoder; where it is cut into chunks; which tags are
// wanted. With libFuzzer this is a target; with EWMA_FUZZ_STANDALONE a program of its own.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../../ewma/_native/events.hpp"

namespace {

using namespace ewma;

#define EXPECT(condition)                                             \
  do {                                                                \
    if (!(condition)) {                                               \
      std::fprintf(stderr, "%d: not so: %s\n", __LINE__, #condition); \
      std::abort();                                                   \
    }                                                                 \
  } while (false)

using Row =
    std::tuple<std::string, std::int64_t, std::uint64_t, std::uint64_t>;  // bits: NaN == NaN

struct Result {
  std::vector<Row> rows;
  std::vector<std::tuple<std::uint64_t, bool, std::int64_t>> sessions;
  std::uint64_t offset;
  std::uint64_t needed;
  bool stopped;
  std::uint64_t bad[3];
  std::uint64_t bad_offset[3];

  bool same_place(const Result& other) const {
    return offset == other.offset && needed == other.needed && stopped == other.stopped;
  }
  bool same_damage(const Result& other) const {
    for (std::size_t i = 0; i < 3; ++i) {
      if (bad[i] != other.bad[i] || (bad[i] > 0 && bad_offset[i] != other.bad_offset[i])) {
        return false;
      }
    }
    return true;
  }
  bool operator==(const Result& other) const {
    return rows == other.rows && sessions == other.sessions && same_place(other) &&
           same_damage(other);
  }
};

// How the chunks are cut: the sizes come round and round; a size of 0 is the whole rest.
using Sizes = std::vector<std::size_t>;

// Feeds `data` from the byte `at` on.
void feed(EventReader& reader, const std::vector<std::uint8_t>& data, std::size_t at,
          const Sizes& sizes, bool skip) {
  for (std::size_t i = 0; at < data.size() && !reader.stopped(); ++i) {
    const std::size_t left = data.size() - at;
    const std::uint64_t skippable = reader.skippable();
    EXPECT(skippable <= reader.needed());
    if (skip && skippable > 0 && skippable <= left) {
      reader.skip(skippable);
      at += static_cast<std::size_t>(skippable);
      continue;
    }
    const std::size_t size = sizes[i % sizes.size()];
    const std::size_t take = size == 0 || size > left ? left : size;
    // Memory of its own, so that a read beyond the chunk is found.
    const std::vector<std::uint8_t> chunk(data.begin() + at, data.begin() + at + take);
    reader.feed(chunk.data(), chunk.size());
    at += take;
  }
}

Result result_of(EventReader& reader) {
  Result result{};
  for (const Session& session : reader.sessions().all()) {
    result.sessions.emplace_back(session.row, session.has_step, session.step);
  }
  const std::size_t size = reader.columns().size();
  reader.columns().hand_over([&](auto tag, auto step, auto wall_time, auto value) {
    for (std::size_t i = 0; i < size; ++i) {
      EXPECT(tag[i] >= 0 && static_cast<std::size_t>(tag[i]) < reader.tags().with_points().size());
      result.rows.emplace_back(reader.tags().with_points()[tag[i]]->name, step[i],
                               bit_cast<std::uint64_t>(wall_time[i]),
                               bit_cast<std::uint64_t>(value[i]));
    }
  });
  result.offset = reader.offset();
  result.needed = reader.needed();
  result.stopped = reader.stopped();
  for (std::size_t i = 0; i < 3; ++i) {
    result.bad[i] = reader.damage(static_cast<Damage>(i)).records;
    result.bad_offset[i] = reader.damage(static_cast<Damage>(i)).first_offset;
  }
  return result;
}

Result read(const std::vector<std::uint8_t>& data, Verify verify, const Tags::Filter& wanted,
            const Sizes& sizes, bool skip) {
  EventReader reader(verify, wanted, data.size());
  feed(reader, data, 0, sizes, skip);
  return result_of(reader);
}

// Reads what `first` holds, goes back to where the damage at its end begins, and reads `data`.
Result read_again(const std::vector<std::uint8_t>& first, const std::vector<std::uint8_t>& data,
                  Verify verify, const Sizes& sizes, std::uint64_t unchanged) {
  EventReader reader(verify, {}, data.size());
  feed(reader, first, 0, sizes, false);
  EXPECT(reader.settled() <= reader.offset());
  // What is different before that place was settled as it was.
  if (reader.settled() > unchanged) return read(data, verify, {}, sizes, false);
  reader.retry();
  EXPECT(reader.offset() == reader.settled() && reader.needed() == 0 && !reader.stopped());
  feed(reader, data, static_cast<std::size_t>(reader.settled()), sizes, false);
  return result_of(reader);
}

void store(std::uint8_t* to, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::uint8_t>(value >> 8 * i);
}

// Makes every checksum right, as far as the lengths lead. A length that leads out of the data is
// cut short if `lengths` says so.
void put_right(std::vector<std::uint8_t>& data, bool lengths) {
  for (std::size_t at = 0; data.size() - at >= 16;) {
    std::uint8_t* const p = data.data() + at;
    const std::size_t room = data.size() - at - 16;
    std::uint64_t length = load_le<std::uint64_t>(p);
    if (length > room && lengths) {
      length %= room + 1;
      store(p, static_cast<std::uint32_t>(length));
      store(p + 4, static_cast<std::uint32_t>(length >> 32));
    }
    store(p + 8, masked(crc32c(p, 8)));
    if (length > room) return;
    const auto size = static_cast<std::size_t>(length);
    store(p + 12 + size, masked(crc32c(p + 12, size)));
    at += 16 + size;
  }
}

bool is_subset_of_tags(const Result& part, const Result& all, const Tags::Filter& wanted) {
  std::vector<Row> expected;
  for (const Row& row : all.rows) {
    if (wanted(std::get<0>(row))) expected.push_back(row);
  }
  return part.rows == expected;
}

void check(const std::uint8_t* p, std::size_t n) {
  if (n < 4) return;
  const std::uint8_t how = p[0];
  const std::uint8_t chosen = p[1];
  const Sizes sizes{1u + p[2], static_cast<std::size_t>(p[3]) << (p[2] & 7)};
  std::vector<std::uint8_t> data(p + 4, p + n);
  const bool undamaged = (how & 1) != 0;
  if (undamaged) put_right(data, (how & 2) != 0);
  // A long record comes of a short input: one of its bytes is repeated.
  if ((how & 4) != 0 && data.size() > 40) {
    data.insert(data.begin() + 40, (std::size_t{1} << 14) + 64, data[39]);
    if (undamaged) put_right(data, true);
  }

  const auto every = [](std::string_view) { return true; };
  const auto some = [chosen](std::string_view name) {
    return !name.empty() && ((static_cast<std::uint8_t>(name[0]) ^ chosen) & 3) == 0;
  };
  const Sizes whole{0};
  // As network file systems show it at first.
  std::vector<std::uint8_t> hole = data;
  const std::size_t hole_begins = data.size() * chosen / 256;
  std::fill_n(hole.begin() + static_cast<std::ptrdiff_t>(hole_begins),
              std::min<std::size_t>(p[2], data.size() - hole_begins), std::uint8_t{0});
  Result results[3];
  for (const Verify verify : {Verify::kAll, Verify::kScalars, Verify::kNone}) {
    Result& result = results[static_cast<int>(verify)];
    result = read(data, verify, {}, whole, false);
    EXPECT(result == read(data, verify, every, sizes, false));
    // Where a skip leads beyond what is there, nothing is skipped.
    EXPECT(result == read(data, verify, {}, sizes, true));
    EXPECT(result == read_again(data, data, verify, sizes, data.size()));
    EXPECT(result == read_again(hole, data, verify, sizes, hole_begins));
    const Result part = read(data, verify, some, whole, false);
    EXPECT(part == read(data, verify, some, sizes, true));
    EXPECT(part.same_place(result));
    if (verify == Verify::kAll) {
      EXPECT(part.same_damage(result));
    }
    if (verify == Verify::kAll || undamaged) {
      EXPECT(is_subset_of_tags(part, result, some));
    }
  }
  const Result& all = results[0];
  for (const Result& other : results) {
    EXPECT(all.same_place(other));
    if (undamaged) {
      EXPECT(all == other);
    }
  }
  if (undamaged) {
    EXPECT(all.bad[static_cast<int>(Damage::kData)] == 0);
  }
  const std::size_t middle = data.size() / 2;
  EXPECT(crc32c(data.data(), data.size()) == crc32c_portable(data.data(), data.size()));
  EXPECT(crc32c(data.data(), data.size()) ==
         crc32c(data.data() + middle, data.size() - middle, crc32c(data.data(), middle)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check(data, size);
  return 0;
}

#ifdef EWMA_FUZZ_STANDALONE

#include <chrono>
#include <fstream>
#include <iterator>
#include <random>

namespace {

using Input = std::vector<std::uint8_t>;

// A simple stand-in for libFuzzer, blind to what the program does with an input.
Input mutated(const std::vector<Input>& corpus, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) {
    return n == 0 ? 0 : static_cast<std::size_t>(random() % n);
  };
  Input input = corpus[below(corpus.size())];
  for (std::size_t times = 1 + below(8); times > 0; --times) {
    const std::size_t at = below(input.size());
    const std::size_t size = std::min(below(16), input.size() - at);
    switch (below(5)) {
      case 0:
        if (!input.empty()) input[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        if (!input.empty()) input[at] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        input.erase(input.begin() + at, input.begin() + at + size);
        break;
      case 3: {
        const Input copy(input.begin() + at, input.begin() + at + size);
        const std::size_t to = below(input.size() + 1);
        input.insert(input.begin() + to, copy.begin(), copy.end());
        break;
      }
      default: {
        const Input& other = corpus[below(corpus.size())];
        const std::size_t from = below(other.size());
        const std::size_t to = std::min(other.size(), from + below(64));
        input.insert(input.begin() + at, other.begin() + from, other.begin() + to);
      }
    }
  }
  return input;
}

}  // namespace

// SECONDS SEED LAST FILE...: runs the files, then mutations of them. LAST is written before each
// run, and so holds the input that ended the program.
int main(int argc, char** argv) {
  if (argc < 5) return 2;
  std::vector<Input> corpus;
  for (int i = 4; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    check(corpus.back().data(), corpus.back().size());
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[1]));
  std::mt19937_64 random(std::strtoull(argv[2], nullptr, 10));
  unsigned long long runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    const Input input = mutated(corpus, random);
    std::ofstream(argv[3], std::ios::binary)
        .write(reinterpret_cast<const char*>(input.data()),
               static_cast<std::streamsize>(input.size()));
    check(input.data(), input.size());
  }
  std::printf("%llu runs without a finding\n", runs);
  return 0;
}

#endif
