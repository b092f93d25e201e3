"""Keys that a database gave are asked for again, many at a time, on every database."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pytest

import djq as dj
from djq.algebra.equality import is_listed
from djq.algebra.operators import restrict
from djq.tables.query import Query


@pytest.fixture
def sample(schema):
    @schema
    class Sample(dj.Manual):
        definition = """
        a : int32
        name : varchar(8)
        ratio : float32
        day : date
        at : datetime(3)
        part : uuid
        price : decimal(5,2)
        is_good : bool
        took : time
        stamp : timestamp
        """

    Sample.insert(
        (
            i // 3,
            "Ää%\\'"[: i % 6],
            i / 10,
            dt.date(2026, 1, 1 + i % 2),
            dt.datetime.fromisoformat(f"2026-01-01T00:00:00.{i:03d}"),
            uuid.UUID(int=i),
            Decimal(i) / 4,
            i % 2,
            dt.timedelta(seconds=i),
            dt.datetime.fromisoformat(f"2026-01-01T00:00:{i:02d}"),
        )
        for i in range(40)
    )
    return Sample


def listed(table, names, keys):
    rows = [tuple(key[n] for n in names) for key in keys]
    return Query(restrict(table().node, is_listed(names, rows)), table().connection)


def test_keys_of_any_types_find_their_rows(sample):
    keys = (sample & "a > 2").keys()

    for n_keys in (1, 2, 3, 30):
        some = keys[:n_keys]
        assert listed(sample, sample.primary_key, some).keys() == some


@pytest.mark.parametrize("name", ["a", "ratio", "day", "at", "part", "price", "took", "stamp"])
def test_one_attribute_of_any_type_finds_its_rows(sample, name):
    keys = [sample.keys(order_by="KEY")[i] for i in (3, 11, 19)]
    values = {key[name] for key in keys}

    found = listed(sample, (name,), keys).keys()

    assert len(found) >= 3
    assert {key[name] for key in found} == values


def test_none_is_found_for_no_keys_and_the_rest_by_the_complement(sample):
    keys = sample.keys()

    assert listed(sample, sample.primary_key, []).keys() == []
    assert len(sample - listed(sample, sample.primary_key, keys[:7])) == 33


def test_chunks_of_like_size_share_a_statement(sample):
    statements = sample.connection.database.statements
    keys = sample.keys()

    texts = {
        statements.ask("select", listed(sample, sample.primary_key, keys[:n]).node)[0].text
        for n in range(17, 33)
    }

    assert len(texts) == 1
    before = len(statements._kept)
    listed(sample, sample.primary_key, keys[:25]).keys()
    assert len(statements._kept) == before
