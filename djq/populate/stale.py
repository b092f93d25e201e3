"""Rows that another version of the code made: found as a query, and accepted as they are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from djq.algebra.carrying import is_stable, key_in
from djq.algebra.expressions import (
    FALSE,
    TRUE,
    Call,
    Expression,
    Literal,
    Matches,
    Name,
    both,
    either,
)
from djq.algebra.nodes import Projection, Relation, Restriction
from djq.algebra.tracing import rows_of
from djq.definition.heading import Heading
from djq.errors import QueryError
from djq.populate.heeding import check_heeded
from djq.populate.version import code_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate

_log = logging.getLogger("djq")

T = TypeVar("T", bound="AutoPopulate")

#: The hidden column with the version of the code.
VERSION = "_job_version"
#: Keys that one UPDATE names.
KEYS_PER_STATEMENT = 900


def stale(table: T, *, unknown: bool) -> T:
    """Do what `AutoPopulate.stale` says."""
    spec = table.spec
    chosen = Restriction(_wide(table), _is_stale(table, unknown=unknown))
    # By their keys, so that it is a restriction of the table like any other.
    key = spec.heading.project({n: n for n in spec.heading.primary_key})
    keys = Projection(chosen, tuple((n, Name(n)) for n in key.names), key)
    return table.over(Restriction(table.node, Matches(keys, key.names)))


def accept(table: AutoPopulate, restrictions: Sequence[Value], *, unknown: bool) -> int:
    """Do what `AutoPopulate.accept` says."""
    restricted = table.restrict(*restrictions) if restrictions else table
    name = f"{table.display_name}.accept"
    check_heeded(restricted, name, "such a restriction leaves all rows")
    if not _has_version(table):
        message = (
            f"{table.display_name} has no column for the version of its code: "
            f"{table.spec.class_name}.alter() adds it"
        )
        raise QueryError(message)
    _, condition = rows_of(restricted.node)
    rows = Restriction(_wide(table), both(condition, _is_stale(table, unknown=unknown)))
    version = code_version(type(table))
    database = table.connection.database
    if is_stable(rows.condition):
        n_rows = database.update_where(rows, {VERSION: version})
    else:
        n_rows = database.atomically(lambda: _update_keys(table, rows, version))
    _log.info(
        "rows_accepted",
        extra={"table": table.display_name, "n_rows": n_rows, "version": version},
    )
    return n_rows


def _update_keys(table: AutoPopulate, rows: Restriction, version: str) -> int:
    """Update rows whose condition reads more than the rows themselves: by their keys."""
    database = table.connection.database
    database.hold()
    names = rows.heading.primary_key
    columns = tuple((n, Name(n)) for n in names)
    keys = database.fetch(Projection(rows, columns, rows.heading.project({n: n for n in names})))
    return sum(
        database.update_where(
            Restriction(rows.source, key_in(names, keys[start : start + KEYS_PER_STATEMENT])),
            {VERSION: version},
        )
        for start in range(0, len(keys), KEYS_PER_STATEMENT)
    )


def _wide(table: AutoPopulate) -> Relation:
    """Return all rows of the table, hidden columns and all."""
    spec = table.spec
    return Relation(spec.name, Heading((*spec.heading, *spec.hidden)))


def _is_stale(table: AutoPopulate, *, unknown: bool) -> Expression:
    if not _has_version(table):
        return TRUE if unknown else FALSE
    version = Name(VERSION)
    is_other = Call("!=", (version, Literal(code_version(type(table)))))
    if unknown:
        return either(is_other, Call("is null", (version,)))
    return both(is_other, Call("!=", (version, Literal(""))))  # DataJoint knows none


def _has_version(table: AutoPopulate) -> bool:
    return any(a.name == VERSION for a in table.spec.hidden)
