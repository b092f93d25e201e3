"""Generated queries over generated tables have the rows, key and names of the relational model.

`DJQ_TEST_TREES` is how many queries each database gets (some hundreds without it).
"""

from __future__ import annotations

import os
import random
from decimal import Decimal

import pytest

from tests.support.expression_trees import Grower
from tests.support.generated_tables import declare

TREES_PER_SCHEMA = 60
FAST = "DJQ_TEST_FAST"
N_TREES = int(os.environ.get("DJQ_TEST_TREES", "60" if os.environ.get(FAST) else "240"))
FIRST_SEED = int(os.environ.get("DJQ_TEST_FIRST_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + -(-N_TREES // TREES_PER_SCHEMA))
MAX_DEPTH = 5


def plain(value):
    """Return a value as all databases have it: a count may be a decimal, a truth value a number."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float | Decimal):
        return round(float(value), 6)
    return value


def as_set(rows, names):
    return sorted((tuple(plain(row[n]) for n in names) for row in rows), key=repr)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_query_means_what_it_means_in_the_model(schema, seed):
    chance = random.Random(seed)
    grower = Grower(chance, declare(schema, chance))

    for i in range(TREES_PER_SCHEMA):
        tree = grower.grow(1 + i % MAX_DEPTH)
        assert_means(tree, chance)


def assert_means(tree, chance):
    query, model = tree.query, tree.model
    names, key = query.heading.names, query.primary_key
    assert set(names) == set(model.names), tree.text
    assert set(key) == model.key, tree.text
    assert names[: len(key)] == tuple(key), tree.text
    wanted = as_set(model.rows, names)
    rows = query.to_dicts()
    assert as_set(rows, names) == wanted, tree.text
    assert all(list(row) == list(names) for row in rows), tree.text
    unknown = {n for row in rows for n, v in row.items() if v is None}
    assert all(query.heading[n].nullable for n in unknown), (tree.text, unknown)
    if model.is_ordered:
        in_order = [tuple(plain(r[n]) for n in names) for r in model.rows]
        assert [tuple(plain(r[n]) for n in names) for r in rows] == in_order, tree.text
    for ask in chance.sample(WAYS, 3):
        ask(tree, names, wanted)


def counted(tree, names, wanted):
    assert len(tree.query) == len(wanted), tree.text
    assert len(tree.query.proj()) == len(wanted), tree.text


def truthful(tree, names, wanted):
    assert bool(tree.query) == bool(wanted), tree.text


def iterated(tree, names, wanted):
    assert as_set(tree.query, names) == wanted, tree.text


def identified(tree, names, wanted):
    key = tree.query.primary_key
    keys = tree.query.keys()
    assert as_set(keys, key) == as_set(tree.model.rows, key), tree.text
    for row in tree.model.rows[:1]:
        assert {n: row[n] for n in key} in tree.query, (tree.text, row)


def restricted(tree, names, wanted):
    same = tree.query & True & {} & [{}, "1 = 2"]
    assert as_set(same, names) == wanted, tree.text


def projected(tree, names, wanted):
    assert as_set(tree.query.proj(...).proj(*names), names) == wanted, tree.text


def matched(tree, names, wanted):
    """A query and its own key: known values match, unknown ones do not."""
    query, model = tree.query, tree.model
    if all(model[n].lineage for n in model.key):
        known = [r for r in model.rows if None not in [r[n] for n in model.key]]
        assert as_set(query & query.proj(), names) == as_set(known, names), tree.text
        assert len(query - query.proj()) == len(wanted) - len(known), tree.text


WAYS = [counted, truthful, iterated, identified, restricted, projected, matched]
