"""Aggregated decimals are numbers on every database: 9.75 < 10 < 98.10, which texts are not."""

from __future__ import annotations

from decimal import Decimal

import pytest

import djq as dj

AMOUNTS = {1: ["9.50", "0.25"], 2: ["10.00"], 3: ["100.10", "-2.00"], 4: ["-10.00"], 5: []}
#: By aggregate: the groups in the order of its values, and those with more than 9.
EXPECTED = {
    "sum(amount)": ([5, 4, 1, 2, 3], [1, 2, 3]),
    "avg(amount)": ([5, 4, 1, 2, 3], [2, 3]),
    "min(amount)": ([5, 4, 3, 1, 2], [2]),
    "max(amount)": ([5, 4, 1, 2, 3], [1, 2, 3]),
    "sum(distinct amount)": ([5, 4, 1, 2, 3], [1, 2, 3]),
    "sum(amount) + 0.5": ([5, 4, 1, 2, 3], [1, 2, 3]),
}


@pytest.fixture
def tables(schema):
    @schema
    class Account(dj.Manual):
        definition = "account : int32"

    @schema
    class Booking(dj.Manual):
        definition = """
        -> Account
        booking : int32
        ---
        amount : decimal(8,2)
        """

    Account.insert([(n,) for n in AMOUNTS])
    Booking.insert([(n, i, a) for n, many in AMOUNTS.items() for i, a in enumerate(many)])
    return Account, Booking


@pytest.mark.parametrize("text", EXPECTED)
def test_they_are_ordered_and_compared_as_numbers(tables, text):
    account, booking = tables
    query = account.aggr(booking, x=text)
    order, large = EXPECTED[text]

    assert query.to_arrays("account", order_by="x").tolist() == order
    assert query.to_arrays("account", order_by="x DESC").tolist() == order[::-1]
    assert (query & dj.Top(2, "x DESC")).to_arrays("account").tolist() == order[:-3:-1]
    assert (query & "x > 9").to_arrays("account", order_by="KEY").tolist() == large
    assert (query.proj(y="x") & "y > 9").to_arrays("account", order_by="KEY").tolist() == large
    biggest = (query & f"account = {order[-1]}").fetch1("x")
    assert dj.U().aggr(query, most="max(x)").fetch1("most") == biggest


def test_equal_ones_are_found_by_any_number(tables):
    account, booking = tables
    query = account.aggr(booking, x="sum(amount)")

    for ten in (10, 10.0, Decimal("10.000")):
        assert (query & {"x": ten}).keys() == [{"account": 2}]
    assert (query & "x = 9.75").keys() == [{"account": 1}]
    assert (dj.U().aggr(booking, x="sum(amount)") & "x = 107.85").to_dicts() != []
