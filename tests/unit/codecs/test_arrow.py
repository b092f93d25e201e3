from __future__ import annotations

import base64
import json
import random
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import ipc

from djq.codecs.arrow import MAX_RATIO, decode, encode
from djq.errors import CodecError

GOLDEN = Path(__file__).with_name("arrow.json")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TABLES: dict[str, pa.Table | pa.RecordBatch] = {
    "numbers": pa.table({"n": [1, 2, None], "x": [0.5, float("nan"), None]}),
    "no rows": pa.table({"n": pa.array([], pa.int8())}),
    "no columns": pa.table({}),
    "two batches": pa.concat_tables([pa.table({"n": [1]}), pa.table({"n": [2, 3]})]),
    "metadata": pa.table({"n": [1]}).replace_schema_metadata({"unit": "mV"}),
    "nested": pa.table({"l": [[1], None, []], "s": [{"a": [{"b": 1}]}, None, {"a": None}]}),
    "dictionary": pa.table({"d": pa.array(["a", "b", "a", None]).dictionary_encode()}),
    "types": pa.table(
        {
            "decimal": [Decimal("1.50")],
            "when": pa.array([NOW], pa.timestamp("us", "Europe/Berlin")),
            "bytes": [b"\0\xff"],
            "view": pa.array(["x" * 20], pa.string_view()),
            "nothing": pa.array([None]),
            "runs": pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), [7]),
        }
    ),
    "batch": pa.record_batch({"n": [1, 2], "t": ["a", None]}),
    "empty batch": pa.record_batch({"n": pa.array([], pa.int8())}),
}
PANDAS = {
    "plain": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1.5, np.nan]}),
    "named index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="k")),
    "range": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="k")),
    "several levels": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["i", None])
    ),
    "columns of levels": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples(["ab", "cd"])),
    "numbered columns": pd.DataFrame([[1, 2]]),
    "nullable": pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": pd.array([True, None])}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", "y"], ["y", "x"], ordered=True)}),
    "zones": pd.DataFrame({"t": pd.to_datetime([NOW, None])}),
    "arrays": pd.DataFrame({"a": [np.array([1, 2]), None]}),
    "no rows": pd.DataFrame({"a": pd.array([], "float32")}),
    "empty": pd.DataFrame(),
}
POLARS = {
    "plain": pl.DataFrame({"a": [1, None], "b": ["x", None], "c": [b"x", b""]}),
    "types": pl.DataFrame(
        {
            "category": pl.Series(["x", "y"], dtype=pl.Categorical),
            "enum": pl.Series(["x", None], dtype=pl.Enum(["y", "x"])),
            "list": [[1], []],
            "struct": [{"a": 1}, None],
            "array": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
            "duration": [timedelta(1), None],
            "decimal": [Decimal("1.50"), None],
            "zone": pl.Series([NOW, None], dtype=pl.Datetime("us", "Europe/Berlin")),
            "nothing": [None, None],
        }
    ),
    "no rows": pl.DataFrame(schema={"a": pl.Int16}),
    "empty": pl.DataFrame(),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_comes_back_with_its_types_batches_and_metadata(name: str):
    table = TABLES[name]
    back = decode(encode(table))
    assert type(back) is type(table)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert str(back.to_pylist()) == str(table.to_pylist())
    if isinstance(table, pa.Table) and table.num_rows:
        assert [len(b) for b in back.to_batches()] == [len(b) for b in table.to_batches()]


@pytest.mark.parametrize("name", PANDAS)
def test_a_frame_of_pandas_comes_back_with_its_index(name: str):
    pd.testing.assert_frame_equal(decode(encode(PANDAS[name])), PANDAS[name], check_freq=False)


def objects(*values: object) -> pd.Series:
    # One by one: NumPy would take several arrays for one.
    found = np.empty(len(values), object)
    for position, value in enumerate(values):
        found[position] = value
    return pd.Series(found, dtype=object)


EXACT = {
    "ints": objects(2**60 + 1, None),
    "bools": objects(True, None),
    "texts": objects("a", float("nan")),
    "floats": objects(1.5, float("nan")),
    "bytes": objects(b"a", None),
    "dates": objects(NOW.date(), None),
    "decimals": objects(Decimal("1.50"), None),
    "nothing": objects(None, None),
    "arrays": objects(np.array([1, 2]), np.array([3]), None),
    "alike dicts": objects({"x": 1, "y": "a"}, {"x": None, "y": None}),
    "scalars": objects(np.int64(2**60 + 1), np.int64(1)),
}


@pytest.mark.parametrize("name", EXACT)
def test_python_objects_come_back_as_they_are(name: str):
    values = EXACT[name].tolist()
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    assert repr(decode(encode(pd.DataFrame({"a": EXACT[name]})))["a"].tolist()) == repr(plain)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
@pytest.mark.parametrize("value", ["a", 1.5, 2**60 + 1, True, Decimal("1.5"), NOW.date()])
def test_what_is_missing_stays_missing(value: object, missing: object):
    found = decode(encode(pd.DataFrame({"a": objects(value, missing)})))["a"]
    assert found.isna().tolist() == [False, True]
    assert found.tolist()[0] == value


LOSSY = {
    "dicts": (objects({"x": 1}, {"y": None}), r"row 0, \{'x': 1\} .* \{'x': 1, 'y': None\}"),
    "dicts of lists": (objects({"x": [1]}), r"row 0, .* \{'x': array\(\[1\]\)\}"),
    "lists": (objects([1, 2]), r"row 0, \[1, 2\] \(list\) .* array\(\[1, 2\]\) \(ndarray\)"),
    "tuples": (objects((1, 2)), r"row 0, \(1, 2\) \(tuple\)"),
    "sets": (objects({1}), r"row 0, \{1\} \(set\)"),
    "other arrays": (objects(np.arange(2), np.arange(2.0)), r"row 0, array\(\[0, 1\]\)"),
    "zones": (objects(NOW), r"row 0, datetime.* \(Timestamp\)"),
    "other zones": (
        objects(pd.Timestamp("2026-01-02", tz="Europe/Berlin"), pd.Timestamp("2026", tz="UTC")),
        r"row 1, .*UTC.* 01:00:00",
    ),
    "durations": (objects(timedelta(1)), r"row 0, .* \(timedelta\) .* \(Timedelta\)"),
    "times with a zone": (objects(NOW.timetz()), r"row 0, datetime.time"),
    "decimals": (objects(Decimal("1.0"), Decimal("1.00")), r"row 0, Decimal\('1.0'\)"),
    "subclasses": (objects(type("Name", (str,), {})("a")), r"row 0, 'a' \(Name\) .* 'a' \(str\)"),
    "bytearrays": (objects(bytearray(b"a")), r"row 0, .* \(bytearray\)"),
}


@pytest.mark.parametrize("name", LOSSY)
def test_python_objects_that_would_come_back_as_others_are_refused(name: str):
    values, words = LOSSY[name]
    with pytest.raises(CodecError, match=f"column 'a' would not come back .*{words}.*Int64.*blob"):
        encode(pd.DataFrame({"b": range(len(values)), "a": values}))


# Of names that pyarrow makes texts of.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            pd.DataFrame(
                {"a": [1]}, pd.MultiIndex.from_tuples([(1, NOW.timetz())], names=["i", "k"])
            ),
            r"index level 'k' .* row 0, datetime.time",
        ),
        (pd.DataFrame({"a": pd.Categorical(objects(NOW))}), "categories of column 'a'"),
        (
            pd.DataFrame({"a": pd.Categorical(pd.DatetimeIndex([NOW]))}),
            r"categories of column 'a' .* row 0, Timestamp\(.*tz='UTC'",
        ),
        (pd.DataFrame([[1, 2]], columns=[1, "a"]), "column labels"),
        (pd.DataFrame({"a": [1]}, pd.Index(["x"], name=0)), "names of its index"),
        (pd.DataFrame({"a": pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int8())))}), "list<"),
    ],
    ids=["level", "categories", "zones", "labels", "names", "unreadable"],
)
def test_what_else_in_a_frame_of_pandas_would_change_is_refused(frame: pd.DataFrame, words: str):
    with pytest.raises(CodecError, match=words):
        encode(frame)


def test_the_attributes_of_a_frame_of_pandas_come_back():
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"unit": "mV"}
    assert decode(encode(frame)).attrs == {"unit": "mV"}


@pytest.mark.parametrize("name", POLARS)
def test_a_frame_of_polars_comes_back_with_its_types(name: str):
    back = decode(encode(POLARS[name]))
    assert type(back) is pl.DataFrame
    assert back.schema == POLARS[name].schema
    assert back.equals(POLARS[name])


def test_tables_of_older_versions_stay_readable():
    golden = {name: base64.b64decode(data) for name, data in json.loads(GOLDEN.read_text()).items()}
    assert decode(golden["arrow"]).equals(TABLES["nested"])
    assert decode(golden["batch"]).equals(TABLES["batch"])
    assert decode(golden["polars"]).equals(POLARS["types"])
    frame = PANDAS["several levels"]
    pd.testing.assert_frame_equal(decode(golden["pandas"]), frame)
    assert decode(golden["zeros"]).equals(ZEROS)


ZEROS = pa.table({"x": np.zeros(100_000)})


def test_what_shrinks_a_thousandfold_comes_back():
    for table in (ZEROS, pa.table({"nothing": pa.nulls(1_000_000)})):
        data = encode(table)
        assert len(data) >= table.num_rows * 8 / MAX_RATIO
        assert decode(data).equals(table)


def test_any_arrow_library_reads_what_is_written():
    assert ipc.open_stream(encode(ZEROS)).read_all().equals(ZEROS)
    assert pl.read_ipc_stream(encode(POLARS["plain"])).equals(POLARS["plain"])


def test_a_stream_of_another_writer_is_a_table():
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, ZEROS.schema) as stream:
        stream.write_table(ZEROS)
    assert decode(sink.getvalue()).equals(ZEROS)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1], r"builtins.list cannot be .* pandas.DataFrame"),
        (pd.Series([1]), r"pandas.Series cannot be .* \.to_frame"),
        (pl.Series([1]), r"polars.Series cannot be .* \.to_frame"),
        (pl.LazyFrame(), r"polars.LazyFrame cannot be .* \.collect"),
        (type("GeoFrame", (pd.DataFrame,), {})(), "GeoFrame cannot be"),
        (pd.DataFrame({"a": [1, "x"]}), "column a"),
        (pd.DataFrame({"a": [object()]}), "column a"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Duplicate column names"),
        (pd.DataFrame({"a": pd.array(["x"], pd.ArrowDtype(pa.string_view()))}), "column 'a'"),
        (pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}), "pli128"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_table_for_arrow_is_refused(value: object, words: str):
    with pytest.raises(CodecError, match=words):
        encode(value)


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Object(),
        # Other nested ones make polars panic when they are built, or end.
        pl.Array(pl.List(pl.Object()), 2),
        pl.Array(pl.Struct({"n": pl.Int8(), "x": pl.Object()}), 2),
    ],
    ids=str,
)
def test_columns_of_python_objects_are_refused_instead_of_stored_as_pointers(dtype: pl.DataType):
    values = [{"a": 1}] if dtype == pl.Object() else []
    frame = pl.DataFrame({"o": values}, schema={"o": dtype})
    with pytest.raises(CodecError, match=r"column 'o' of .*Object.* holds Python objects: .*blob"):
        encode(frame)


def test_attributes_that_would_be_lost_are_refused():
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"unit": object()}
    with pytest.raises(CodecError, match="JSON"):
        encode(frame)


def stream(table: Any, *, kind: str | None = None, compression: str | None = None) -> bytes:
    metadata = {} if kind is None else {"djq.kind": kind}
    sink = pa.BufferOutputStream()
    options = ipc.IpcWriteOptions(compression=compression)
    with ipc.new_stream(sink, table.schema.with_metadata(metadata), options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


RUNS = pa.RunEndEncodedArray.from_arrays(pa.array([2**31 - 1]), [7])
LONG_LISTS = pa.ListViewArray.from_arrays([0] * 10_000, [10_000] * 10_000, pa.nulls(10_000))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (encode(PANDAS["columns of levels"]).replace(b"'b')", b"'b' "), "was never closed"),
        (b"", "cannot be read"),
        (b"djq\1", "cannot be read"),
        (encode(ZEROS)[:-1], "memory|cut off"),
        (encode(ZEROS) + b"x", "goes on"),
        (encode(TABLES["numbers"])[:-8], "cut off"),
        (encode(TABLES["numbers"])[:-9], "cannot be read"),
        (stream(ZEROS, compression="zstd"), "claims"),
        (stream(pa.table({"x": RUNS}), kind="pandas.DataFrame"), "claims"),
        (stream(pa.table({"x": pa.nulls(2**31 - 1)}), kind="pandas.DataFrame"), "claims"),
        (stream(pa.table({"x": LONG_LISTS}), kind="pandas.DataFrame"), "without views"),
        (stream(TABLES["two batches"], kind="pyarrow.RecordBatch"), "cannot be read"),
        (stream(TABLES["numbers"], kind="os.system"), "cannot be read"),
        (stream(pa.table({"x": pa.array([1], pa.decimal256(60))}), kind="polars.DataFrame"), "Int"),
    ],
    ids=lambda value: repr(value)[-30:],
)
def test_hostile_streams_are_refused_in_little_time_and_memory(data: bytes, words: str):
    before = pa.total_allocated_bytes()
    started = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(CodecError, match=words):
        decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.perf_counter() - started < 5
    assert peak < 20_000_000
    assert pa.total_allocated_bytes() - before < 20_000_000


def test_damaged_streams_are_read_or_refused():
    chance = random.Random(13)
    streams = [encode(table) for table in [*TABLES.values(), *PANDAS.values(), *POLARS.values()]]
    streams += [stream(table) for table in TABLES.values() if isinstance(table, pa.Table)]
    n_refused = 0
    for _ in range(3000):
        data = bytearray(chance.choice(streams))
        for _ in range(chance.choice([1, 1, 2, 4])):
            place = chance.randrange(len(data))
            data[place] = chance.choice([0, 127, 255, data[place] ^ (1 << chance.randrange(8))])
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        try:
            decode(bytes(data))
        except CodecError:
            n_refused += 1
    assert 500 < n_refused < 3000
