"""Keys and windows of queries, without a database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from djq.algebra import aggregating, operators, ordering
from djq.algebra.expressions import Call, Expression, Name
from djq.algebra.nodes import Relation, Top
from djq.definition.attributes import Attribute, CoreType
from djq.definition.constraints import TableName
from djq.definition.heading import Heading
from djq.errors import QueryError

INT = CoreType("int32")


def table(name, key, others=(), *, foreign=()):
    """Return a relation; attributes named in `foreign` come from tables of their names."""
    attributes = [
        Attribute(n, INT, in_key=n in key, lineage=f"lab.{n if n in foreign else name}.{n}")
        for n in (*key, *others)
    ]
    return Relation(TableName("lab", name), Heading(tuple(attributes)))


SUBJECT = table("subject", ["subject"], ["weight"], foreign=["subject"])
SESSION = table("session", ["subject", "session"], ["rig"], foreign=["subject", "session", "rig"])
RIG = table("rig", ["rig"], ["place"], foreign=["rig"])
TRIAL = table("trial", ["subject", "session", "trial"], foreign=["subject", "session", "trial"])


def read(text: str, heading: Heading, what: str = "") -> Expression:
    return Call("max", (Name(text.removeprefix("max ")),)) if text.startswith("max") else Name(text)


@pytest.mark.parametrize(
    ("left", "right", "key"),
    [
        (SUBJECT, SESSION, ("subject", "session")),
        (SESSION, SUBJECT, ("subject", "session")),
        (SESSION, RIG, ("subject", "session")),
        (RIG, SESSION, ("subject", "session")),
        (SESSION, TRIAL, ("subject", "session", "trial")),
        (SUBJECT, RIG, ("subject", "rig")),
    ],
)
def test_the_key_of_a_join_is_that_of_the_side_that_determines_the_other(left, right, key):
    assert set(operators.join(left, right).heading.primary_key) == set(key)


def test_a_left_join_may_only_find_one_row():
    assert operators.join(SESSION, RIG, is_left=True).heading["place"].nullable
    with pytest.raises(QueryError, match="at most one row on the right"):
        operators.join(RIG, SESSION, is_left=True)


@pytest.mark.parametrize("is_other_side", [False, True])
def test_the_key_of_a_union_may_be_null_where_it_may_be_on_one_side(is_other_side):
    known = operators.distinct(RIG, ["rig"])
    optional = Relation(
        SESSION.name, Heading(tuple(replace(a, nullable=a.name == "rig") for a in SESSION.heading))
    )
    sides = [operators.distinct(optional, ["rig"]), known]

    united = operators.unite(*(sides[::-1] if is_other_side else sides))

    assert united.heading["rig"].in_key
    assert united.heading["rig"].nullable


def test_distinct_values_that_hold_the_key_are_the_rows_themselves():
    assert isinstance(operators.distinct(SESSION, ["rig", "session", "subject"]).source, Relation)
    assert operators.distinct(SESSION, ["rig"]).heading.primary_key == ("rig",)


def test_totals_have_no_key():
    total = aggregating.aggregate_by(SESSION, (), {"last": "max session"}, read)
    assert (total.heading.primary_key, total.heading.names) == ((), ("last",))


@pytest.mark.parametrize(
    ("first", "second", "window"),
    [
        ((10, 0), (3, 0), (3, 0)),
        ((3, 0), (10, 0), (3, 0)),
        ((10, 5), (3, 2), (3, 7)),
        ((10, 5), (None, 8), (2, 13)),
        ((2, 0), (5, 9), (0, 9)),
        ((None, 1), (None, 2), (None, 3)),
    ],
)
def test_a_window_of_a_window_in_the_same_order_is_one_window(first, second, window):
    outer = ordering.order(SESSION, "KEY", limit=first[0], offset=first[1])
    for by in (None, "KEY", ["subject", "session"]):
        inner = ordering.order(outer, by, limit=second[0], offset=second[1])
        assert isinstance(inner, Top)
        assert (inner.source, inner.limit, inner.offset) == (SESSION, *window)


def test_a_window_in_another_order_is_one_of_those_rows():
    outer = ordering.order(SESSION, "KEY", limit=3)
    assert ordering.order(outer, "rig", limit=1).source == outer
