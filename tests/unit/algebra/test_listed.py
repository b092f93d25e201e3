"""Many keys as one condition: what it says, and how many rows its statement takes."""

from __future__ import annotations

from djq.algebra.equality import is_listed
from djq.algebra.expressions import FALSE, TRUE, Call, Listed, Literal, Name, names_in
from djq.sql.shapes import padded_to


def test_one_attribute_is_a_list_of_values():
    condition = is_listed(("a",), [(1,), (2,)])

    assert condition == Listed(("a",), ((1,), (2,)))
    assert condition.spelled() == Call("in", (Name("a"), Literal(1), Literal(2)))


def test_what_all_keys_share_is_an_equality():
    condition = is_listed(("a", "b"), [(1, 5), (1, 6)])

    shared = Call("=", (Name("a"), Literal(1)))
    assert condition == Call("and", (shared, Listed(("b",), ((5,), (6,)))))
    assert list(names_in(condition)) == ["a", "b"]


def test_one_key_is_equalities_only():
    assert is_listed(("a",), [(1,), (1,)]) == Call("=", (Name("a"), Literal(1)))


def test_no_keys_are_nothing_and_keys_of_no_attributes_are_everything():
    assert is_listed(("a",), []) == FALSE
    assert is_listed((), [(), ()]) == TRUE


def test_statements_take_powers_of_two():
    assert [padded_to(n) for n in (1, 2, 3, 4, 5, 200, 256)] == [1, 2, 4, 4, 8, 256, 256]


def test_statements_for_long_lists_take_no_more_values_than_there_are():
    assert [padded_to(n) for n in (4_096, 4_097, 9_000)] == [4_096, 4_097, 9_000]
