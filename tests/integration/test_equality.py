"""Values of mappings are compared as a column keeps them; what it cannot hold equals no row."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

import djq as dj
from djq.errors import QueryError

MOMENT = dt.datetime.fromisoformat("2024-01-02 03:04:05")
ROW = {
    "id": 1,
    "small": 1,
    "amount": Decimal("1.01"),
    "weight": 1.5,
    "flag": True,
    "day": MOMENT.date(),
    "started": MOMENT,
    "precise": MOMENT.replace(microsecond=678_000),
    "name": "abcd",
    "count": 7,
    "price": Decimal("2.50"),
    "lasts": dt.timedelta(hours=1),
    "stamp": MOMENT,
    "note": None,
}


@pytest.fixture
def table(schema):
    @schema
    class Value(dj.Manual):
        definition = """
        id : int32
        ---
        small : int8
        amount : decimal(6,2)
        weight : float32
        flag : bool
        day : date
        started : datetime
        precise : datetime(3)
        name : varchar(4)
        count : int unsigned
        price : decimal(6,2) unsigned
        lasts : time
        stamp : timestamp
        note = null : int16
        """

    Value.insert1(ROW)
    return Value


#: By attribute: what equals the row's value in other words.
SAME = {
    "small": [1, 1.0, "1", True, np.bool_(True), np.int64(1), Decimal("1.0")],
    "amount": [1.01, "1.01", Decimal("1.0100"), np.float64(1.01)],
    "weight": [1.5, np.float32(1.5), "1.5"],
    "flag": [1, True, np.bool_(True)],
    "day": [
        "2024-01-02",
        "2024-01-02 00:00:00",
        dt.datetime.fromisoformat("2024-01-02"),
        np.datetime64("2024-01-02"),
    ],
    "started": ["2024-01-02 03:04:05", np.datetime64("2024-01-02T03:04:05")],
    "precise": ["2024-01-02 03:04:05.678", "2024-01-02 03:04:05.678000"],
    "count": [7.0, "7", np.int32(7)],
    "price": [2.5, "2.5"],
    "lasts": ["01:00:00", dt.time(1), np.timedelta64(1, "h")],
    "stamp": ["2024-01-02 03:04:05"],
}
#: By attribute: what an insert would round or cut to the row's value.
ROUNDED = {
    "amount": [Decimal("1.0051"), 1.0099, "1.005"],
    "day": [
        dt.datetime.fromisoformat("2024-01-02 03:04"),
        np.datetime64("2024-01-02T03:04"),
    ],
    "started": [MOMENT.replace(microsecond=300_000), "2024-01-02 03:04:04.7"],
    "precise": [MOMENT.replace(microsecond=678_400)],
    "price": [Decimal("2.501")],
    "lasts": [dt.timedelta(hours=1, microseconds=400_000), "01:00:00.4"],
    "stamp": ["2024-01-02 03:04:05.4"],
}
#: By attribute: other values, and what the column cannot hold.
NONE = {
    "small": [1.5, 300, -(2**70), Decimal("1.1"), np.float64(1.25)],
    "amount": [Decimal("1.0049"), 10**4, 10**40, Decimal("inf")],
    "weight": [1e39, 1.25],
    "day": [dt.datetime.fromisoformat("2024-01-03 00:00")],
    "started": [MOMENT.replace(microsecond=500_000), dt.date(2024, 1, 2)],
    "precise": [MOMENT.replace(microsecond=678_500)],
    "name": ["abcde", "abcd ", "ABCD"],
    "count": [-1, 7.5, 2**40],
    "price": [-2.5],
    "lasts": [dt.timedelta(hours=1, microseconds=500_000), dt.timedelta(hours=1000)],
    "stamp": [dt.datetime.fromisoformat("1969-01-01")],
}


def forms(name, value):
    """Return a mapping in the forms in which rows are looked for."""
    yield {name: value}
    yield {"id": 1, name: value}
    yield {name: [value]}
    yield [{name: value}, {name: value}]
    yield [{"id": 1, name: value}, {"id": 2, name: value}]


def test_values_are_found_in_other_words(table):
    for name, values in SAME.items():
        for value in values:
            for condition in forms(name, value):
                assert len(table & condition) == 1, condition
                assert len(table - condition) == 0, condition


def test_a_row_is_found_by_what_an_insert_would_round(table):
    for name, values in ROUNDED.items():
        for value in values:
            table.delete(prompt=False)
            table.insert1(ROW | {name: value})
            for condition in forms(name, value):
                assert len(table & condition) == 1, condition
                assert len(table - condition) == 0, condition
            assert len(table & ROW) == 1


def test_a_value_that_a_column_cannot_hold_equals_no_row(table):
    for name, values in NONE.items():
        for value in values:
            for condition in forms(name, value):
                assert len(table & condition) == 0, condition
                assert len(table - condition) == 1, condition
                assert condition not in table
            assert len(table & {name: [value, ROW[name]]}) == 1
            assert len(table & [{name: value}, {name: ROW[name]}]) == 1


def test_lists_of_values_may_be_empty_and_hold_nulls(table):
    assert len(table & {"small": []}) == 0
    assert len(table - {"small": []}) == 1
    assert len(table & {"note": [None, 5]}) == 1
    assert len(table & {"note": [4, 5]}) == 0
    assert len(table & [{"note": None}, {"note": [4, 5]}]) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("small", "x"),
        ("amount", "x"),
        ("amount", Decimal("nan")),
        ("amount", Decimal("snan")),
        ("small", Decimal("snan")),
        ("weight", float("nan")),
        ("day", "2024-02-30"),
        ("name", 5),
        ("count", "x"),
        ("lasts", "x"),
        ("stamp", 5),
    ],
)
def test_a_value_of_another_kind_is_refused(table, name, value):
    with pytest.raises(QueryError, match=rf'cannot compare "{name}" : .* with'):
        table & {name: value}


def test_bools_of_numpy_are_bools(table):
    assert len(table & np.bool_(True)) == 1
    assert len(table & np.bool_(False)) == 0
    assert len(table - np.bool_(True)) == 0
    assert len(table & [np.bool_(False), np.bool_(True)]) == 1
    assert len(table & dj.AndList([np.bool_(True), {"id": 1}])) == 1
    assert len(table & (np.array([1]) > 0)) == 1


def test_values_of_numpy_are_compared_with_computed_ones(table):
    query = table.proj(twice="small * 2", is_small="small < 5", at="started")

    assert len(query & {"twice": np.int64(2)}) == 1
    assert len(query & {"twice": [np.int64(2), np.float64(3)]}) == 1
    assert len(query & {"is_small": np.bool_(True)}) == 1
    assert len(query & {"at": np.datetime64("2024-01-02T03:04:05")}) == 1
