from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest

from djq.codecs.codec import Context
from djq.codecs.registry import get, resolve
from djq.errors import CodecError, ObjectCorruptedError, ObjectMissingError
from djq.storage.content import ContentStore
from djq.storage.filesystem import FolderStore
from tests.support.counting import CountingStore
from tests.support.memory_store import MemoryStore

DTYPES = (
    "i4", ">i2", "?", "c16", "U3", "S4", "M8[ns]", "m8[s]", "V5", "f2",
    np.dtype([("a", "i4"), ("b", "f8", (2,))]), np.dtype([("a", "u1"), ("b", "f8")], align=True),
    np.dtype([(("title", "a"), "i4")]),
)  # fmt: skip


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(MemoryStore())


def context(store) -> Context:
    return Context(store_name="raw", open_store=lambda name: ContentStore(name, store))


def put(array, store) -> dict:
    return get("npy").encode(array, context=context(store))


def fetched(row, store):
    return get("npy").decode(row, context=context(store))


def by_datajoint(array, store, path="_schema/s/t/id=1/f_8xGTSNn8.npy") -> dict:
    """Return the row, as DataJoint 2.3.5 was seen to write it, of a file that NumPy wrote."""
    file = io.BytesIO()
    np.save(file, array)
    store.put(path, file.getvalue())
    return {
        "path": path,
        "store": "raw",
        "dtype": str(array.dtype),
        "shape": list(array.shape),
    }


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_object_is_a_file_that_numpy_reads(store, dtype, order):
    array = np.zeros((3, 4), dtype, order=order)
    row = put(array, store)
    found = np.load(io.BytesIO(store.get(row["path"])), allow_pickle=False)
    assert found.dtype == array.dtype
    assert found.flags.f_contiguous == (order == "F")
    assert np.array_equal(found, array)
    assert np.array_equal(fetched(row, store).load(), array)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_file_of_datajoint_is_read(store, dtype, order):
    array = np.zeros((3, 4), dtype, order=order)
    ref = fetched(by_datajoint(array, store), store)
    assert ref.dtype == array.dtype
    assert np.array_equal(ref[1:], array[1:])
    assert np.array_equal(ref.load(), array)


def test_a_row_has_what_datajoint_has_in_it_and_the_hash(store):
    row = put(np.zeros((3, 4), "i4"), store)
    assert list(row) == ["store", "path", "hash", "size", "shape", "dtype"]
    assert (row["dtype"], row["shape"]) == ("int32", [3, 4])


def test_what_the_row_says_needs_no_read(store):
    row = put(np.zeros((3, 4), "<i2"), store)
    store.n_requests = 0
    ref = fetched(row, store)
    assert (ref.shape, ref.dtype, ref.ndim, ref.size, ref.nbytes) == ((3, 4), "<i2", 2, 12, 24)
    assert (len(ref), ref.store, ref.path, ref.is_loaded) == (3, "raw", row["path"], False)
    assert repr(ref) == "NpyRef(shape=(3, 4), dtype=int16, not loaded)"
    assert store.n_requests == 0


def test_rows_are_read_as_ranges_until_the_file_is_loaded(store):
    array = np.arange(2_000_000).reshape(2000, 1000)
    ref = fetched(put(array, store), store)
    store.n_bytes = 0
    assert np.array_equal(ref[1000:1020, ::7], array[1000:1020, ::7])
    assert ref[1001, 5] == array[1001, 5]
    assert store.n_bytes < array.nbytes * 0.02
    assert not ref.is_loaded
    loaded = ref.load()
    assert ref.is_loaded
    store.n_requests = 0
    assert ref.load() is loaded
    assert ref[3, 4] == np.asarray(ref)[3, 4] == array[3, 4]
    assert store.n_requests == 0


def test_numpy_gets_the_array(store):
    ref = fetched(put(np.arange(3), store), store)
    assert np.asarray(ref) is ref.load()
    assert np.array(ref, copy=True) is not ref.load()
    assert np.asarray(ref, dtype="f4").dtype == "f4"
    assert np.array(ref, copy=False) is ref.load()
    with pytest.raises(ValueError, match="copy=False"):
        np.array(ref, dtype="f4", copy=False)
    assert np.mean(ref) == 1


def test_a_file_in_a_folder_is_mapped(tmp_path):
    folder = FolderStore(tmp_path / "raw")
    for array in (np.arange(12.0).reshape(3, 4), np.asfortranarray(np.ones((3, 4)))):
        ref = fetched(put(array, folder), folder)
        mapped = ref.load(mmap_mode="r")
        assert isinstance(mapped, np.memmap)
        assert np.array_equal(mapped, array)
        assert not mapped.flags.writeable
        changed = ref.load(mmap_mode="c")
        changed[0, 0] = 7
        assert np.array_equal(ref.load(), array)
        with pytest.raises(ValueError, match="would change a stored object"):
            ref.load(mmap_mode="r+")
    empty = fetched(put(np.zeros(0), folder), folder)
    assert empty.load(mmap_mode="r").shape == (0,)


def test_of_other_stores_the_file_is_read_instead(store):
    ref = fetched(put(np.arange(3), store), store)
    assert not ref.load(mmap_mode="r").flags.writeable
    changed = ref.load(mmap_mode="c")
    changed[0] = 7
    assert ref.load().tolist() == [0, 1, 2]


def test_a_handle_of_a_folder_survives_pickling_and_a_copy_may_be_changed(tmp_path):
    folder = FolderStore(tmp_path / "raw")
    ref = fetched(put(np.arange(5), folder), folder)
    again = pickle.loads(pickle.dumps(ref))
    assert again == ref
    assert hash(again) == hash(ref)
    copy.deepcopy(ref).load()[0] = 9
    assert again[:2].tolist() == ref.load()[:2].tolist() == [0, 1]


def test_damage_is_noticed(store):
    row = put(np.arange(300), store)
    whole = store.inner.objects[row["path"]]
    store.inner.objects[row["path"]] = whole[:-1] + b"\7"
    with pytest.raises(ObjectCorruptedError, match=r'store "raw", object hash/.*another hash'):
        fetched(row, store).load()
    versioned, unclosed = b"\x93NUMPY\x04\x00" + whole[8:], whole.replace(b"(300,)", b"((300,")
    for damaged in (whole[:-1], whole[:100], b"", versioned, unclosed, b"x" * 500):
        store.inner.objects[row["path"]] = damaged
        with pytest.raises(ObjectCorruptedError, match=r'store "raw", object hash/'):
            fetched(row, store).load()
        with pytest.raises(ObjectCorruptedError, match=r'store "raw", object hash/'):
            fetched(row, store)[299]
    store.inner.objects.clear()
    with pytest.raises(ObjectMissingError, match=r'store "raw", object hash/'):
        fetched(row, store).load()


def test_no_pickle_is_opened(store):
    row = put(np.arange(2), store)
    file = io.BytesIO()
    np.save(file, np.array([{}, 1]), allow_pickle=True)
    store.inner.objects[row["path"]] = file.getvalue()
    with pytest.raises(ObjectCorruptedError, match="pickle runs code"):
        fetched(row, store).load()


@pytest.mark.parametrize("dtype", ["O", "[('a', 'O')]", "__import__('os')", "[(", "(" * 500, 5])
def test_a_dtype_is_never_evaluated(store, dtype):
    with pytest.raises(CodecError, match="not a dtype"):
        fetched(put(np.arange(2), store) | {"dtype": dtype}, store)


@pytest.mark.parametrize(
    ("value", "words"),
    [([1], "<npy> takes NumPy arrays, not list"), (np.array([{}]), "not ndarray of object"),
     (np.zeros(1, [("日本", "i4")]), "does not carry")],
)  # fmt: skip
def test_what_such_a_file_does_not_carry_is_refused(value, words):
    with pytest.raises((TypeError, CodecError), match=words):
        get("npy").validate(value)


def test_a_handle_of_either_kind_is_stored_by_either_codec(store):
    array = np.arange(6).reshape(2, 3)
    npy = fetched(put(array, store), store)
    lazy = get("array").decode(
        get("array").encode(npy, context=context(store)), context=context(store)
    )
    assert np.array_equal(lazy.load(), array)
    get("npy").validate(lazy)
    assert put(lazy, store) == put(array, store)


def test_an_array_belongs_in_a_store():
    with pytest.raises(CodecError, match="<npy@store>"):
        resolve("npy", None)
    assert resolve("npy", "raw").column == "json"
