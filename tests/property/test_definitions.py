"""Any definition: text → spec → statements → catalog → text → the same spec, on every database."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from djq.definition.describe import describe
from djq.sql.ddl import create_schema, create_table
from djq.sql.engine import Database
from djq.sql.reflect import reflect
from tests.support.definitions import worlds
from tests.support.examples import examples

_NUMBERS = itertools.count()


@given(worlds())
def test_a_described_definition_reads_as_the_same_spec(world):
    for drawn in world.classes:
        spec = world.build(drawn)
        text = describe(spec, world.refer)
        assert world.build(drawn, text) == spec, text
        assert describe(spec, world.refer) == text


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_a_declared_definition_is_in_the_catalog(database, schema_name, data):
    schema = f"{schema_name}_{next(_NUMBERS)}"
    world = data.draw(worlds(schema, database.dialect.backend))
    create_schema(database, schema)

    for drawn in world.classes:
        spec = world.build(drawn)
        create_table(database, spec, world.parents(spec))
        database.catalog.forget()

        found = reflect(database, spec.name)

        assert found == spec
        text = describe(found, world.refer)
        assert world.build(drawn, text) == spec, text
