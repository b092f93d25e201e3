"""Laws of the algebra: two ways to ask that have the same rows, over generated queries."""

from __future__ import annotations

import os
import random
from contextlib import suppress

import pytest

import djq as dj
from djq.errors import QueryError
from tests.property.test_algebra_trees import as_set
from tests.support.expression_trees import Grower
from tests.support.generated_tables import declare
from tests.support.relational_model import RefusedError

SEEDS = range(1000, 1001 if os.environ.get("DJQ_TEST_FAST") else 1002)
N_QUERIES = 12


def assert_same(left, right, text):
    names = left.heading.names
    assert set(right.heading.names) == set(names), text
    assert as_set(left.to_dicts(), names) == as_set(right.to_dicts(), names), text


@pytest.fixture(params=SEEDS)
def grower(request, schema):
    chance = random.Random(request.param)
    return Grower(chance, declare(schema, chance))


def drawn(grower):
    """Iterate over queries, each with one condition of text and one of any form."""
    for i in range(N_QUERIES):
        tree = grower.grow(1 + i % 3)
        with suppress(RefusedError):
            first = grower.words(tree.typed)[0]
            second = grower.condition(tree.model, 2)
            yield tree.query, first, second.given, f"{tree.text}; {first}; {second.text}"


def test_restrictions(grower):
    for a, c, d, text in drawn(grower):
        assert_same(a - d, a & dj.Not(d), text)
        assert_same(a & c & d, a & d & c, text)
        assert_same(a & c & d, a & dj.AndList([c, d]), text)
        assert_same(a - [c, d], a - c - d, text)
        assert_same(a - dj.AndList([c, d]), a & [dj.Not(c), dj.Not(d)], text)
        assert len((a & c) - c) == 0, text
        assert len(a & d) + len(a - d) == len(a), text
        assert_same(a & c & c, a & c, text)


def test_projections(grower):
    for a, _, d, text in drawn(grower):
        assert_same(a.proj(...), a, text)
        assert_same(a.proj().proj(), a.proj(), text)
        assert_same((a & d).proj(..., one_more="1"), a.proj(..., one_more="1") & d, text)
        assert len(a.proj()) == len(a), text


def test_joins(grower):
    for a, _, _, text in drawn(grower):
        other = grower.related(grower.chance.choice(grower.known).model)
        b, text = other.query, f"{text}; {other.text}"  # noqa: PLW2901 - said of both
        with suppress(QueryError):
            joined = a * b
            assert_same(joined, b * a, text)
            if set(b.primary_key) <= set(a.heading.names):
                left = a.join(b, left=True)
                assert as_set(left, a.heading.names) == as_set(a, a.heading.names), text
                assert_same(joined.proj(*a.heading.names), a & b, text)


def test_aggregations_count_what_matches(grower):
    for a, _, _, text in drawn(grower):
        b = grower.related(grower.chance.choice(grower.known).model).query
        with suppress(QueryError):
            counted = a.proj().aggr(b, n_rows="count(*)")
            assert len(counted) == len(a), text
            assert_same((counted & "n_rows > 0").proj(), a.proj() & b, text)
            for row in counted.to_dicts()[:2]:
                if None not in row.values():
                    key = {n: row[n] for n in a.primary_key}
                    assert len(b & key) == row["n_rows"], (text, row)


def test_universal_sets_unions_and_tops(grower):
    for a, _, d, text in drawn(grower):
        assert_same(dj.U(*a.primary_key) & a, a.proj(), text)
        if all(a.heading[n].lineage for n in a.primary_key):
            key = a.proj()
            assert_same(key + key, key, text)
            some, others = (a & d).proj(), (a - d).proj()
            assert_same(some + others, key, text)
            assert_same(some + others, others + some, text)
        ordered = a.to_dicts(order_by="KEY" if a.primary_key else None)
        if a.primary_key:
            assert (a & dj.Top(5) & dj.Top(3, None, offset=1)).to_dicts() == ordered[1:4], text
            assert (a & dj.Top(2, "KEY")).to_dicts() == ordered[:2], text
