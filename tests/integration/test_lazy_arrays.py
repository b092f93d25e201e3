"""`<array@store>` and `<npy@store>` in tables, with a folder and a bucket as the store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

import djq as dj
from djq.errors import ObjectMissingError, RowError, StoreUnavailableError
from djq.settings import load
from djq.storage.content import ContentStore
from djq.tables.connection import Connection
from tests.support.counting import CountingStore
from tests.support.s3 import s3_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.tables.schema import Schema

__all__ = ["s3_settings"]

ARRAYS = (
    np.arange(600_000, dtype=">i4").reshape(300, 2000),
    np.zeros((0, 3)),
    np.array([("a", 1.5), ("b", 2.5)], dtype=[("name", "U3"), ("value", "f4")]),
)


@pytest.fixture(params=["folder", "s3"])
def connection(request, database_url, tmp_path) -> Iterator[Connection]:
    """A connection whose store `raw` is a folder, or a bucket of a real server."""
    stores = {"raw": request.getfixturevalue("s3_settings")} if request.param == "s3" else {}
    opened = Connection(load(database_url=database_url, state_dir=tmp_path / ".djq", stores=stores))
    yield opened
    # pytest keeps fixtures longer than the check for open connections lasts.
    opened._stores.clear()
    opened.close()


@pytest.fixture(params=["array", "npy"])
def movie(request, schema: Schema):
    class Movie(dj.Manual):
        definition = f"""
        movie : int32
        ---
        frames = null : <{request.param}@raw>
        """

    return schema(Movie)


def object_paths(schema: Schema) -> list[str]:
    return [found.path for found in schema.connection.store("raw").store.list("hash")]


def counted(schema: Schema) -> CountingStore:
    """Let the connection count what it asks of its store."""
    connection = schema.connection
    settings, content = connection.settings.store("raw"), connection.store("raw")
    counting = CountingStore(content.store)
    connection._stores["raw"] = settings, ContentStore("raw", counting)
    return counting


def test_arrays_come_back_as_handles_by_every_way_of_fetching(movie, schema):
    movie.insert({"movie": i, "frames": array} for i, array in enumerate(ARRAYS))
    counting = counted(schema)

    one = (movie & "movie = 0").fetch1("frames")
    ways = (
        list(movie.fetch("frames", order_by="movie")),
        [row["frames"] for row in movie.to_dicts(order_by="movie")],
        [row["frames"] for row in movie.fetch(as_dict=True, order_by="movie")],
        list(movie.to_arrays("frames", order_by="movie")),
        list(movie.to_pandas(order_by="movie")["frames"]),
        sorted((row["frames"] for row in movie), key=lambda ref: -ref.nbytes),
    )

    assert counting.n_requests == 0
    assert isinstance(one, dj.ArrayRef | dj.NpyRef)
    for refs in ways[:-1]:
        for ref, array in zip(refs, ARRAYS, strict=True):
            assert (ref.shape, ref.dtype) == (array.shape, array.dtype)
            assert np.array_equal(ref[1:], array[1:])
            assert np.array_equal(np.asarray(ref), array)
    assert set(ways[-1]) == set(ways[0])
    assert "<array@raw>" in movie.preview() or "<npy@raw>" in movie.preview()


def test_a_slice_reads_few_bytes_also_after_the_connection_is_closed(movie, schema):
    array = np.random.default_rng(0).integers(0, 2**31, (4000, 1000), dtype="i4")
    movie.insert1({"movie": 1, "frames": array})
    counting = counted(schema)
    ref = movie.fetch1("frames")
    schema.connection.close()

    assert np.array_equal(ref[2000:2005, ::-1], array[2000:2005, ::-1])

    assert counting.n_bytes < 5_000_000
    assert counting.gets == []


def test_a_null_is_none(movie):
    movie.insert([{"movie": 1}, {"movie": 2, "frames": None}, {"movie": 3, "frames": ARRAYS[0]}])

    frames = movie.fetch("frames", order_by="movie")

    assert frames[0] is frames[1] is None
    assert len(movie & "frames is null") == 2
    assert np.array_equal(frames[2], ARRAYS[0])


def test_an_update_puts_another_object(movie, schema):
    movie.insert1({"movie": 1, "frames": ARRAYS[0]})
    before = movie.fetch1("frames")

    movie.update1({"movie": 1, "frames": ARRAYS[0] + 1})

    assert np.array_equal(movie.fetch1("frames"), ARRAYS[0] + 1)
    assert np.array_equal(before, ARRAYS[0])
    assert len(object_paths(schema)) == 2
    movie.update1({"movie": 1, "frames": None})
    assert movie.fetch1("frames") is None


def test_equal_arrays_share_an_object(movie, schema):
    movie.insert((i, ARRAYS[0]) for i in range(5))

    assert len(set(movie.fetch("frames"))) == 1
    assert len(object_paths(schema)) == 1


def test_a_fetched_handle_is_inserted_into_another_table(movie, schema):
    @schema
    class Copy(dj.Manual):
        definition = """
        -> Movie
        ---
        frames : <array@raw>
        same : <npy@raw>
        """

    movie.insert1((1, ARRAYS[0]))
    ref = movie.fetch1("frames")
    Copy.insert1((1, ref, ref))

    assert np.array_equal(Copy.fetch1("frames"), ARRAYS[0])
    assert np.array_equal(Copy.fetch1("same"), ARRAYS[0])
    assert len(object_paths(schema)) == 2


@pytest.mark.parametrize("wrong", [[1, 2], 5, np.array([{}]), np.ma.masked_array([1])], ids=repr)
def test_what_is_no_array_is_refused_with_its_row_and_attribute(movie, schema, wrong):
    good = {"movie": 1, "frames": ARRAYS[0]}

    with pytest.raises(RowError, match=r'Movie, row 2, attribute "frames": '):
        movie.insert([good, {"movie": 2, "frames": wrong}])
    with pytest.raises(RowError, match=r'attribute "frames": '):
        movie.insert1({"movie": 2, "frames": wrong})
    result = movie.validate([good, {"movie": 2, "frames": wrong}])

    assert [(e.row, e.attribute) for e in result.errors] == [(2, "frames")]
    assert len(movie) == 0
    assert object_paths(schema) == []


def test_a_put_that_fails_leaves_no_row(movie, schema, monkeypatch):
    movie.insert1((1, ARRAYS[0]))
    with failing_puts(schema):
        with pytest.raises(StoreUnavailableError, match=r'Movie, row 1, attribute "frames": away'):
            movie.insert([(2, ARRAYS[0] + 1), (3, ARRAYS[0] + 2)])
        with pytest.raises(StoreUnavailableError, match=r'attribute "frames": away'):
            movie.update1({"movie": 1, "frames": ARRAYS[0] + 3})

    assert movie.fetch("movie").tolist() == [1]
    assert np.array_equal(movie.fetch1("frames"), ARRAYS[0])


@contextmanager
def failing_puts(schema: Schema) -> Iterator[None]:
    store = counted(schema)

    def fail(path: str, data: object) -> None:
        message = "away"
        raise StoreUnavailableError(message)

    store.put = fail  # type: ignore[method-assign]
    yield
    del store.put


def test_an_object_that_is_gone_is_named_by_who_reads_it(movie, schema):
    movie.insert1((1, ARRAYS[0]))
    ref = movie.fetch1("frames")
    schema.connection.store("raw").store.delete(ref.path)

    again = movie.fetch1("frames")

    assert again.shape == ARRAYS[0].shape
    with pytest.raises(ObjectMissingError, match=rf'store "raw", object {ref.path}: there is none'):
        _ = again[0]


def test_populate_computes_from_slices_and_checks_its_inputs_by_address(schema):
    @schema
    class Recording(dj.Manual):
        definition = """
        recording : int32
        ---
        signal : <array@raw>
        """

    @schema
    class Trace(dj.Computed):
        definition = """
        -> Recording
        ---
        trace : <array@raw>
        mean : float64
        """

        def make_fetch(self, key):
            return ((Recording & key).fetch1("signal"),)

        def make_compute(self, key, signal):
            trace = signal[:, 1]
            return trace, float(trace.mean())

        def make_insert(self, key, trace, mean):
            self.insert1({**key, "trace": trace, "mean": mean})

    signal = np.random.default_rng(0).random((500, 4))
    Recording.insert((i, signal + i) for i in range(3))

    Trace.populate()

    assert len(Trace) == 3
    for row in Trace:
        assert np.array_equal(row["trace"], (signal + row["recording"])[:, 1])


def test_arrow_takes_what_the_handles_refer_to(movie):
    movie.insert((i, np.arange(4.0) + i) for i in range(2))

    assert movie.to_arrow()["frames"].to_pylist() == [[0, 1, 2, 3], [1, 2, 3, 4]]


def test_an_attribute_without_a_store_is_refused(schema):
    class Wrong(dj.Manual):
        definition = """
        n : int32
        ---
        frames : <array>
        """

    with pytest.raises(dj.DjqError, match="<array@store>"):
        schema(Wrong)
