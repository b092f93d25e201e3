"""Whatever the array and the index, a handle gives what NumPy gives of the array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from djq.codecs import grids
from djq.codecs.codec import Context
from djq.codecs.registry import get
from djq.storage.content import ContentStore
from tests.support.blob_values import same
from tests.support.examples import examples
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from djq.objects.arrayref import ArrayRef

#: What the elements are like only matters beside how they are cut.
_DTYPES = (
    "?", "u1", "<i2", ">i4", "<f8", ">c8", "<U3", "S5", "<M8[ns]", "<m8[s]", "V3",
    np.dtype([("a", "<i4"), ("b", "S2", (2,))]), np.dtype([("x", "u1"), ("y", ">f8")]),
    np.dtype((np.record, [("a", "<i4"), ("b", "<f4")])),
)  # fmt: skip
_shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)


@st.composite
def arrays_(draw: st.DrawFn) -> np.ndarray:
    shape, dtype = draw(_shapes), np.dtype(draw(st.sampled_from(_DTYPES)))
    raw = np.random.default_rng(draw(st.integers(0, 99))).integers(
        0, 100, int(np.prod(shape)) * dtype.itemsize, dtype=np.uint8
    )
    if dtype.kind == "U":
        raw = raw.copy()
        raw.reshape(-1, 4)[:, 1:] = 0
    if dtype.kind == "b":
        raw &= 1
    array = np.empty(shape, dtype)
    if array.nbytes:
        array.reshape(-1).view(np.ndarray).view(np.uint8)[:] = raw
    return array.view(np.recarray) if dtype.type is np.record else array


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    basic = npst.basic_indices(shape, allow_newaxis=True, max_dims=6)
    choices = [basic]
    if shape and all(shape):
        choices += [npst.integer_array_indices(shape), mixed(shape), masks(shape)]
    return draw(st.one_of(choices))


@st.composite
def mixed(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Arrays, lists, slices, numbers, new axes and an ellipsis, in any order that NumPy takes."""
    common = draw(npst.array_shapes(min_dims=1, max_dims=2, max_side=4))
    items: list[Any] = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        numbers = st.integers(-size, size - 1)
        items.append(
            draw(
                st.one_of(
                    numbers,
                    st.slices(size),
                    npst.arrays(np.int64, common, elements=numbers),
                    st.lists(numbers, min_size=common[-1], max_size=common[-1]),
                )
            )
        )
    if draw(st.booleans()):
        items.insert(
            len(items) if len(items) < len(shape) else draw(st.integers(0, len(items))), ...
        )
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    return tuple(items)


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    start = draw(st.integers(0, len(shape) - 1))
    stop = draw(st.integers(start + 1, len(shape)))
    mask = draw(npst.arrays(bool, shape[start:stop]))
    return (*[slice(None)] * start, mask, *[draw(st.integers(0, n - 1)) for n in shape[stop:][:1]])


def stored(array: np.ndarray, codec: str = "array") -> Any:
    place = ContentStore("raw", MemoryStore())
    context = Context(store_name="raw", open_store=lambda _: place)
    with patch.object(grids, "TILE_BYTES", 64), patch.object(grids, "CHUNK_BYTES", 256):
        row = get(codec).encode(array, context=context)
    return get(codec).decode(row, context=context)


@given(arrays_(), st.data())
@settings(max_examples=examples(1500))
def test_an_index_picks_what_it_picks_of_the_array(array: np.ndarray, data: st.DataObject):
    ref: ArrayRef = stored(array)
    for _ in range(3):
        index = data.draw(indices(array.shape))
        assert same(ref[index], array[index])


@given(arrays_())
@settings(max_examples=examples(300))
def test_the_whole_array_comes_back(array: np.ndarray):
    ref: ArrayRef = stored(array)
    assert (ref.shape, ref.dtype, ref.ndim) == (array.shape, array.dtype, array.ndim)
    assert (ref.size, ref.nbytes) == (array.size, array.nbytes)
    assert same(ref.load(), array)
    assert same(np.asarray(ref), np.asarray(array))
    start = 0
    for block in ref.blocks(max_bytes=100):
        assert same(block, array[start : start + len(block)] if array.shape else array)
        start += len(block) if array.shape else 0
    if array.shape:
        assert start == len(ref) == len(array) == len(list(ref))


@given(arrays_(), st.data())
@settings(max_examples=examples(300))
def test_what_numpy_refuses_is_refused_with_its_words(array: np.ndarray, data: st.DataObject):
    ref: ArrayRef = stored(array)
    size = max(array.shape, default=0)
    wrong = data.draw(
        st.sampled_from(
            [size, (0,) * 5, 1.5, "x", [[9]], (..., ...), np.zeros(size + 1, bool), object()]
        )
    )
    assert same(outcome(ref, wrong), outcome(array, wrong))


def outcome(indexed: Any, index: Any) -> Any:
    """Return what the index gives, or the class and words of the error."""
    try:
        return indexed[index]
    except (IndexError, ValueError) as error:
        return type(error).__name__, str(error)


@given(arrays_().filter(lambda a: a.dtype.type is not np.record and a.dtype.itemsize), st.data())
@settings(max_examples=examples(500))
def test_a_npy_file_gives_what_the_array_gives(array: np.ndarray, data: st.DataObject):
    orders = (np.asarray, np.asfortranarray, lambda array: array[::2, ..., ::-1][..., ::2])
    array = data.draw(st.sampled_from(orders[: 3 if array.ndim > 1 else 2]))(array)
    ref = stored(array, "npy")
    index = data.draw(indices(array.shape))
    assert same(ref[index], array[index])
    assert same(ref.load(), array)
    assert same(ref[index], array[index])
