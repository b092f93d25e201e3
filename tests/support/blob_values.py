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
            is_same = left.dtype == right.dtype and left.shape == right.shape
            # The 6 bytes that pad an extended float may hold anything.
            is_long = left.dtype.char in "gG"
            return is_same and (
                np.array_equal(left, right) if is_long else left.tobytes() == right.tobytes()
            )
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
#: Anything that a blob carries.
values = st.recursive(
    st.one_of(_keys, st.floats(), _arrays, _scalars, st.sets(_hashable)),
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(_keys, inner), st.tuples(inner, inner), st.tuples(inner)
    ),
    max_leaves=12,
)


def short_name(value: object) -> str:
    """Return a test's name, the same in every process: no address, no order of sets."""
    text = repr(value)
    return type(value).__name__ if " at 0x" in text or "{" in text else text[:30]
