"""What people name when they ask for a diagram → tables, and what they call these tables."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard

from djq.definition.names import is_hidden
from djq.definition.spec import TableName, TableSpec
from djq.errors import QueryError
from djq.tables.query import Query
from djq.tables.schema import Schema
from djq.tables.table import Part, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from djq.tables.connection import Connection


@dataclass(frozen=True)
class Source:
    """Tables on one connection."""

    connection: Connection
    names: frozenset[TableName]
    #: Tables → what the source calls them; not all of them need to be here.
    labels: Mapping[TableName, str] = field(default_factory=dict[TableName, str])


def read_source(source: object) -> Source:
    """Return the tables of a schema, a table, or a module with schemas or tables.

    Raises
    ------
    QueryError
        The source is none of these, or a module without any.
    """
    if isinstance(source, Schema):
        return _of_schema(source)
    if isinstance(source, ModuleType):
        return _of_module(source)
    table: object = source() if is_class(source) else source
    spec = getattr(table, "spec", None)
    if isinstance(table, Query) and isinstance(spec, TableSpec):
        return Source(table.connection, frozenset({spec.name}), {spec.name: spec.class_name})
    message = (
        f"cannot draw {source!r}: dj.Diagram takes a schema, a table, a module with tables, or "
        "another diagram; several with dj.Diagram.from_sequence([…])"
    )
    raise QueryError(message)


def _of_schema(schema: Schema) -> Source:
    tables = schema.connection.database.catalog.columns(schema.name)
    names = frozenset(TableName(schema.name, t) for t in tables if not is_hidden(t))
    return Source(schema.connection, names, labels_in(schema.tables))


def _of_module(module: ModuleType) -> Source:
    found = [v for v in vars(module).values() if isinstance(v, Schema) or _is_declared(v)]
    if not found:
        message = (
            f'the module "{module.__name__}" has neither a schema nor a declared table to draw'
        )
        raise QueryError(message)
    return merged([read_source(value) for value in found])


def merged(sources: list[Source]) -> Source:
    """Return all tables of several sources.

    Raises
    ------
    QueryError
        They are on different connections.
    """
    first = sources[0].connection
    for source in sources[1:]:
        if source.connection is not first:
            message = (
                "cannot combine diagrams of two connections: "
                f"{first!r} and {source.connection!r} are different databases or logins"
            )
            raise QueryError(message)
    labels = {name: label for source in reversed(sources) for name, label in source.labels.items()}
    return Source(first, frozenset[TableName]().union(*(s.names for s in sources)), labels)


def labels_in(scope: Mapping[str, Any]) -> dict[TableName, str]:
    """Return the tables that a scope has names for, as they are written there.

    Classes come before those that are reached through a module, as in `lab.Subject`, and the names
    that they were declared by before others. Names like `_` and `_1` are a notebook's own.
    """
    found: dict[TableName, str] = {}
    names = {n: v for n, v in scope.items() if n.isidentifier() and not n.startswith("_")}
    for name, value in sorted(names.items(), key=_has_another_name):
        if _is_declared(value):
            _add(found, name, value)
    for name, value in names.items():
        if isinstance(value, ModuleType):
            for inner, its in vars(value).items():
                if _is_declared(its):
                    _add(found, f"{name}.{inner}", its)
    return found


def _has_another_name(item: tuple[str, object]) -> bool:
    return item[0] != getattr(item[1], "__name__", None)


def _add(found: dict[TableName, str], name: str, table: type[Table]) -> None:
    found.setdefault(table.spec.name, name)
    for inner, value in vars(table).items():
        if isinstance(value, type) and issubclass(value, Part) and _is_declared(value):
            found.setdefault(value.spec.name, f"{name}.{inner}")


def _is_declared(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Table)
        and isinstance(getattr(value, "spec", None), TableSpec)
    )


def is_class(value: object) -> TypeGuard[Callable[[], Query]]:
    """Tell whether a value is the class of a table."""
    return isinstance(value, type) and issubclass(value, Query)


def scope_of_caller(depth: int = 1) -> dict[str, Any]:
    """Return the names where a diagram is asked for: `depth` calls above the asking function."""
    frame: FrameType | None = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame.f_back if frame is not None else None
    return {**frame.f_globals, **frame.f_locals} if frame is not None else {}
