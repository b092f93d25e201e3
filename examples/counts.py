"""How many rows the tables of an example hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import djq as dj

if TYPE_CHECKING:
    from collections.abc import Iterable


def tables(schemas: Iterable[dj.Schema]) -> list[type[dj.Table]]:
    """Return the tables of schemas in the order of their declaration, parts behind masters."""
    found: list[type[dj.Table]] = []
    for schema in schemas:
        for master in schema.tables.values():
            found.append(master)
            found += [p for p in vars(master).values() if _is_part(p)]
    return found


def _is_part(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, dj.Part)


def counts(schemas: Iterable[dj.Schema]) -> dict[str, int]:
    """Return the number of rows by class name, `Master.Part` for parts."""
    return {table.spec.class_name: len(table) for table in tables(schemas)}
