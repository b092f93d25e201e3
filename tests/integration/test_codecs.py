"""Codecs in tables: the user's own, and bytes in a store."""

from __future__ import annotations

import gc
import weakref
from typing import ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pytest

import djq as dj
from djq.errors import DefinitionError, QueryError, RowError, StorageError


class EdgesCodec(dj.Codec):
    """Graphs as sorted lists of edges, within blobs."""

    name = "edges_of_tests"

    def get_dtype(self, is_store):
        return "<blob>"

    def validate(self, value):
        if not isinstance(value, frozenset):
            message = f"a graph is a frozenset of edges, not {type(value).__name__}"
            raise TypeError(message)

    def encode(self, value, *, key=None, store_name=None):
        return sorted(value)

    def decode(self, stored, *, key=None):
        return frozenset(tuple(edge) for edge in stored)


class ShortCodec(dj.Codec):
    """Texts of at most eight characters."""

    name = "short_of_tests"

    def get_dtype(self, is_store):
        return "varchar(8)"

    def encode(self, value):
        return value.upper()

    def decode(self, stored):
        return stored.lower()


class PlaceCodec(dj.Codec):
    """Notes where it is called."""

    name = "place_of_tests"
    seen: ClassVar[list[object]] = []

    def get_dtype(self, is_store):
        return "json"

    def encode(self, value, *, key=None, context=None):
        place = (context.schema, context.table, context.attribute, context.store_name)
        self.seen.append((place, dict(key)))
        return {"value": value}

    def decode(self, stored, *, key=None):
        return stored["value"], dict(key)


class WhenceCodec(dj.Codec):
    """Reads where it is called."""

    name = "whence_of_tests"

    def get_dtype(self, is_store):
        return "json"

    def encode(self, value):
        return value

    def decode(self, stored, *, context=None):
        return context.schema, context.table, context.attribute


GRAPH = frozenset({(1, 2), (2, 3)})


@pytest.fixture
def graphs(schema):
    @schema
    class Graphs(dj.Manual):
        definition = """
        id : int32
        ---
        inside = null : <edges_of_tests>
        outside = null : <edges_of_tests@raw>
        word = null : <short_of_tests>
        place = null : <place_of_tests>
        data = null : <hash@raw>
        """

    return Graphs


def test_values_pass_the_users_codec_both_ways(graphs):
    graphs.insert1({"id": 1, "inside": GRAPH, "outside": GRAPH, "word": "abc", "data": b"\0raw"})
    row = graphs.fetch1()
    assert (row["inside"], row["outside"]) == (GRAPH, GRAPH)
    assert (row["word"], row["data"], row["place"]) == ("abc", b"\0raw", None)
    assert type(row["data"]) is bytes


def test_many_rows_take_the_same_way(graphs):
    rows = [{"id": i, "outside": GRAPH | {(i, i)}, "data": bytes([i])} for i in range(50)]
    graphs.insert(rows)
    found = graphs.proj("outside", "data").to_dicts(order_by="id")
    assert found == rows
    assert list(graphs.to_arrays("data", order_by="id")) == [bytes([i]) for i in range(50)]
    assert sum(1 for row in graphs if (row["id"], row["id"]) in row["outside"]) == 50


def test_a_codec_learns_the_place_and_the_key_of_a_value(graphs):
    PlaceCodec.seen.clear()
    graphs.insert([{"id": 7, "place": 1}, {"id": 8, "place": 2}])
    graphs.insert1({"id": 9, "place": 3})
    place = (graphs.spec.name.schema, graphs.spec.name.table, "place", None)
    assert PlaceCodec.seen == [(place, {"id": i}) for i in (7, 8, 9)]
    assert (graphs & {"id": 8}).fetch1()["place"] == (2, {"id": 8})
    assert (graphs & {"id": 8}).fetch1("place") == (2, {})


def test_a_codec_learns_which_table_a_fetched_value_is_of(schema):
    text = "id : int32\n---\nx : <whence_of_tests>"
    one = schema(type("One", (dj.Manual,), {"definition": text}))
    two = schema(
        type("Two", (dj.Manual,), {"definition": "no : int32\n---\ny : <whence_of_tests>"})
    )
    one.insert1((1, "x"))
    two.insert1((1, "y"))
    place = (one.spec.name.schema, one.spec.name.table, "x")
    assert one.fetch1()["x"] == place
    assert [row["x"] for row in one & "id > 0"] == one.to_arrays("x", order_by="id").tolist()
    assert (one & "id = 1").proj(z="x").fetch1("z") == place
    assert (one * two).fetch1("x", "y") == (place, (place[0], two.spec.name.table, "y"))
    assert (one.proj() + one).fetch1("x") == ("", "", "x")


def test_a_value_that_a_codec_refuses_is_named(graphs):
    with pytest.raises(RowError, match=r'Graphs, row 2, attribute "inside": a graph is a frozen'):
        graphs.insert([{"id": 1, "inside": GRAPH}, {"id": 2, "inside": [1]}])
    with pytest.raises(RowError, match=r'row 1, attribute "data": <hash> takes bytes, not str'):
        graphs.insert1({"id": 1, "data": "text"})
    with pytest.raises(RowError, match=r'row 1, attribute "word": .*8'):
        graphs.insert1({"id": 1, "word": "far too long"})
    assert len(graphs) == 0
    faults = graphs.validate([{"id": 1, "inside": 3}, {"id": 2, "word": "far too long"}]).errors
    assert [fault.attribute for fault in faults] == ["inside", "word"]


class FussyError(KeyError):
    """Can be referred to weakly."""


class FussyCodec(dj.Codec):
    """Refuses what djq's codec has read from a store."""

    name = "fussy_of_tests"

    def get_dtype(self, is_store):
        return "<blob@>"

    def encode(self, value):
        return value

    def decode(self, stored):
        if stored != "a":
            raise FussyError(stored)
        return stored


class FrailCodec(dj.Codec):
    """Breaks at one value of each way."""

    name = "frail_of_tests"

    def get_dtype(self, is_store):
        return "json"

    def encode(self, value):
        return {1: 1, 2: 2}[value]

    def decode(self, stored):
        return {1: 1}[stored]


def test_an_error_of_a_users_codec_keeps_its_type_and_tells_the_place(schema):
    text = "id : int32\n---\nx : <frail_of_tests>"
    frail = schema(type("Frail", (dj.Manual,), {"definition": text}))
    frail.insert([(1, 1), (2, 2)])
    for write in (
        lambda: frail.insert1({"id": 3, "x": 3}),
        lambda: frail.insert([(3, 3)]),
        lambda: frail.update1({"id": 1, "x": 3}),
    ):
        with pytest.raises(KeyError, match="3") as caught:
            write()
        assert caught.value.__notes__ == [f'{frail.spec.display_name}, row 1, attribute "x"']
    place = f'{frail.spec.name}, attribute "x" of the row id=2'
    reads = (frail.to_dicts, lambda: frail.fetch("id", "x"), lambda: list(frail))
    for read in (*reads, lambda: frail.fetch("x"), (frail & "id = 2").proj(y="x").to_dicts):
        with pytest.raises(KeyError, match="2") as caught:
            read()
        assert caught.value.__notes__ == [place]


def test_an_error_of_a_users_codec_about_an_object_tells_the_row(schema):
    text = "id : int32\n---\nx : <fussy_of_tests@raw>"
    fussy = schema(type("Fussy", (dj.Manual,), {"definition": text}))
    fussy.insert([(1, "a"), (2, "b"), (3, "a")])
    for read in (fussy.to_dicts, lambda: fussy.fetch("x"), lambda: fussy.to_arrays("x")):
        with pytest.raises(FussyError, match="b") as caught:
            read()
        assert caught.value.__notes__ == [f'{fussy.spec.name}, attribute "x" of the row id=2']


def test_an_error_of_a_users_codec_does_not_keep_the_rows(schema):
    text = "id : int32\n---\nx : <fussy_of_tests@raw>"
    fussy = schema(type("Fussy", (dj.Manual,), {"definition": text}))
    fussy.insert1((2, "b"))
    gc.disable()
    try:
        with pytest.raises(FussyError) as caught:
            fussy.fetch("x")
        error = weakref.ref(caught.value)
        del caught
        assert error() is None
    finally:
        gc.enable()


def test_a_missing_object_is_named_with_its_row(graphs, connection):
    graphs.insert([{"id": i, "data": bytes([i])} for i in range(3)])
    store = connection.store("raw").store
    for found in list(store.list()):
        store.delete(found.path)
    with pytest.raises(StorageError, match=r'attribute "data".* id=1: store "raw": no object at'):
        (graphs & {"id": 1}).fetch1()


def test_equal_bytes_are_one_object(graphs, connection):
    graphs.insert([{"id": i, "data": b"same"} for i in range(5)])
    assert len(list(connection.store("raw").store.list("hash"))) == 1


def test_the_type_of_the_column_is_that_of_the_last_codec(graphs, schema, connection):
    columns = connection.catalog.columns(graphs.spec.name.schema)[graphs.spec.name.table].columns
    assert columns["word"].type.lower() == "varchar(8)"
    assert "<short_of_tests>" in graphs.describe()
    again = dj.FreeTable(connection, f"{graphs.spec.name}")
    again.insert1({"id": 5, "word": "def", "inside": GRAPH})
    assert again.fetch1("word", "inside") == ("def", GRAPH)
    schema(type("Graphs", (dj.Manual,), {"definition": graphs.definition}))


def test_a_codec_that_cannot_be_used_so_is_refused_where_it_is_written(schema):
    text = "id : int32\n---\ndata : <hash>"
    with pytest.raises(DefinitionError, match=r"<hash> needs a store for its bytes in Wrong, line"):
        schema(type("Wrong", (dj.Manual,), {"definition": text}))


def test_arrays_go_through_the_default_store(schema):
    @schema
    class Traces(dj.Manual):
        definition = """
        id : int32
        ---
        trace : <blob@>
        """

    trace = np.arange(100_000).reshape(100, 1000)
    Traces.insert1({"id": 1, "trace": trace})
    np.testing.assert_array_equal(Traces.fetch1("trace"), trace)
    Traces.update1({"id": 1, "trace": trace[:2]})
    np.testing.assert_array_equal(Traces.fetch1("trace"), trace[:2])


@pytest.mark.parametrize("type_", ["<arrow>", "<arrow@raw>"])
def test_tables_come_back_as_what_they_were(schema, type_):
    text = f"id : int32\n---\nframe = null : {type_}"
    frames = schema(type("Frames", (dj.Manual,), {"definition": text}))
    left = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pd.Index([5, 6], name="i"))
    right = pl.DataFrame({"a": [1.5, None], "b": [[1], [2, 3]]})
    frames.insert([{"id": 1, "frame": left}, {"id": 2, "frame": right}, {"id": 3}])
    found = frames.to_arrays("frame", order_by="id")
    pd.testing.assert_frame_equal(found[0], left)
    assert found[1].equals(right)
    assert found[2] is None
    with pytest.raises(RowError, match=r'row 1, attribute "frame": .*cannot be stored as an Arrow'):
        frames.insert1({"id": 4, "frame": [1, 2]})


class FarCodec(dj.Codec):
    """Keeps its values in a store of its own choice."""

    name = "far_of_tests"

    def get_dtype(self, is_store):
        return "<blob@raw>"

    def encode(self, value):
        return [value]

    def decode(self, stored):
        return stored[0]


def test_a_codec_may_choose_the_store(schema, connection):
    far = schema(type("Far", (dj.Manual,), {"definition": "id : int32\n---\nx : <far_of_tests>"}))
    far.insert([{"id": i, "x": i} for i in range(3)])
    assert list(far.to_arrays("x", order_by="id")) == [0, 1, 2]
    assert len(list(connection.store("raw").store.list("hash"))) == 3
    assert dj.FreeTable(connection, f"{far.spec.name}").to_dicts() == far.to_dicts()


@pytest.fixture
def blobs(schema):
    text = "id : int32\n---\nx = null : <blob>\ny = null : <blob>"
    return schema(type("Blobs", (dj.Manual,), {"definition": text}))


def test_arrow_holds_null_for_what_an_array_masks(blobs):
    masked = np.ma.array([1, 2, 3], mask=[False, True, False], dtype="int16")
    blobs.insert([(1, masked, None), (2, np.arange(2, dtype="int16"), None), (3, None, None)])
    found = blobs.to_arrow(order_by="id")["x"]
    assert str(found.type) == "list<item: int16>"
    assert found.to_pylist() == [[1, None, 3], [0, 1], None]


def test_arrow_refuses_masks_in_tensors(blobs):
    pixels = np.ma.array(np.eye(2), mask=False)
    blobs.insert1((1, pixels, None))
    assert blobs.to_arrow()["x"].combine_chunks().to_numpy_ndarray().tolist() == [[[1, 0], [0, 1]]]
    pixels[0, 1] = np.ma.masked
    blobs.insert1((2, pixels, None))
    with pytest.raises(QueryError, match=r'masks in the values of "x" \(<blob>\).* use to_dicts'):
        blobs.to_arrow()


def test_arrow_holds_numbers_of_either_byte_order(blobs):
    blobs.insert(
        [(i, np.arange(3, dtype=o + "i4"), np.eye(2, dtype=o + "f8")) for i, o in enumerate("<>")]
    )
    found = blobs.to_arrow(order_by="id")
    assert found["x"].to_pylist() == [[0, 1, 2]] * 2
    assert found["y"].combine_chunks().to_numpy_ndarray().tolist() == [[[1, 0], [0, 1]]] * 2


@pytest.mark.parametrize("value", [np.arange(3, dtype="longdouble"), 2**70], ids=repr)
def test_values_that_arrow_does_not_take_are_refused_by_name(blobs, value):
    blobs.insert1((1, None, value))
    with pytest.raises(
        QueryError, match=r'the values of "y" \(<blob>\): .* use to_dicts or to_arr'
    ):
        blobs.to_arrow()
    assert len(blobs.to_dicts()) == 1
