"""Classes for tables that somebody else declared."""

from __future__ import annotations

import inspect
import types
from typing import TYPE_CHECKING, Any

from djq.definition.names import is_hidden
from djq.definition.spec import TableName, TableSpec, Tier
from djq.errors import UsageError
from djq.sql.reflect import reflect
from djq.tables.listing import sorted_tables
from djq.tables.table import Lookup, Manual, Part, Table

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from djq.tables.schema import Schema


class Reflected(Table):
    """An Imported or Computed table that another program fills: it has no `make` here.

    It can be asked, referred to and deleted from; `populate` is for classes with a `make`.
    """


def namespace(into: Any, *, depth: int) -> MutableMapping[str, Any]:  # noqa: ANN401 - see make_classes
    """Return the names that new classes go to: of a dict, a module, or the caller."""
    if isinstance(into, types.ModuleType):
        return vars(into)
    if into is not None:
        if not hasattr(into, "__setitem__"):
            message = f"cannot put classes into {into!r}: give a dict or a module"
            raise UsageError(message)
        found: MutableMapping[str, Any] = into
        return found
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame.f_back if frame is not None else None
    return frame.f_locals if frame is not None else {}


def make_classes(schema: Schema, names: MutableMapping[str, Any]) -> None:
    """Make a class for each table without one, the parts in their masters' classes."""
    database = schema.connection.database
    database.catalog.forget(schema.name)
    present = database.catalog.columns(schema.name)
    visible = [TableName(schema.name, t) for t in present if not is_hidden(t)]
    for name in sorted_tables(database, visible):
        spec = reflect(database, name)
        class_name = spec.class_name.rpartition(".")[2]
        if spec.master is not None:
            master = _master(schema, spec)
            if class_name not in vars(master):
                part = _class(schema, spec, class_name)
                setattr(part, "master", master)  # noqa: B010 - of parts, which only have it
                setattr(master, class_name, part)
            continue
        known = next((c for c in schema.tables.values() if c.spec.name == name), None)
        if known is None:
            known = schema.tables[class_name] = _class(schema, spec, class_name)
        names.setdefault(known.__name__, known)


def _master(schema: Schema, spec: TableSpec) -> type[Table]:
    return next(c for c in schema.tables.values() if c.spec.name == spec.master)


def _class(schema: Schema, spec: TableSpec, name: str) -> type[Table]:
    database = schema.connection.database
    own: dict[str, Any] = {
        "__doc__": spec.comment or None,
        "__module__": __name__,
        "__qualname__": spec.class_name,
        "spec": spec,
        "schema": schema,
        "tier": spec.tier,
        "parent_specs": {p: reflect(database, p, with_indexes=False) for p in spec.parents},
    }
    return types.new_class(name, (_base(spec),), exec_body=lambda space: space.update(own))


def _base(spec: TableSpec) -> type[Table]:
    if spec.master is not None:
        return Part
    return {Tier.MANUAL: Manual, Tier.LOOKUP: Lookup}.get(spec.tier, Reflected)
