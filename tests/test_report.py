"""One function a format: what is written comes back as it was."""

import csv
import io
import json
import math
import re
import struct
from typing import ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pytest
from command import Stream
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ewma._table import WRITERS
from ewma.report import HEADER, Smoothed, series_list
from ewma.tensorboard._columns import ScalarColumns

FLOATS = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, 1e16, 123456789.123456789, -1e-7]
NOT_FINITE = [math.nan, math.inf, -math.inf]
FORMULAS = ["=cmd|'/c calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n", "\x00", " =1", "＝1"]
HARMLESS = [
    "loss", "", " ", "a,b", 'a"b', '"', "a\nb", "a\r\nb", "a\rb", "'", "'=x", "a=b", "größe",
    "损失", "\x1b[31mred", "\u202eevil", "NA", "nan", "[b]x[/b]", r"\xff", "a;b|c",
]  # fmt: skip


odd_text = st.text(st.sampled_from("=+-@＝;,\t\r\n\"'\0 ax"), max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"])
)


def looks_like_a_formula(cell):
    return cell.strip(' "\0\x0b\x0c').startswith(tuple("=+-@＝＋－＠"))


def smoothed(values, tags=("loss",), runs=("a",), steps=None):
    """Return the values under each tag of each run, the smoothed ones their halves."""
    count = len(runs) * len(tags)
    each = np.array(values, float)
    n = len(each)
    columns = ScalarColumns(
        run_names=list(runs),
        tag_names=list(tags),
        run=np.repeat(np.arange(len(runs), dtype=np.int16), len(tags) * n),
        tag=np.tile(np.repeat(np.arange(len(tags), dtype=np.int16), n), len(runs)),
        step=np.tile(np.arange(n) if steps is None else np.array(steps, np.int64), count),
        wall_time=np.tile(1.7e9 + np.arange(n) / 3, count),
        value=np.tile(each, count),
    )
    return Smoothed(columns, columns.value / 2, {"beta": 0.9})


def written(scalars, kind):
    file = io.BytesIO()
    if kind in WRITERS:
        WRITERS[kind](scalars.table(), file)
    else:
        scalars.draw(file, kind=kind[1:])
    return file.getvalue()


def expected_rows(scalars, number=float):
    c = scalars.columns
    return [
        (c.run_names[run], c.tag_names[tag], step, number(wall), number(value), number(smooth))
        for run, tag, step, wall, value, smooth in zip(
            *(c.run, c.tag, c.step.tolist()),
            *(column.tolist() for column in (c.wall_time, c.value, scalars.smoothed)),
            strict=True,
        )
    ]


def csv_rows(data):
    header, *rows = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    assert tuple(header) == HEADER
    return rows


class TestCSV:
    def test_text(self):
        assert written(smoothed([1, 0.1]), ".csv") == (
            b"run,tag,step,wall_time,value,smoothed\n"
            b"a,loss,0,1700000000.0,1.0,0.5\n"
            b"a,loss,1,1700000000.3333333,0.1,0.05\n"
        )

    def test_exact_numbers(self):
        scalars = smoothed(FLOATS + NOT_FINITE, steps=[*range(9), -(2**63), 2**63 - 1])
        rows = [
            (run, tag, int(step), *map(repr, map(float, floats)))
            for run, tag, step, *floats in csv_rows(written(scalars, ".csv"))
        ]
        assert rows == expected_rows(scalars, repr)

    # Before 3.1 pandas reads the last digits right only when told to, since then it says so.
    @pytest.mark.filterwarnings("ignore:The 'float_precision' argument is deprecated")
    def test_exact_numbers_in_pandas(self):
        scalars = smoothed(FLOATS + NOT_FINITE)
        frame = pd.read_csv(
            io.BytesIO(written(scalars, ".csv")),
            keep_default_na=False, na_values={"value": "nan"}, float_precision="round_trip",
        )  # fmt: skip
        assert list(map(repr, frame["value"].tolist())) == list(map(repr, FLOATS + NOT_FINITE))
        assert frame["wall_time"].tolist() == scalars.columns.wall_time.tolist()
        assert frame["step"].dtype == np.int64

    def test_names(self):
        names = sorted(HARMLESS)
        rows = csv_rows(written(smoothed([1], names, names), ".csv"))
        assert [(run, tag) for run, tag, *_ in rows] == [(r, t) for r in names for t in names]

    def test_names_in_pandas(self):
        names = sorted(HARMLESS)
        data = written(smoothed([1], names), ".csv")
        frame = pd.read_csv(io.BytesIO(data), keep_default_na=False)
        assert frame["tag"].tolist() == names

    @pytest.mark.parametrize("name", FORMULAS)
    def test_formulas_become_text(self, name):
        (row,) = csv_rows(written(smoothed([1], [name], [name]), ".csv"))
        assert row[:2] == ["'" + name, "'" + name]

    @pytest.mark.parametrize(
        ("name", "cell"),
        [("x;=1", "x;'=1"), ("x\n=1", "x\n'=1"), ('x;"" -1;', 'x;\'"" -1;'), ("x=1;y", "x=1;y")],
    )
    def test_formulas_where_semicolons_separate(self, name, cell):
        (row,) = csv_rows(written(smoothed([1], [name]), ".csv"))
        assert row[1] == cell

    @given(st.lists(odd_text, min_size=1, unique=True))
    def test_any_name(self, names):
        data = written(smoothed([1], names), ".csv")
        for (_, tag, *_), name in zip(csv_rows(data), names, strict=True):
            assert tag.replace("'", "") == name.replace("'", "")
            assert not looks_like_a_formula(tag)
        for cell in re.split(r"[;\t\r\n]", data.decode()):
            assert not looks_like_a_formula(cell)

    def test_more_rows_than_a_chunk(self):
        scalars = smoothed(np.arange(20_001))
        rows = csv_rows(written(scalars, ".csv"))
        assert [float(row[4]) for row in rows] == list(range(20_001))


def reject(constant):
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("kind", [".json", ".jsonl"])
class TestJSON:
    def rows(self, scalars, kind):
        text = written(scalars, kind).decode()
        if kind == ".json":
            return json.loads(text, parse_constant=reject)
        assert text.endswith("}\n")
        return [json.loads(line, parse_constant=reject) for line in text[:-1].split("\n")]

    @pytest.mark.parametrize("values", [FLOATS, [1.0], np.arange(20_001)])
    def test_exact(self, kind, values):
        scalars = smoothed(values, ["a", "b%s"] if len(values) < 10 else ["a"])
        rows = self.rows(scalars, kind)
        assert {tuple(row) for row in rows} == {HEADER}
        assert list(map(repr, rows)) == [
            repr(dict(zip(HEADER, row, strict=True))) for row in expected_rows(scalars)
        ]

    def test_not_finite(self, kind):
        rows = self.rows(smoothed(NOT_FINITE), kind)
        assert [row["value"] for row in rows] == ["NaN", "Infinity", "-Infinity"]
        assert [row["smoothed"] for row in rows] == ["NaN", "Infinity", "-Infinity"]
        assert [float(row["value"]) for row in rows][1:] == [math.inf, -math.inf]

    def test_names(self, kind):
        names = sorted(HARMLESS + FORMULAS)  # nobody runs formulas from JSON: they stay as they are
        rows = self.rows(smoothed([1], names, names), kind)
        assert [(row["run"], row["tag"]) for row in rows] == [(r, t) for r in names for t in names]


class TestArrow:
    TYPES: ClassVar = {
        "run": "category",
        "tag": "category",
        "step": "int64",
        "wall_time": "float64",
        "value": "float64",
        "smoothed": "float64",
    }

    @pytest.mark.parametrize("kind", [".parquet", ".arrow"])
    def test_frame(self, kind):
        pytest.importorskip("pyarrow")
        names = sorted(HARMLESS + FORMULAS)
        scalars = smoothed(FLOATS + NOT_FINITE, names, ["a", "b"])
        file = io.BytesIO(written(scalars, kind))
        frame = pd.read_parquet(file) if kind == ".parquet" else pd.read_feather(file)
        whole = scalars.columns.to_pandas().assign(smoothed=scalars.smoothed)
        pd.testing.assert_frame_equal(frame, whole, check_exact=True)
        assert frame.dtypes.astype(str).to_dict() == self.TYPES

    @pytest.mark.parametrize("kind", [".parquet", ".arrow"])
    def test_polars(self, kind):
        pytest.importorskip("pyarrow")
        scalars = smoothed([*FLOATS, math.inf], ["loss", "", "é"], ["a", "b"])
        file = io.BytesIO(written(scalars, kind))
        frame = pl.read_parquet(file) if kind == ".parquet" else pl.read_ipc(file)
        types = [pl.Categorical, pl.Categorical, pl.Int64, pl.Float64, pl.Float64, pl.Float64]
        assert (tuple(frame.columns), frame.dtypes) == (HEADER, types)
        assert frame.rows() == expected_rows(scalars)


class TestPicture:
    @pytest.mark.parametrize(
        ("kind", "begins", "ends"),
        [
            (".png", b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
            (".svg", b"<?xml", b"</svg>"),
            (".pdf", b"%PDF-", b"%%EOF"),
        ],
    )
    def test_whole_file_of_its_kind(self, kind, begins, ends):
        names = [name for name in HARMLESS + FORMULAS if name.isprintable()]
        data = written(smoothed([1, math.nan, 3], names[:4], names[4:7]), kind)
        assert data.startswith(begins)
        assert data.rstrip().endswith(ends)

    def test_size(self):
        data = written(smoothed([1, 2, 3]), ".png")
        width, height = struct.unpack(">II", data[16:24])
        assert 600 <= width <= 3000
        assert 300 <= height <= 3000

    def test_every_control_character_in_a_name(self):
        names = ["".join(map(chr, [*range(32), 127, 0x85, 0x202E])), "$x^", "a\nb"]
        assert written(smoothed([1, 2], names, names), ".svg").count(b"</svg>") == 1


class TestSummary:
    def test_lines(self):
        # layer_2 before layer_10, though they are sorted as text
        names = ["layer_10", "layer_2"]
        assert smoothed([4, 2, 6], names, ["r"], [5, 9, 7]).summary_lines() == (
            "r layer_2: 3 points, steps 5 to 7, last 6, smoothed 3, lowest smoothed 1 at step 9\n"
            "r layer_10: 3 points, steps 5 to 7, last 6, smoothed 3, lowest smoothed 1 at step 9\n"
        )

    def test_one_point(self):
        assert smoothed([1 / 3]).summary_lines() == (
            "a loss: 1 point, steps 0 to 0, last 0.33333, smoothed 0.16667, "
            "lowest smoothed 0.16667 at step 0\n"
        )

    def test_lowest_is_finite(self):
        text = smoothed([math.nan, -math.inf, 8, 4, math.inf]).summary_lines()
        assert "last inf, smoothed inf, lowest smoothed 2 at step 3" in text

    def test_lowest_of_nothing_finite(self):
        assert "lowest smoothed - at step -" in smoothed(NOT_FINITE).summary_lines()

    def test_table_has_what_the_lines_have(self):
        scalars = smoothed([4, 2, 6], ["loss"], ["r"], [5, 9, 7])
        text = rendered(scalars, 100)
        (row,) = [line for line in text.splitlines() if "loss" in line]
        assert row.split() == ["r", "loss", "3", "5..7", "6", "3", "1", "9"]

    def test_narrow_table_is_without_the_lowest(self):
        scalars = smoothed([4, 2, 6], ["loss"], ["r"], [5, 9, 7])
        text = rendered(scalars, 80, is_narrow=True)
        (row,) = [line for line in text.splitlines() if "r " in line and "loss" in line]
        assert row.split() == ["r", "loss", "3", "5..7", "6", "3"]
        assert "lowest" not in text

    @pytest.mark.parametrize("width", [82, 100, 300])
    def test_table_escapes_and_stays_within_the_width(self, width):
        names = [*HARMLESS, *FORMULAS, "x" * 400, "损" * 200]
        text = rendered(smoothed([1], names, names[:2]), width)
        assert text.replace("\n", "").isprintable()
        assert max(map(cell_len, text.splitlines())) <= width
        for shown in (r"a\nb", r"\x1b[31mred", r"\u202eevil", "[b]x[/b]", r"\x00"):
            assert shown in text
        assert text.count("x" * 16) >= 2

    def test_list(self):
        scalars = smoothed([1, 2], ["a\tb\nc", "=x"], ["r"])
        assert series_list(scalars.columns) == ("run\ttag\tpoints\nr\ta\\tb\\nc\t2\nr\t=x\t2\n")

    def test_versions_told_apart(self):
        one, steps = np.zeros(3, np.int8), np.array([0, 1, 1])
        times, segment = np.zeros(3), np.array([0, 0, 1], np.int32)
        columns = ScalarColumns(["r"], ["t"], one, one, steps, times, times, segment)
        assert series_list(columns) == "run\ttag\tsegment\tpoints\nr\tt\t0\t2\nr\tt\t1\t1\n"


def rendered(scalars, width, **options):
    stream = Stream()
    Console(file=stream, width=width).print(scalars.summary_table(**options))
    return stream.text()


@pytest.mark.parametrize("kind", [".csv", ".json", ".jsonl"])
def test_written_in_chunks(kind):
    """A file of any size is turned into text a piece at a time."""
    sizes = []

    class File:
        def write(self, data):
            sizes.append(len(data))

    WRITERS[kind](smoothed(np.arange(100_000)).table(), File())
    assert max(sizes) < sum(sizes) / 5
