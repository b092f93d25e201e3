"""Generated values through tables: in the row, in a folder and in a bucket, on every database."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import djq as dj
from djq.settings import StoreSettings, load
from tests.support.blob_values import same, values
from tests.support.examples import examples
from tests.support.s3 import closing_bucket, s3_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["s3_settings"]

#: Of each example; with two attributes, 600 values are kept for each database and store.
MOST_ROWS = 10
DEFINITION = """
i : int32
---
here  = null : <blob>
there = null : <blob@raw>
"""


@pytest.fixture(params=["folder", "bucket"])
def table(
    request: pytest.FixtureRequest, database_url: str, schema_name: str, tmp_path
) -> Iterator[type[dj.Manual]]:
    where = (
        StoreSettings(url=str(tmp_path / "raw"))
        if request.param == "folder"
        else request.getfixturevalue("s3_settings")
    )
    found = load(database_url=database_url, state_dir=tmp_path / ".djq", stores={"raw": where})
    closing = nullcontext if request.param == "folder" else closing_bucket
    with dj.Connection(found) as connection, closing(connection):
        schema = dj.Schema(schema_name, connection=connection)
        yield schema(type("Value", (dj.Manual,), {"definition": DEFINITION}))


@given(st.lists(values, min_size=1, max_size=MOST_ROWS))
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_values_come_back_from_rows_and_stores_as_they_were(table, given_values: list[object]):
    table.delete(prompt=False)
    table.insert((i, value, value) for i, value in enumerate(given_values))
    rows = table.to_dicts(order_by="i")
    for attribute in ("here", "there"):
        assert all(
            same(row[attribute], value) for row, value in zip(rows, given_values, strict=True)
        )
    assert same(table.to_arrays("there", order_by="i")[-1], given_values[-1])
