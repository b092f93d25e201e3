"""Rows without a match: whatever is computed of the other side is null, on every database.

Servers forget it where they merge a subquery: MariaDB found 5 to be the MIN of a computed 5, and
MySQL that 5 + 1 = 6.
"""

from __future__ import annotations

import pytest

import djq as dj

AGGREGATES = {
    "count(1)": (1, 0),
    "count(distinct 7)": (1, 0),
    "min(1)": (1, None),
    "max('x')": ("x", None),
    "sum(2)": (2, None),
    "avg(2)": (2.0, None),
    "min(coalesce(y, 7))": (7, None),
    "max(y is null)": (1, None),
    "max(if(y > 1, 1, 2))": (2, None),
    "group_concat('x')": ("x", None),
    "sum(1) + count(*)": (2, None),
    "stddev_pop(3)": (0.0, None),
    "var_pop(one)": (0.0, None),
    "max(one)": (1, None),
    "sum(one + one)": (2, None),
    "coalesce(min(1), 9)": (1, 9),
}
COMPUTED = {
    "five": "5",
    "word": "'x'",
    "six": "5 + 1",
    "is_unknown": "y is null",
    "known": "coalesce(y, 3)",
}


@pytest.fixture
def tables(schema):
    @schema
    class Subject(dj.Manual):
        definition = "subject : int32"

    @schema
    class Weight(dj.Manual):
        definition = """
        -> Subject
        ---
        one : int32
        y = null : int32
        """

    @schema
    class Setting(dj.Manual):
        definition = """
        ---
        level : int32
        """

    Subject.insert([(1,), (2,)])
    Weight.insert1((1, 1, None))
    return Subject, Weight, Setting


def by_subject(query, name="v"):
    return {row["subject"]: row[name] for row in query.to_dicts()}


def test_aggregates_of_rows_without_a_match(tables):
    subject, weight, _ = tables

    for text, (known, lonely) in AGGREGATES.items():
        for detail in (weight, weight & "one = 1", weight * subject):
            query = subject.aggr(detail, v=text)
            assert by_subject(query) == {1: known, 2: lonely}, text
            expected = int(lonely is None)
            assert len(query & "v is null") == expected, text
            assert len(query - "v is null") == 2 - expected, text
        assert by_subject(subject.aggr(weight, v=text, exclude_nonmatching=True)) == {1: known}


def test_computed_values_of_rows_without_a_match(tables):
    subject, weight, _ = tables
    extended = subject.extend(weight.proj(**COMPUTED))
    values = {"five": 5, "word": "x", "six": 6, "is_unknown": 1, "known": 3}

    for other in (weight.proj(**COMPUTED), (weight & "one = 1").proj(**COMPUTED)):
        extended = subject.extend(other)
        for name, value in values.items():
            found = {1: value, 2: None}
            assert by_subject(extended, name) == found
            assert by_subject(subject.aggr(other, v=f"min({name})")) == found
            assert by_subject(dj.U("subject").aggr(extended, v=f"max({name})")) == found
            assert by_subject(subject.aggr(subject.extend(extended), v=f"max({name})")) == found
            assert (extended & {name: None}).keys() == [{"subject": 2}]
            assert (extended & f"{name} = {value!r}").keys() == [{"subject": 1}]
            assert (extended - f"{name} = {value!r}").keys() == [{"subject": 2}]
            lonely = dj.U().aggr(extended & "subject = 2", v=f"min({name})", n=f"count({name})")
            assert lonely.to_dicts() == [{"v": None, "n": 0}]


def test_rows_without_a_computed_match_are_subtracted_from(tables):
    subject, weight, _ = tables
    other = weight.proj("one", old="subject").proj(subject="coalesce(one, 1) + 0")

    found = subject.restrict(dj.Not(other), semantic_check=False)

    assert found.keys() == [{"subject": 2}]


def test_a_table_of_one_row_that_is_not_there(tables):
    subject, _, setting = tables
    extended = subject.extend(setting.proj("level", five="5"))

    assert by_subject(extended, "five") == {1: None, 2: None}
    assert by_subject(dj.U("subject").aggr(extended, v="min(five)")) == {1: None, 2: None}
    assert setting.aggr(subject, v="min(1)").to_dicts() == []

    setting.insert1((3,))

    assert by_subject(extended, "five") == {1: 5, 2: 5}
    assert setting.aggr(subject & False, v="min(1)", n="count(*)").to_dicts() == [
        {"v": None, "n": 0}
    ]
