"""The plan of a cascade: which rows of which tables go, from foreign keys alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from djq.algebra.carrying import is_stable, key_in, referring
from djq.algebra.cascade import cascade, descendants, master_of, path_to_master
from djq.algebra.expressions import TRUE, Call, Literal, Matches, Name, both, negate
from djq.algebra.nodes import Relation
from djq.definition.attributes import Attribute, CoreType
from djq.definition.heading import Heading
from djq.definition.spec import TableName
from djq.errors import DefinitionError

INT = CoreType("int32")


@dataclass(frozen=True)
class Edge:
    child: TableName
    parent: TableName
    columns: tuple[tuple[str, str], ...]


def name(table):
    return TableName("s", table)


def edge(child, parent, *columns):
    """`edge("b", "a", "x", "mine=theirs")`."""
    pairs = tuple(tuple(c.split("=")) if "=" in c else (c, c) for c in columns)
    return Edge(name(child), name(parent), pairs)


def relation(table, *names, secondary=()):
    key = [Attribute(n, INT, in_key=True) for n in names]
    return Relation(name(table), Heading((*key, *(Attribute(n, INT) for n in secondary))))


def equals(attribute, value):
    return Call("=", (Name(attribute), Literal(value)))


def is_set(attribute):
    return Call("not", (Call("is null", (Name(attribute),)),))


def plan(root, condition, *edges):
    return {g.name.table: g for g in cascade(root, condition, edges)}


def conditions(going):
    return [b.condition for b in going.branches]


def test_tables_come_after_all_of_their_parents():
    edges = [edge("d", "b", "x"), edge("d", "c", "x"), edge("c", "b", "x"), edge("b", "a", "x")]

    assert [n.table for n in descendants([name("a")], edges)] == ["a", "b", "c", "d"]
    assert [n.table for n in descendants([name("c")], edges)] == ["c", "d"]


def test_tables_in_a_circle_are_named():
    edges = [edge("b", "a", "x"), edge("a", "b", "x")]

    with pytest.raises(DefinitionError, match=r"circle: s\.[ab] → s\.[ab]"):
        descendants([name("a")], edges)


def test_a_condition_on_the_key_travels_under_the_childs_names():
    found = plan(
        relation("a", "x", "y"),
        both(equals("x", 1), equals("y", 2)),
        edge("b", "a", "x", "first=y"),
        edge("c", "b", "x", "deep=first"),
    )

    assert conditions(found["b"]) == [both(equals("x", 1), equals("first", 2))]
    assert conditions(found["c"]) == [both(equals("x", 1), equals("deep", 2))]


def test_an_equal_name_that_the_reference_does_not_carry_is_not_used():
    # b.y comes from somewhere else; the reference carries a.y as first
    found = plan(relation("a", "y"), equals("y", 2), edge("b", "a", "first=y"))

    assert conditions(found["b"]) == [equals("first", 2)]


def test_a_condition_on_other_attributes_asks_the_parent():
    (root, child) = cascade(
        relation("a", "x", secondary=["z"]), equals("z", 3), [edge("b", "a", "mine=x")]
    )

    (condition,) = conditions(child)
    assert isinstance(condition, Matches)
    assert condition.names == ("mine",)
    assert condition.query.columns == (("mine", Name("x")),)
    assert condition.query.source.condition == equals("z", 3)
    assert root.rows.condition == equals("z", 3)


def test_a_reference_that_may_be_null_must_be_set():
    parent = relation("a", "x", "y")
    whole = edge("b", "a", "x", "y")

    assert referring(whole, parent, equals("x", 1)) == both(equals("x", 1), is_set("y"))
    assert referring(whole, parent, TRUE) == both(is_set("x"), is_set("y"))
    negative = negate(both(equals("x", 1), equals("y", 1)))
    assert referring(whole, parent, negative) == both(negative, is_set("x"), is_set("y"))
    either = Call("or", (equals("x", 1), equals("y", 1)))
    assert referring(whole, parent, either) == both(either, is_set("x"), is_set("y"))
    keys = key_in(["x", "y"], [(1, 1), (2, 2)])
    assert referring(whole, parent, keys) == keys
    some = key_in(["x", "y"], [(1, 1), (2, 1)])
    assert referring(whole, parent, some) == some


def test_conditions_that_differ_from_how_keys_compare_ask_the_parent():
    parent, whole = relation("a", "x"), edge("b", "a", "x")
    for condition in (
        Call("like", (Name("x"), Literal("a%"))),
        Call("=", (Call("char_length", (Name("x"),)), Literal(3))),
    ):
        assert not is_stable(condition)
        assert isinstance(referring(whole, parent, condition), Matches)


def test_all_ways_to_a_table_count_and_equal_ways_count_once():
    root = relation("a", "x")
    diamond = [edge("b", "a", "x"), edge("c", "a", "x"), edge("d", "b", "x"), edge("d", "c", "x")]
    twice = [edge("b", "a", "first=x"), edge("b", "a", "second=x")]

    assert conditions(plan(root, equals("x", 1), *diamond)["d"]) == [equals("x", 1)]
    assert conditions(plan(root, equals("x", 1), *twice)["b"]) == [
        equals("first", 1),
        equals("second", 1),
    ]


def test_very_many_ways_become_one_condition():
    edges = [edge("b", "a", f"x{i}=x") for i in range(20)]

    (condition,) = conditions(plan(relation("a", "x"), equals("x", 1), *edges)["b"])

    assert condition.function == "or"
    assert len(condition.arguments) == 20


def test_types_come_down_with_the_values():
    found = plan(
        relation("a", "x"), TRUE, edge("b", "a", "mine=x"), edge("c", "b", "deep=mine", "own=own")
    )

    assert found["c"].relation.heading["deep"].type == INT
    assert found["c"].relation.heading["own"].type is None


def test_references_to_the_own_table_are_kept_apart():
    found = plan(relation("a", "x"), equals("x", 1), edge("a", "a", "mother=x"))

    assert conditions(found["a"]) == [equals("x", 1)]
    assert [e.columns for e in found["a"].loops] == [(("mother", "x"),)]


def test_parts_know_whether_their_masters_go_too():
    edges = [
        edge("m", "a", "x"),
        edge("m__p", "m", "x"),
        edge("m__q", "m__p", "x", "p=p"),
        edge("m__p", "other", "o=o"),
    ]

    from_above = plan(relation("a", "x"), equals("x", 1), *edges)
    from_aside = plan(relation("other", "o"), equals("o", 1), *edges)

    assert [b.is_whole for b in from_above["m__p"].branches] == [True]
    assert [b.is_whole for b in from_above["m__q"].branches] == [True]
    assert [b.is_whole for b in from_aside["m__p"].branches] == [False]
    assert [b.is_whole for b in from_aside["m__q"].branches] == [False]


def test_masters_are_known_by_name_and_found_through_other_parts():
    edges = [
        edge("__m__q", "__m__p", "mine=x", "p"),
        edge("__m__p", "__m", "x=key"),
        edge("__m__q", "other", "o"),
    ]

    assert master_of(name("__m__q")) == name("__m")
    assert master_of(name("__m")) is None
    assert path_to_master(name("__m__p"), edges) == (("x", "key"),)
    assert path_to_master(name("__m__q"), edges) == (("mine", "key"),)
    assert path_to_master(name("lonely__part"), edges) is None


def test_keys_that_share_values_are_written_short():
    assert key_in(["x"], [(1,)]) == equals("x", 1)
    assert key_in(["x"], [(1,), (2,)]) == Call("in", (Name("x"), Literal(1), Literal(2)))
    assert key_in(["x", "y"], [(1, 1), (1, 2)]) == both(
        equals("x", 1), Call("in", (Name("y"), Literal(1), Literal(2)))
    )
    assert key_in([], [()]) == Literal(True)
    assert key_in([], []) == Literal(False)
