"""Digests are equal if and only if the values are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import itertools
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from djq.errors import UsageError
from djq.objects.handle import ObjectRef
from djq.populate.digests import digest


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Opaque:
    pass


#: No two of these are equal.
DISTINCT = [
    None,
    True,
    1,
    1.0,
    1.5,
    "1",
    b"1",
    1j,
    [],
    [1],
    [[1]],
    [1, [2]],
    [[1], 2],
    ["ab", "c"],
    ["a", "bc"],
    {"a": 1},
    {"a": 2},
    {"b": 1},
    {},
    {1, 2},
    {1, 3},
    frozenset(),
    dt.date(2026, 1, 1),
    dt.datetime(2026, 1, 1),  # noqa: DTZ001 - as rows have them
    dt.timedelta(1),
    decimal.Decimal("1.50"),
    uuid.UUID(int=1),
    np.arange(3),
    np.arange(3, dtype="int32"),
    np.arange(3).reshape(3, 1),
    np.array([1, "x", None], dtype=object),
    np.array([1, "y", None], dtype=object),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    np.array([(1, 2.5)], dtype=[("a", "i4"), ("c", "f8")]),
    np.float32(1),
    Colour.RED,
    Colour.BLUE,
    Point(1, 2),
    Point(2, 1),
    pd.DataFrame({"a": [1, 2]}),
    pd.DataFrame({"a": [1, 3]}),
    pd.DataFrame({"a": [1, 2]}, index=[5, 6]),
    pd.Series([1, 2], name="a"),
    pl.DataFrame({"a": [1, 2]}),
    pl.DataFrame({"a": [1, 3]}),
    pa.table({"a": [1, 2]}),
]


def test_different_values_have_different_digests():
    found = [digest(value) for value in DISTINCT]

    equal = [
        (DISTINCT[i], DISTINCT[j])
        for i, j in itertools.combinations(range(len(found)), 2)
        if found[i] == found[j]
    ]
    assert equal == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        ((1, 2), [1, 2]),
        (float("nan"), float("nan")),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0])),
        (np.arange(6).reshape(2, 3).T, np.ascontiguousarray(np.arange(6).reshape(2, 3).T)),
        (np.float64(1.5), np.array(1.5)),
        (pd.DataFrame({"a": ["x", None]}), pd.DataFrame({"a": ["x", None]})),
        (Point(1.0, 2.0), Point(1.0, 2.0)),
        ([{"a": np.arange(2)}], [{"a": np.arange(2)}]),
    ],
)
def test_equal_values_have_equal_digests(first, second):
    assert digest(first) == digest(second)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (Opaque(), r"value is of type .*Opaque"),
        ([1, {"a": Opaque()}], r"value\[1\]\['a'\] is of type"),
        (np.array([0, Opaque()], dtype=object), r"value\[1\] is of type"),
        ({"f": len}, r"value\['f'\] is of type builtins"),
    ],
)
def test_what_has_no_value_is_refused_with_its_place(value, where):
    with pytest.raises(UsageError, match=where):
        digest(value)


def test_handles_of_objects_count_by_what_their_rows_say():
    row = {"path": "a", "store": "raw", "size": 3, "sha256": "00"}
    one, same = (ObjectRef("a", "raw", 3, sha256="00", open_store=f) for f in (str, None))
    assert digest([one]) == digest([same]) == digest([ObjectRef.from_json(row)])
    assert digest([one]) != digest([ObjectRef.from_json(row | {"sha256": "11"})])
    assert digest(one) != digest(one.to_json())
