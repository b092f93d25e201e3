"""Change some attributes of one row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from djq.errors import IntegrityError, RowError
from djq.tables.accepting import utc_now
from djq.tables.explain import Refused, explain, show_key
from djq.tables.gather import unknown

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec
    from djq.tables.connection import Connection
    from djq.tables.encode import RowEncoder


def update_row(encoder: RowEncoder, connection: Connection, row: Value) -> None:
    """Set attributes of the row with this key, in one statement.

    Raises
    ------
    RowError
        The key is not complete, nothing is to be changed, a value does not fit, or there is no
        such row.
    """
    spec = encoder.spec
    key, changes = _split(spec, row)
    encoded = encoder.encode_some({**key, **changes}, 1)
    found = {n: encoded[n] for n in key} | {a.name: a.default for a in spec.hidden if a.in_key}
    new = {n: encoded[n] for n in changes}
    try:
        is_there = connection.database.update(spec, found, new)
    except IntegrityError as error:
        columns = {name: (value,) for name, value in encoded.items()}
        raise explain(error, Refused(spec, connection, columns, None, "update")) from error
    if not is_there:
        what = f"no row with {show_key(key)}" if key else "no row yet"
        message = f"{spec.display_name}: there is {what} to update. insert1 makes one"
        raise RowError(message)


def _split(spec: TableSpec, row: Value) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the key and the new values; None stands for the default."""
    name = spec.display_name
    if not isinstance(row, Mapping):
        message = f"{name}: update1 takes a mapping of names to values, not {row!r}"
        raise RowError(message)
    given: dict[str, Value] = dict(row)  # pyright: ignore[reportUnknownArgumentType] # the user's
    other = next((n for n in given if n not in spec.heading), None)
    if other is not None:
        message = f"{name}: {unknown(other, spec)}"
        raise RowError(message)
    lacking = [n for n in spec.heading.primary_key if given.get(n) is None]
    if lacking:
        message = (
            f'{name}: update1 needs the whole primary key to find the row, and "{lacking[0]}" '
            f"is not given. Its key: {', '.join(spec.heading.primary_key)}"
        )
        raise RowError(message)
    key = {n: given.pop(n) for n in spec.heading.primary_key}
    if not given:
        message = (
            f"{name}: update1 was given a key and nothing to change. The key itself cannot be "
            "changed: insert a new row and delete the old one"
        )
        raise RowError(message)
    return key, {n: _or_default(spec, n, v) for n, v in given.items()}


def _or_default(spec: TableSpec, name: str, value: Value) -> Value:
    attribute = spec.heading[name]
    if value is not None or (attribute.nullable and not attribute.has_default):
        return value
    if not attribute.has_default:
        message = (
            f'{spec.display_name}, attribute "{name}": None resets it to its default, and it has '
            "none. Give a value"
        )
        raise RowError(message)
    return attribute.default_value(utc_now())
