"""Where a scheduler looks for runs that nobody drives."""

from __future__ import annotations

from types import SimpleNamespace

from djq.orchestrator import adoption
from djq.orchestrator.adoption import Adoption
from tests.support.waiting import wait_until


def test_each_schema_is_asked_over_its_own_connection(monkeypatch) -> None:
    # Given: three tables in two schemas, each of another server.
    asked: set[tuple[str, str]] = set()

    class Store:
        def __init__(self, connection: SimpleNamespace, schema: str) -> None:
            asked.add((connection.name, schema))

        def all(self, _: object) -> list[object]:
            return []

    monkeypatch.setattr(adoption, "RunStore", Store)
    database = SimpleNamespace(close=lambda: None)
    here, there = (SimpleNamespace(name=n, database=database) for n in ("here", "there"))
    places = [("A", here, "lab"), ("B", there, "rig"), ("C", there, "rig")]
    tables = {
        name: SimpleNamespace(schema=SimpleNamespace(connection=connection, name=schema))
        for name, connection, schema in places
    }
    looking = Adoption(tables, every_s=0.001)
    # When: it looks.
    looking.start()
    wait_until(lambda: len(asked) >= 2, what="both schemas")
    looking.close()
    # Then: no schema was looked for on the other server.
    assert asked == {("here", "lab"), ("there", "rig")}
