"""Values that blobs must carry, for the tests of codecs and of whatever stores blobs."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

DTYPES = (
    "?", "i1", "u1", "<i2", ">i2", "<i4", ">u4", "<i8", ">i8", "<u8", "<f2", "<f4", ">f4", "<f8",
    ">f8", "<c8", ">c8", "<c16", "g", "G", "S1", "S5", "S300", "U1", "U5", ">U3", "V1", "V5",
    "<M8[ns]", ">M8[us]", "M8[D]", "M8[25s]", "M8", "<m8[ms]", "m8",
)  # fmt: skip
STRUCTURED = (
    [("a", ">i4"), ("b", "<f8"), ("c", "<U3")],
    [("a", "<i4", (2, 3)), ("b", [("x", "<f8"), ("y", "S2")])],
    [(("a title", "a"), "<i4"), ("b", "u1")],
    {"names": ["a", "b"], "formats": ["i1", "<i2"], "offsets": [4, 0], "itemsize": 16},
    np.dtype([("a", "i1"), ("b", "<f8")], align=True),
    [],
)
SHAPES = ((), (0,), (1,), (7,), (3, 0, 2), (4, 5), (2, 1, 3, 1), (1,) * 32)
Texts = np.dtypes.StringDType


def objects(*items: object, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return an array of Python objects, none of them taken apart."""
    array = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):
        array[position] = item
    return array.reshape((len(items),) if shape is None else shape)


#: Arrays that are more than bytes.
OBJECTS = (
    objects(1, None, "ä"), objects(1, 2.5, b"x", (), {}, [], shape=(2, 3)), objects([1], shape=()),
    objects(shape=(3, 0)), objects([1, 2], np.array(5), np.arange(3), np.arange(1000), {"a": (1,)}),
    objects(objects(objects(2**70, Decimal(1)))),
)  # fmt: skip
TEXTS = (
    np.array(["", "ä\0", "x" * 1000], Texts()), np.array("x", Texts()), np.empty((2, 0), Texts()),
    np.array([["a", None]], Texts(na_object=None)), np.array(["1"], Texts(coerce=False)),
    np.array(["a", np.nan], Texts(na_object=np.nan, coerce=False)),
)  # fmt: skip
STRUCTURED_OBJECTS = (
    np.array([(1, "x", [1, 2]), (2, [3], [3, 4])], [("a", ">i4"), ("b", "O"), ("c", "u1", 2)]),
    np.rec.array([(1, "x")], dtype=[("a", "i4"), ("b", "O")]), np.zeros((2, 0), [("a", "O")]),
    np.array((1, ((2,), 2.5)), [("a", "i4"), ("b", [("p", "O"), ("q", "f8")])]),
    np.array([(1, [None, {}])], [("a", "i4"), ("b", "O", (2,))]), np.zeros(2, [(("t", "a"), "O")]),
    np.zeros(3, np.dtype([("a", "i1"), ("b", "O")], align=True)),
    np.array([(1, "x")], [("a", "i4"), ("b", "O")])[0],
    np.rec.array([(1, "x")], dtype=[("a", "i4"), ("b", "O")])[0],
)  # fmt: skip
MASKED = (
    np.ma.array([1.0, 2], mask=[0, 1]), np.ma.array([1, 2]), np.ma.zeros((0, 3)), np.ma.masked,
    np.ma.array([1, 2], mask=[0, 1], fill_value=7, hard_mask=True), np.ma.array(5, mask=True),
    np.ma.array(np.arange(1000.0), mask=np.arange(1000) % 3 == 0),
    np.ma.array([["a", "bc"]], mask=[[1, 0]], fill_value="q"),
    np.ma.array(np.array(["2020"], "M8[D]"), mask=[1], fill_value=np.datetime64("2021-01-01")),
    np.ma.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")], mask=[(0, 1)], fill_value=(3, 4)),
    np.ma.array(np.zeros(2, [("a", "i4", (2, 2))])), np.ma.array(TEXTS[0], mask=[1, 0, 0]),
    np.ma.array(objects(1, "a"), mask=[0, 1]), np.ma.array(objects(1), fill_value="none"),
    np.ma.array(np.rec.array([(1, 2)]), mask=[(0, 1)]), np.ma.array(STRUCTURED_OBJECTS[0]),
)  # fmt: skip
MORE_THAN_BYTES = (*OBJECTS, *TEXTS, *STRUCTURED_OBJECTS, *MASKED)
BERLIN = ZoneInfo("Europe/Berlin")
PLAIN = (
    None, True, False, 0, -1, 127, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 2**4000, -(2**4000),
    0.0, 1.5, -math.inf, 1 + 2j, complex(-0.0, math.inf), "", "ä日\0", b"", b"\xff" * 3000,
    datetime(2020, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001 - naive on purpose
    datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, fold=1),  # noqa: DTZ001
    date.min, date.max, time.max,
    datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30, seconds=-7))),
    time(1, 2, tzinfo=UTC), timedelta.min, timedelta.max, timedelta(microseconds=-1),
    Decimal("1.50"), Decimal("-Infinity"), Decimal("1E-1000"), UUID(int=5), [], (), {}, set(),
    frozenset(), [[]], [1, [2, (3, {4})]], {"a": {1: (b"", None), (1, (2,)): [1.5]}, None: []},
    {1, "a", (2, frozenset({3}))}, "x" * 5000, list(range(70_000)), dict.fromkeys(range(70_000)),
    [0] * 1_000_000, tuple(range(70_000)), [[(1, [2] * 70_000)]],
)  # fmt: skip
SCALARS = (
    np.float64(1.5), np.int8(-3), np.bool_(True), np.str_("ä"), np.str_(""), np.bytes_(b"a"),
    np.datetime64("2020-01-01", "ns"), np.timedelta64(3, "s"), np.complex64(1j), np.longdouble(2),
)  # fmt: skip


def same(left: object, right: object) -> bool:
    """Whether two values are equal in all that a blob promises to keep."""
    return type(left) is type(right) and _same(left, right)


def _same(left: Any, right: Any) -> bool:
    match left:
        case np.ndarray() | np.generic():
            return _same_arrays(left, right)
        case list() | tuple():
            return len(left) == len(right) and all(map(same, left, right))
        case dict():
            return same([*left.items()], [*right.items()])
        case float() | complex() | Decimal():
            return repr(left) == repr(right)
        case datetime() | time():
            bare = left.replace(tzinfo=None) == right.replace(tzinfo=None)
            return bare and left.fold == right.fold and left.tzinfo == right.tzinfo
        case _:
            return left == right


def _same_arrays(left: Any, right: Any) -> bool:
    if isinstance(left, np.ma.MaskedArray):
        return _same_masks(left, right)
    if left.dtype.hasobject:
        return _same_objects(np.asarray(left), np.asarray(right))
    is_same = left.dtype == right.dtype and left.shape == right.shape
    # The 6 bytes that pad an extended float may hold anything.
    is_long = left.dtype.char in "gG"
    return is_same and (
        np.array_equal(left, right) if is_long else left.tobytes() == right.tobytes()
    )


def _same_masks(left: Any, right: Any) -> bool:
    # The private attribute is None where none was chosen.
    return (
        same(left.data, right.data)
        and (left.mask is np.ma.nomask) == (right.mask is np.ma.nomask)
        and same(left.mask, right.mask)
        and (left._fill_value is None) == (right._fill_value is None)
        and (left._fill_value is None or same(*map(_fill_value, (left, right))))
        and left.hardmask == right.hardmask
    )


def _fill_value(array: Any) -> np.ndarray:
    # NumPy's default for objects and texts is of another dtype.
    return np.asarray(array.fill_value).astype(array.dtype)


def _same_objects(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype != right.dtype or left.dtype.type is not right.dtype.type:
        return False
    if left.dtype.names is not None:
        return all(same(left[name], right[name]) for name in left.dtype.names)
    return left.shape == right.shape and same(left.ravel().tolist(), right.ravel().tolist())


_arrays = npst.arrays(
    dtype=st.one_of(
        npst.scalar_dtypes(),
        npst.array_dtypes(npst.scalar_dtypes(), max_size=3),
        npst.nested_dtypes(npst.scalar_dtypes(), max_leaves=3),
    ).filter(lambda dtype: dtype.kind != "T"),
    shape=npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6),
)
_zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.just(BERLIN),
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
)
_hashable = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(),
    st.dates(), st.datetimes(timezones=_zones), st.times(), st.timedeltas(),
    st.decimals(allow_nan=False), st.uuids(), st.complex_numbers(allow_nan=False),
)  # fmt: skip
_keys = st.recursive(
    _hashable, lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner)), max_leaves=4
)
_scalars = _arrays.filter(lambda array: array.size > 0).map(lambda array: array.flat[0])
_shapes = npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
_texts = st.builds(
    lambda items, options: np.array(items, Texts(**options)),
    st.lists(st.text()),
    st.sampled_from([{}, {"coerce": False}, {"na_object": None}, {"na_object": math.nan}]),
)


@st.composite
def object_arrays(draw: st.DrawFn, elements: st.SearchStrategy[Any]) -> np.ndarray:
    """Return arrays of Python objects, of any shape."""
    shape = draw(_shapes)
    n_items = math.prod(shape)
    return objects(*draw(st.lists(elements, min_size=n_items, max_size=n_items)), shape=shape)


@st.composite
def structured_arrays(draw: st.DrawFn, elements: st.SearchStrategy[Any]) -> np.ndarray:
    """Return structured arrays, or records, with a field of Python objects."""
    column = draw(object_arrays(elements))
    dtype = np.dtype([("n", ">i4"), ("value", "O")], align=draw(st.booleans()))
    array = np.zeros(column.shape, dtype)
    array["value"] = column
    return array.view(np.recarray) if draw(st.booleans()) else array


@st.composite
def masked_arrays(draw: st.DrawFn, arrays: st.SearchStrategy[np.ndarray]) -> np.ma.MaskedArray:
    """Return arrays with any mask, or none, and any fill value."""
    array = draw(arrays)
    mask = np.zeros(array.shape, np.ma.make_mask_descr(array.dtype))
    if mask.nbytes:
        chance = np.random.default_rng(draw(st.integers(0, 1000)))
        mask = np.frombuffer(chance.integers(0, 2, mask.nbytes, "u1"), mask.dtype)
        mask = mask.reshape(array.shape)
    with np.errstate(over="ignore"):
        masked = np.ma.MaskedArray(array, draw(st.sampled_from([np.ma.nomask, mask])))
    if array.size and array.dtype.kind not in "OT" and draw(st.booleans()):
        masked.fill_value = array.flat[0]
    if draw(st.booleans()):
        masked.harden_mask()
    return masked


#: Anything that a blob carries.
values = st.recursive(
    st.one_of(
        _keys, st.floats(), _arrays, _scalars, st.sets(_hashable), _texts, masked_arrays(_arrays)
    ),
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(_keys, inner),
        st.tuples(inner, inner),
        st.tuples(inner),
        object_arrays(inner),
        structured_arrays(inner),
        masked_arrays(object_arrays(inner)),
    ),
    max_leaves=12,
)


def short_name(value: object) -> str:
    """Return a test's name, the same in every process: no address, no order of sets."""
    if isinstance(value, np.ma.MaskedArray):
        # Its repr would settle the fill value.
        return "masked array"
    text = repr(value)
    return type(value).__name__ if " at 0x" in text or "{" in text else text[:30]
