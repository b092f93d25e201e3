from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from djq.codecs.codec import Context
from djq.codecs.compression import PREFIX
from djq.codecs.registry import get, resolve
from djq.errors import (
    CodecError,
    ConfigError,
    ObjectCorruptedError,
    ObjectMissingError,
    StoreUnavailableError,
)
from djq.storage.content import ContentStore
from djq.storage.filesystem import FolderStore
from tests.support.counting import CountingStore
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from djq.objects.arrayref import ArrayRef


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(memory: MemoryStore) -> CountingStore:
    return CountingStore(memory)


def put(array, store) -> dict:
    return get("array").encode(array, context=context(store))


def fetched(row: dict, store) -> ArrayRef:
    found = get("array").decode(row, context=context(store))
    if isinstance(store, CountingStore):
        store.n_bytes = store.n_requests = 0
    return found


def context(store) -> Context:
    return Context(store_name="raw", open_store=lambda name: ContentStore(name, store))


@pytest.fixture
def noise() -> np.ndarray:
    """64 MB that do not shrink: the arithmetic of chunks is that of any larger array."""
    return np.random.default_rng(1).integers(0, 2**16, (65_536, 512), dtype=np.uint16)


def test_what_the_row_says_needs_no_read(store):
    ref = fetched(put(np.zeros((3, 4), "<i2"), store), store)
    assert (ref.shape, ref.dtype, ref.ndim, ref.size, ref.nbytes) == ((3, 4), "<i2", 2, 12, 24)
    assert (len(ref), ref.store) == (3, "raw")
    assert repr(ref) == 'ArrayRef(shape=(3, 4), dtype=int16, store="raw")'
    assert ref.path in store.puts
    assert ref.stored_bytes == len(store.inner.objects[ref.path])
    assert store.n_requests == 0


def test_one_percent_of_the_rows_reads_two_percent_of_the_bytes_at_most(store, noise):
    # 16 slabs here, 256 in 1 GB: a slice of 1 % is less than one slab, and in at most two
    row = put(noise, store)
    ref = fetched(row, store)
    assert np.array_equal(ref[30_000:30_040], noise[30_000:30_040])
    assert store.n_bytes <= 2 * (4 << 20) + row["head"]
    assert store.n_requests <= 2


def test_one_column_reads_a_sixteenth(store, noise):
    row = put(noise, store)
    ref = fetched(row, store)
    assert np.array_equal(ref[:, 77], noise[:, 77])
    assert store.n_bytes <= row["size"] / 16 + row["head"]


def test_scattered_points_read_the_chunks_that_they_are_in(store, noise):
    ref = fetched(put(noise, store), store)
    assert np.array_equal(ref[[5, 60_000, 6], [1, 500, 2]], noise[[5, 60_000, 6], [1, 500, 2]])
    assert store.n_bytes <= 2 * (256 << 10) + ref._chunked.n_head


def test_the_head_is_read_once_by_many_threads(store, noise):
    ref = fetched(put(noise[:4096], store), store)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda i: ref[i], range(64)))
    assert all(np.array_equal(row, noise[i]) for i, row in enumerate(rows))
    assert store.n_requests == 1 + 64


def test_iteration_reads_blocks_and_each_chunk_once(store, noise):
    row = put(noise, store)
    ref = fetched(row, store)
    blocks = list(ref.blocks(max_bytes=10_000_000))
    assert max(block.nbytes for block in blocks) <= 10_000_000
    assert np.array_equal(np.concatenate(blocks), noise)
    assert store.n_bytes == row["size"]
    assert sum(1 for _ in ref) == len(noise)


def test_an_array_in_fortran_order_or_with_strides_is_stored_as_it_looks(store):
    array = np.asfortranarray(np.arange(600).reshape(20, 30))[::2, ::-3]
    assert np.array_equal(fetched(put(array, store), store).load(), array)


def test_equal_arrays_have_equal_handles(store):
    one, same, other = (fetched(put(np.arange(n), store), store) for n in (5, 5, 6))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != 5
    assert len(list(store.list("hash"))) == 2


@pytest.mark.parametrize("dtype", [None, "f8", ">i4"])
def test_numpy_gets_the_array_in_memory_of_its_own(store, dtype):
    ref = fetched(put(np.arange(5, dtype="i4"), store), store)
    found = np.asarray(ref, dtype=dtype)
    assert found.dtype == np.dtype(dtype or "i4")
    assert found.tolist() == [0, 1, 2, 3, 4]
    assert found.flags.writeable
    assert np.array(ref, copy=True).tolist() == found.tolist()
    with pytest.raises(ValueError, match="without a copy"):
        np.array(ref, copy=False)
    assert np.mean(ref) == 2


def test_fields_are_taken_of_the_whole_array(store):
    array = np.array([(1, 2.5), (3, 4.5)], dtype=np.dtype([("a", "u1"), ("b", "f8")], align=True))
    ref = fetched(put(array, store), store)
    assert ref["b"].tolist() == [2.5, 4.5]
    assert ref[["b"]].dtype.names == ("b",)
    assert ref.dtype.isalignedstruct


def test_an_array_without_axes_has_no_length_and_no_rows(store):
    ref = fetched(put(np.array(7), store), store)
    assert ref[()] == 7
    assert [block.item() for block in ref.blocks()] == [7]
    for ask in (len, iter):
        with pytest.raises(TypeError, match="without axes"):
            ask(ref)


def test_a_handle_of_a_folder_survives_pickling(tmp_path):
    folder = FolderStore(tmp_path / "raw")
    ref = fetched(put(np.arange(5), folder), folder)
    again = pickle.loads(pickle.dumps(ref))
    assert again == ref
    assert again[1:3].tolist() == [1, 2]
    assert copy.deepcopy(ref) is copy.copy(ref) is ref


def test_a_handle_of_another_store_is_opened_by_the_settings_of_the_other_process(
    store, tmp_path, monkeypatch
):
    array = np.arange(5)
    pickled = pickle.dumps(fetched(put(array, store), store))
    assert b"MemoryStore" not in pickled
    put(array, FolderStore(tmp_path / "there"))
    monkeypatch.setenv("DJQ_STORES__RAW__URL", str(tmp_path / "there"))
    assert pickle.loads(pickled).load().tolist() == array.tolist()
    monkeypatch.delenv("DJQ_STORES__RAW__URL")
    monkeypatch.setenv("DJQ_DATABASE_URL", "mysql+pymysql://far.example/")
    with pytest.raises(ConfigError, match='store "raw" is not set'):
        pickle.loads(pickled)


def test_a_missing_object_is_named(store, memory):
    ref = fetched(put(np.arange(5), store), store)
    memory.objects.clear()
    for read in (ref.load, lambda: ref[0], lambda: next(ref.blocks())):
        with pytest.raises(ObjectMissingError, match=rf'store "raw", object {ref.path}'):
            read()


def test_a_store_that_does_not_answer_is_named_with_the_object(store, monkeypatch):
    ref = fetched(put(np.arange(5), store), store)

    def fail(*_: object) -> None:
        message = "away"
        raise StoreUnavailableError(message)

    monkeypatch.setattr(store, "get_ranges", fail)
    with pytest.raises(StoreUnavailableError, match=rf'store "raw", object {ref.path}: away'):
        ref.load()


def test_every_damaged_byte_is_noticed_by_who_reads_it(store, memory):
    array = np.random.default_rng(0).integers(0, 256, 300, dtype=np.uint8)
    row = put(array, store)
    whole = memory.objects[row["path"]]
    for position in range(len(whole)):
        memory.objects[row["path"]] = _changed(whole, position)
        ref = fetched(row, store)
        for read in (ref.load, lambda ref=ref: ref[3]):
            with pytest.raises(ObjectCorruptedError, match=rf'store "raw", object {ref.path}: '):
                read()


def _changed(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x11]) + data[position + 1 :]


@pytest.mark.parametrize("n_left", [0, 10, PREFIX.size + 5, -1])
def test_an_object_that_is_cut_off_is_refused(store, memory, n_left):
    row = put(np.arange(300), store)
    memory.objects[row["path"]] = memory.objects[row["path"]][:n_left]
    for read in (lambda ref: ref.load(), lambda ref: ref[-1]):
        with pytest.raises(ObjectCorruptedError, match="cut off"):
            read(fetched(row, store))


@pytest.mark.parametrize(
    ("name", "value"), [("shape", [3]), ("dtype", "<u8"), ("size", 5), ("head", 3), ("head", 40)]
)
def test_a_row_that_does_not_fit_its_object_is_refused(store, name, value):
    row = put(np.arange(300), store)
    with pytest.raises(ObjectCorruptedError, match='store "raw", object hash/'):
        _ = fetched(row | {name: value}, store)[0]


def test_another_object_of_the_same_shape_is_noticed_when_all_is_read(store, memory):
    one, other = put(np.zeros(300), store), put(np.ones(300), store)
    memory.objects[one["path"]] = memory.objects[other["path"]]
    with pytest.raises(ObjectCorruptedError, match="another hash than its address says"):
        fetched(one | {"size": other["size"]}, store).load()


@pytest.mark.parametrize(
    ("name", "value"),
    [("shape", "x"), ("shape", [-1]), ("shape", [1] * 65), ("dtype", "O"), ("dtype", None),
     ("head", None), ("head", -1), ("head", True), ("head", 2**40), ("head", 2**70)],
)  # fmt: skip
def test_a_row_that_djq_did_not_write_is_refused(store, name, value):
    with pytest.raises(CodecError):
        fetched(put(np.arange(3), store) | {name: value}, store)


@pytest.mark.parametrize(
    ("value", "words"),
    [([1, 2], "not list: pass numpy.asarray"), (None, "not NoneType"), (1.5, "<blob@store>"),
     (np.float64(3), "not float64"), (np.array([{}]), "not ndarray of object"),
     (np.zeros(1, "T"), "not ndarray of StringDType"),
     (np.ma.masked_array([1]), "not MaskedArray of int64: convert it")],
)  # fmt: skip
def test_what_is_no_array_is_refused_with_advice(value, words):
    with pytest.raises(TypeError, match=words):
        get("array").validate(value)


def test_a_handle_is_stored_again_as_the_object_that_it_is(store):
    ref = fetched(put(np.arange(5), store), store)
    get("array").validate(ref)
    assert put(ref, store) == put(np.arange(5), store)
    elsewhere = MemoryStore()
    row = put(ref, elsewhere)
    assert elsewhere.objects[row["path"]] == store.inner.objects[ref.path]
    assert np.array_equal(fetched(row, elsewhere).load(), np.arange(5))


def test_an_array_belongs_in_a_store():
    with pytest.raises(CodecError, match="<array@store>"):
        resolve("array", None)
    assert resolve("array", "raw").column == "json"


def test_a_hostile_shape_takes_no_memory(store):
    row = put(np.zeros(3, "u1"), store)
    with pytest.raises(CodecError, match="more elements than an array has"):
        fetched(row | {"shape": [2**62, 2**62]}, store)
    with pytest.raises(ObjectCorruptedError):
        fetched(row | {"shape": [2**62]}, store).load()
