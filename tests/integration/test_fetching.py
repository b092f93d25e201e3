"""Rows in every shape, on every database: arrays, dicts, frames, Arrow, keys, previews."""

from __future__ import annotations

import datetime as dt
import inspect
import os
import sys
import uuid
from contextlib import contextmanager
from decimal import Decimal

import numpy as np
import pytest

import djq as dj
from djq.errors import ConfigError, QueryError
from djq.settings import load
from djq.tables.preview import cell
from tests.conftest import MYSQL_URL, chosen_databases
from tests.support import servers

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")

NAME = "t_fetching"
UUIDS = [uuid.UUID(int=i) for i in (1, 2, 3)]
TIMES = [dt.datetime.fromisoformat(f"2024-05-0{i} 12:30:00.25") for i in (1, 2, 3)]
SHOTS = [
    {
        "subject": 1,
        "shot": 1,
        "size": 7,
        "depth": -3,
        "gain": 1.1,
        "x": 0.5,
        "ok": True,
        "seen": True,
        "name": "Ada",
        "kind": "b",
        "amount": Decimal("1.50"),
        "day": dt.date(2024, 2, 29),
        "at": TIMES[0],
        "code": UUIDS[0],
        "note": {"a": [1, None]},
        "raw": b"\x00\xff",
        "trace": np.arange(3.0),
    },
    {
        "subject": 1,
        "shot": 2,
        "size": None,
        "depth": 4,
        "gain": None,
        "x": 1.5,
        "ok": False,
        "seen": None,
        "name": "Bob",
        "kind": None,
        "amount": None,
        "day": None,
        "at": None,
        "code": None,
        "note": None,
        "raw": None,
        "trace": None,
    },
    {
        "subject": 2,
        "shot": 1,
        "size": 2**31 - 1,
        "depth": 127,
        "gain": -2.5e-8,
        "x": 2.0,
        "ok": True,
        "seen": False,
        "name": "Zoë 🐁",
        "kind": "a",
        "amount": Decimal("-99999.99"),
        "day": dt.date(1969, 12, 31),
        "at": TIMES[2],
        "code": UUIDS[2],
        "note": "text",
        "raw": b"",
        "trace": np.arange(5.0),
    },
]
KEYS = [{"subject": r["subject"], "shot": r["shot"]} for r in SHOTS]


def declare(schema):
    @schema
    class Shot(dj.Manual):
        definition = """
        # one flash of light
        subject : int32
        shot : int16
        ---
        size = null : int32
        depth : int8
        gain = null : float32
        x : float64
        ok : bool
        seen = null : bool
        name : varchar(30)
        kind = null : enum('a', 'b', 'c')
        amount = null : decimal(7,2)
        day = null : date
        at = null : datetime(6)
        code = null : uuid
        note = null : json
        raw = null : bytes
        trace = null : <blob>
        """

    @schema
    class Copy(dj.Manual):
        definition = Shot.definition

    @schema
    class Image(dj.Manual):
        definition = """
        image : int32
        ---
        pixels : <blob@raw>
        large : longblob
        """

    return Shot, Copy, Image


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "mysql"])
def tables(request, tmp_path_factory):
    """The tables of this module, filled once per database, and only read."""
    kind = request.param
    if kind not in chosen_databases():
        pytest.skip(f"{kind} is left out")
    folder = tmp_path_factory.mktemp(kind)
    url = f"sqlite:///{folder / 'pipeline.sqlite'}"
    if kind == "mariadb":
        url = request.getfixturevalue("_mariadb").url
    elif kind == "mysql":
        url = servers_url()
    connection = dj.Connection(load(database_url=url, state_dir=folder / ".djq"))
    schema = dj.Schema(f"{NAME}_{folder.name[-1]}", connection=connection)
    shot, copy, image = declare(schema)
    shot.insert(SHOTS)
    image.insert((i, np.full((1, 4, 1), i), [i]) for i in range(30))
    assert list(shot)  # the connection of loops stays open, too
    yield {"Shot": shot, "Copy": copy, "Image": image, "schema": schema}
    schema.drop(prompt=False)
    connection.close()
    if kind != "sqlite":
        servers.drop_databases(url, schema.name)


def servers_url():
    if MYSQL_URL not in os.environ:
        pytest.skip(f"{MYSQL_URL} is not set")
    return os.environ[MYSQL_URL]


@pytest.fixture
def shot(tables):
    return tables["Shot"]


@pytest.fixture
def copy(tables):
    """A table of the same attributes, empty before and after."""
    yield tables["Copy"]
    tables["Copy"].delete_quick()


@pytest.fixture
def image(tables):
    return tables["Image"]


def same(found, expected):
    """Compare rows whose values may be arrays."""
    assert [list(r) for r in found] == [list(r) for r in expected]
    for row, other in zip(found, expected, strict=True):
        for name, value in row.items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, other[name])
                assert value.dtype == other[name].dtype
            else:
                assert value == other[name], name
                assert type(value) is type(other[name]), name
    return True


# --- one row -----------------------------------------------------------------------------------


def test_fetch1_squeezes_arrays_where_it_is_asked_to(image):
    first = image & {"image": 3}

    assert first.fetch1("pixels").shape == (1, 4, 1)
    assert first.fetch1("pixels", squeeze=True).tolist() == [3, 3, 3, 3]
    assert first.fetch1(squeeze=True)["pixels"].shape == (4,)


def test_fetch1_asks_for_two_rows_at_most_and_counts_for_the_message(image, count_statements):
    with pytest.raises(QueryError, match="has 30 rows: restrict it"), count_statements() as texts:
        image.fetch1("image")

    assert len(texts) == 2
    assert "LIMIT" in texts[0]
    assert "pixels" not in texts[0]


@pytest.fixture
def count_statements(tables, monkeypatch):
    """Note the statements that are sent."""
    database = tables["schema"].connection.database

    @contextmanager
    def noted():
        texts = []
        statements = type(database.statements)
        original = statements.ask

        def ask(self, asking, node):
            prepared, values = original(self, asking, node)
            texts.append(prepared.text)
            return prepared, values

        with monkeypatch.context() as patch:
            patch.setattr(statements, "ask", ask)
            yield texts

    return noted


# --- the shapes of DataJoint 0.14 --------------------------------------------------------------


def test_fetch_of_a_name_gives_an_array_of_the_headings_type(shot):
    def fetch(name):
        return shot.fetch(name, order_by="KEY")

    expected = {
        "subject": "int64",
        "depth": "int64",
        "size": "object",
        "gain": "float64",
        "x": "float64",
        "ok": "bool",
        "seen": "object",
        "name": "object",
        "kind": "object",
        "amount": "object",
        "day": "object",
        "at": "object",
        "code": "object",
        "note": "object",
        "raw": "object",
        "trace": "object",
    }
    assert {n: str(fetch(n).dtype) for n in expected} == expected
    assert fetch("size").tolist() == [7, None, 2**31 - 1]
    assert fetch("gain").tolist()[::2] == [1.1, -2.5e-8]
    assert np.isnan(fetch("gain")[1])
    assert fetch("amount").tolist() == [Decimal("1.50"), None, Decimal("-99999.99")]


def test_fetch_has_all_shapes_of_datajoint(shot):
    keys, names, depths = shot.fetch("KEY", "name", "depth", order_by="KEY")
    table = shot.fetch(order_by="KEY DESC", limit=2)

    assert keys == KEYS
    assert names.tolist() == ["Ada", "Bob", "Zoë 🐁"]
    assert depths.tolist() == [-3, 4, 127]
    assert shot.fetch("KEY", order_by="KEY") == KEYS
    assert shot.fetch("KEY", as_dict=True, order_by="KEY") == KEYS
    assert shot.fetch("depth", "subject", as_dict=True, order_by="KEY", limit=1) == [
        {"depth": -3, "subject": 1}
    ]
    assert same(shot.fetch(as_dict=True, order_by="KEY"), SHOTS)
    assert table.dtype.names == shot.heading.names
    assert table["subject"].tolist() == [2, 1]
    assert table[0]["name"] == "Zoë 🐁"
    assert np.array_equal(table[0]["trace"], np.arange(5.0))


def test_arrays_of_one_form_stay_values_of_their_rows(image):
    pixels = image.fetch("pixels", limit=3)

    assert pixels.shape == (3,)
    assert pixels[2].shape == (1, 4, 1)
    assert image.fetch("pixels", limit=3, squeeze=True)[2].shape == (4,)
    assert image.fetch(limit=3)["pixels"][1].shape == (1, 4, 1)


def test_fetch_as_a_frame_has_the_key_as_its_index(shot):
    frame = shot.fetch(format="frame", order_by="KEY")
    part = shot.fetch("name", format="frame", order_by="name DESC", limit=2)

    assert frame.index.names == ["subject", "shot"]
    assert list(part.columns) == ["name"]
    assert part["name"].tolist() == ["Zoë 🐁", "Bob"]
    assert part.index.tolist() == [(2, 1), (1, 2)]


def test_to_arrays_gives_a_structured_array_an_array_or_a_tuple(shot):
    assert shot.to_arrays().dtype.names == shot.heading.names
    assert shot.to_arrays("depth", order_by="depth").tolist() == [-3, 4, 127]
    depths, names = shot.to_arrays("depth", "name", order_by="KEY", offset=1)
    assert (depths.tolist(), names.tolist()) == ([4, 127], ["Bob", "Zoë 🐁"])
    keys, xs = shot.to_arrays("x", include_key=True, order_by="KEY")
    assert (keys, xs.tolist()) == (KEYS, [0.5, 1.5, 2.0])


def test_only_what_is_asked_for_is_read(shot, count_statements):
    with count_statements() as texts:
        shot.to_arrays("x")
        shot.keys()

    assert "subject" not in texts[0]
    assert "trace" not in texts[1]
    assert "x" not in texts[1].split("FROM")[0].replace("xs", "")


# --- order and windows -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("depth DESC", [127, 4, -3]),
        ("depth desc", [127, 4, -3]),
        (["subject DESC", "depth"], [127, -3, 4]),
        ("subject DESC, depth DESC", [127, 4, -3]),
        ("KEY", [-3, 4, 127]),
        ("KEY DESC", [127, 4, -3]),
        (("subject", "KEY DESC"), [4, -3, 127]),
    ],
)
def test_rows_come_in_the_order_asked_for(shot, order_by, expected):
    assert shot.fetch("depth", order_by=order_by).tolist() == expected
    assert shot.to_polars(order_by=order_by)["depth"].to_list() == expected


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [
        (0, None, []),
        (1, 0, [-3]),
        (None, 1, [4, 127]),
        (1, 1, [4]),
        (np.int64(1), np.int8(2), [127]),
    ],
)
def test_windows_leave_rows_out(shot, limit, offset, expected):
    window = {"order_by": "KEY", "limit": limit, "offset": offset}

    assert shot.fetch("depth", **window).tolist() == expected
    assert [r["depth"] for r in shot.to_dicts(**window)] == expected
    assert shot.to_arrow(**window)["depth"].to_pylist() == expected
    assert len(shot.keys(**window)) == len(expected)


def test_head_and_tail_are_in_the_order_of_the_key(image):
    assert [r["image"] for r in image.head(3)] == [0, 1, 2]
    assert [r["image"] for r in image.tail(3)] == [27, 28, 29]
    assert len(image.head()) == len(image.tail()) == 25
    assert image.head(0) == []


# --- frames and Arrow --------------------------------------------------------------------------


def test_to_pandas_has_the_headings_types(shot):
    frame = shot.to_pandas(order_by="KEY")

    text = "str" if int(pandas.__version__.split(".")[0]) > 2 else "object"
    assert frame.index.names == ["subject", "shot"]
    assert {n: str(t) for n, t in frame.dtypes.items()} == {
        "size": "Int32",
        "depth": "int8",
        "gain": "float32",
        "x": "float64",
        "ok": "bool",
        "seen": "boolean",
        "name": text,
        "kind": "category",
        "amount": "object",
        "day": "object",
        "at": "datetime64[us]",
        "code": "object",
        "note": "object",
        "raw": "object",
        "trace": "object",
    }
    assert frame.loc[(1, 1), "at"] == pandas.Timestamp(TIMES[0])
    assert frame["size"].isna().tolist() == [False, True, False]
    assert frame["kind"].cat.categories.tolist() == ["a", "b", "c"]
    assert np.array_equal(frame.loc[(2, 1), "trace"], np.arange(5.0))


def test_to_polars_has_the_headings_types(shot):
    frame = shot.to_polars(order_by="KEY")

    assert dict(frame.schema) == {
        "subject": polars.Int32,
        "shot": polars.Int16,
        "size": polars.Int32,
        "depth": polars.Int8,
        "gain": polars.Float32,
        "x": polars.Float64,
        "ok": polars.Boolean,
        "seen": polars.Boolean,
        "name": polars.String,
        "kind": polars.Enum(["a", "b", "c"]),
        "amount": polars.Decimal(7, 2),
        "day": polars.Date,
        "at": polars.Datetime("us"),
        "code": polars.String,
        "note": polars.Object,
        "raw": polars.Binary,
        "trace": polars.Object,
    }
    assert frame["amount"].to_list() == [Decimal("1.50"), None, Decimal("-99999.99")]
    assert frame["code"].to_list() == [str(UUIDS[0]), None, str(UUIDS[2])]
    assert frame["note"].to_list() == [{"a": [1, None]}, None, "text"]


def test_to_arrow_has_the_headings_types(shot):
    table = shot.to_arrow(order_by="KEY")

    assert {f.name: str(f.type) for f in table.schema} == {
        "subject": "int32",
        "shot": "int16",
        "size": "int32",
        "depth": "int8",
        "gain": "float",
        "x": "double",
        "ok": "bool",
        "seen": "bool",
        "name": "string",
        "kind": "dictionary<values=string, indices=int32, ordered=0>",
        "amount": "decimal128(7, 2)",
        "day": "date32[day]",
        "at": "timestamp[us]",
        "code": "extension<arrow.uuid>",
        "note": "extension<arrow.json>",
        "raw": "binary",
        "trace": "list<item: double>",
    }
    assert not table.schema.field("x").nullable
    assert table["day"].to_pylist() == [r["day"] for r in SHOTS]
    assert table["code"].to_pylist() == [r["code"] for r in SHOTS]
    assert table["kind"].to_pylist() == ["b", None, "a"]
    assert table["trace"].to_pylist() == [[0, 1, 2], None, [0, 1, 2, 3, 4]]


def test_arrays_of_one_shape_are_tensors_of_arrow(image):
    table = image.proj("pixels").to_arrow(order_by="KEY")

    assert table["pixels"].type.shape == [1, 4, 1]
    assert table["pixels"].combine_chunks().to_numpy_ndarray().shape == (30, 1, 4, 1)


def test_values_that_arrow_has_no_type_for_are_refused(image):
    with pytest.raises(QueryError, match=r'values of "large" \(longblob\).*use to_dicts'):
        image.to_arrow()


@pytest.mark.parametrize("verb", ["to_pandas", "to_polars", "to_arrow", "to_arrays", "to_dicts"])
def test_rows_survive_a_round_trip(shot, copy, verb):
    copy.insert(getattr(shot, verb)())

    assert same(copy.to_dicts(order_by="KEY"), SHOTS)


def test_no_rows_have_the_same_columns_and_types(shot):
    none = shot & "depth > 1000"

    assert none.fetch("depth").dtype == np.int64
    assert none.fetch("name", "x")[1].dtype == np.float64
    assert none.fetch().dtype["ok"].kind == "b"
    assert none.fetch().dtype.names == shot.heading.names
    assert none.fetch("KEY") == none.to_dicts() == none.keys() == list(none) == []
    assert none.to_pandas().dtypes.to_dict() == shot.to_pandas().dtypes.to_dict()
    assert none.to_pandas().index.names == ["subject", "shot"]
    assert none.to_polars().schema == shot.to_polars().schema
    types = {f.name: f.type for f in none.to_arrow().schema if f.name != "trace"}
    assert types == {f.name: f.type for f in shot.proj(..., "-trace").to_arrow().schema}


def test_computed_values_are_numbers_where_they_are(shot):
    query = shot.proj(twice="depth * 2", half="x / 2", big="size + 1")

    assert query.fetch("twice", order_by="KEY").dtype == np.int64
    assert query.fetch("half", order_by="KEY").tolist() == [0.25, 0.75, 1.0]
    assert query.fetch("big", order_by="KEY").tolist() == [8, None, 2**31]
    assert query.to_arrow(order_by="KEY")["twice"].to_pylist() == [-6, 8, 254]
    assert query.to_polars(order_by="KEY")["half"].to_list() == [0.25, 0.75, 1.0]
    assert query.to_pandas(order_by="KEY")["twice"].tolist() == [-6, 8, 254]


def test_a_library_that_is_missing_is_named(shot, monkeypatch):
    for name in ("pandas", "polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)

    for verb, name in (("to_pandas", "pandas"), ("to_polars", "polars"), ("to_arrow", "pyarrow")):
        with pytest.raises(ConfigError, match=rf'{verb} needs {name}: pip install "djq\[frames\]"'):
            getattr(shot, verb)()


# --- class and instance ------------------------------------------------------------------------


def test_the_class_answers_as_its_instances_do(shot):
    assert shot.keys(order_by="KEY") == shot().keys(order_by="KEY") == KEYS
    assert same(shot.head(1), shot().head(1))
    assert len(shot) == len(shot()) == len(list(shot)) == 3
    assert KEYS[0] in shot


def test_looking_at_a_class_asks_nothing():
    assert inspect.signature(dj.Manual.fetch1).parameters.keys() == {"attributes", "squeeze"}
    assert "exactly one row" not in repr(dj.Manual.fetch1)
    assert hasattr(dj.Manual, "_repr_html_")


# --- previews ----------------------------------------------------------------------------------


def test_a_preview_shows_places_of_blobs_and_loads_none(image, count_statements):
    with count_statements() as texts:
        shown = image.preview(limit=2)

    assert shown.splitlines() == [
        "*image  pixels      large",
        "0       <blob@raw>  <longblob>",
        "1       <blob@raw>  <longblob>",
        "   … 28 more",
        "(30 rows)",
    ]
    assert not any("pixels" in t or "large" in t for t in texts)


def test_a_preview_of_all_rows_needs_no_count(shot, count_statements):
    with count_statements() as texts:
        assert repr(shot.proj()).endswith("(3 rows)")

    assert len(texts) == 1


def test_a_preview_need_not_count(tables, image, monkeypatch):
    connection = tables["schema"].connection
    changed = {"display_show_tuple_count": False, "display_limit": 1}
    monkeypatch.setattr(connection, "_settings", connection.settings.model_copy(update=changed))

    assert repr(image()).splitlines()[-1] == "   … more"
    assert "30" not in image()._repr_html_()


def test_a_preview_keeps_the_order_of_a_top(shot):
    shown = repr(shot.proj("depth") & dj.Top(2, order_by="depth DESC"))

    assert [line.split()[-1] for line in shown.splitlines()[1:3]] == ["127", "4"]


def test_wide_tables_and_values_are_cut(shot, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")

    shown = shot.preview(width=6)

    assert max(map(len, shown.splitlines())) <= 40
    assert shown.splitlines()[0].endswith("  ...")
    assert "of 17 attributes)" in shown.splitlines()[-1]


def test_values_of_several_lines_stay_in_one():
    assert cell("a\nb\t<i>", 40) == r"a\nb\t<i>"


def test_a_notebook_shows_escaped_html_with_marked_keys(shot, tables):
    page = (shot & {"subject": 2})._repr_html_()

    assert "one flash of light" in page
    assert '<th class="djq-key">subject</th>' in page
    assert '<th class="djq-value">name</th>' in page
    assert "&lt;blob&gt;" in page
    assert "Zoë 🐁" in page
    assert "(1 rows)" in page
    assert "<script" not in page


def test_a_notebook_shows_classes_too(shot):
    assert "<table>" in shot._repr_html_()
    assert repr(shot).startswith("<table ")
    assert dj.Manual._repr_html_() is None
    assert shot.proj()._repr_html_().count("<th ") == 2
