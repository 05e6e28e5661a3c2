"""Write the fuzzer's first inputs: `python tests/fuzz/make_corpus.py`, from the clone's root.

They are the beginnings of the example runs, as real programs wrote them, and records that the
tests' own writer makes, whole and damaged. The four bytes before each say how it is read; see
event_reader.cpp.
"""

import struct
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

from event_writer import (  # noqa: E402
    curve,
    double,
    event,
    event_file,
    file_version,
    float32,
    float_tensor,
    header,
    integer,
    message,
    metadata,
    record,
    shape,
    simple,
    tensor,
    varint,
)

CLONE = HERE.parent.parent
KINDS = [(11, integer), (12, double), (13, float32)]


def inputs():
    """Yield a name and the bytes of each file."""
    for path in sorted(CLONE.glob("examples/runs/*/**/*tfevents*")):
        yield "-".join(path.relative_to(CLONE / "examples/runs").parts), path.read_bytes()[:1500]
    image = tensor("image", integer(1, 7), shape(3), message(8, bytes(300)), plugin="images")
    histogram = message(1, b"h") + message(5, double(1, 0) + message(6, bytes(80)))
    double_tensor = tensor("d", integer(1, 2), shape(1, 1), message(6, struct.pack("<d", 2)))
    values = {
        "simple": [simple("a", 1), simple("b", 2)],
        "float-tensor": [float_tensor("a", 1), float_tensor("b", 2)],
        "plugins": [float_tensor("a", 1, None), float_tensor("a", 2, "hparams")],
        "image": [image, simple("a", 1), message(1, b"i") + message(4, bytes(200)), image],
        "histogram": [histogram, simple("a", 1), histogram],
        "double-tensor": [double_tensor] * 3,
        "half-tensor": [tensor("a", integer(1, 19), integer(13, 0x3C00))] * 2,
        "integer-tensor": [tensor("a", integer(1, 9), message(10, varint(300)), shape())] * 2,
        "content": [tensor("a", integer(1, 1), message(4, struct.pack("<f", 7)))] * 3,
        "metadata-only": [message(1, b"a") + metadata("hparams"), float_tensor("a", 1, None)],
    }
    for name, some in values.items():
        yield name, event_file(*(event(step, value) for step in range(4) for value in some))
        yield f"{name}-together", event_file(*(event(step, *some) for step in (-1, 0, 300)))
    unknown = b"\xa3\x06" + integer(1, 5) + b"\xa4\x06" + message(100, b"xyz")
    yield "unknown-fields", record(unknown + event(1, unknown + simple("a", 1)))
    yield "nested-groups", record(b"\x0b" * 200 + b"\x0c" * 200)
    graph = message(4, b"\x0a\x02ab" * 40)
    starts = [event(1, simple("a", 1)), double(1, 1) + integer(2, 1) + message(7, integer(1, 1))]
    yield "graph-sessions", event_file(double(1, 1) + graph, *starts * 3, file_version(), *starts)
    good = event_file(*curve("loss", [1, 2, 3]))
    yield "cut-off", good[:-5]
    yield "wrong-length", good[:60] + b"\xff" + good[61:]
    yield "wrong-data", good[:-10] + b"\xff" + good[-9:]
    yield "endless", good + header(2**40) + bytes(20)
    yield "beyond-protobuf", good + header(2**31) + bytes(20)
    yield "no-event-file", b"\x89PNG\r\n\x1a\n" + bytes(50)


def main() -> None:
    """Write them all, each with checksums put right, left as they are, and as a long record."""
    corpus = HERE / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, (name, data) in enumerate(inputs()):
        for kind, how in {"as-it-is": 0, "put-right": 3, "long": 7}.items():
            head = bytes([how, number & 3, 7 * number & 255, number])
            (corpus / f"{name}.{kind}").write_bytes(head + data)


if __name__ == "__main__":
    main()
