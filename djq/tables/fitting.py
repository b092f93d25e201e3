"""Whether the rows of a table fit what its definition becomes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from djq.algebra.expressions import Call, Literal, Name, both, either
from djq.algebra.nodes import Relation, Restriction
from djq.definition.attributes import CodecType, CoreType
from djq.definition.conversions import BLOB, Conversion, is_bytes
from djq.definition.heading import Heading
from djq.errors import DefinitionError
from djq.tables.accepting import ENCODED
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.definition.attributes import Attribute
    from djq.definition.changes import Changes, Modification
    from djq.definition.spec import TableSpec
    from djq.tables.connection import Connection


def check_rows(
    connection: Connection, old: TableSpec, new: TableSpec, changes: Changes
) -> list[str]:
    """Refuse changes that the table's rows do not fit; return what they may lose.

    Raises
    ------
    DefinitionError
        A row does not fit; the message names it.
    """
    rows = _Rows(connection, old)
    if not rows.any:
        return []
    for attribute in changes.added:
        if not attribute.nullable and not attribute.has_default:
            message = (
                f"{new.display_name} has rows, and the new attribute {attribute.name} has neither "
                f"a default nor null for them: write {attribute.name} = null : {attribute.type}, "
                "or a default"
            )
            raise DefinitionError(message)
    for modification in changes.modified:
        _check_values(rows, new, modification)
    return [*_losses(changes)]


def _losses(changes: Changes) -> Iterator[str]:
    for attribute in changes.dropped:
        yield f"This drops {attribute.name} with all of its values."
    for m in changes.modified:
        if m.conversion is Conversion.CHECKED and not is_bytes(m.new.type):
            yield f"{m.old.type} becomes {m.new.type}: values of {m.new.name} may be rounded."


def _check_values(rows: _Rows, new: TableSpec, modification: Modification) -> None:
    """Refuse a change of one attribute that some value of it does not fit."""
    before, after = modification.old, modification.new
    if modification.needs_values and (keys := rows.without(before)):
        message = (
            f"{new.display_name}.{after.name} cannot become required: it is null where {keys}. "
            "Give these rows a value with update1, or delete them"
        )
        raise DefinitionError(message)
    if modification.conversion is Conversion.IMPOSSIBLE:
        message = (
            f"{new.display_name} has rows, and {before.name} cannot become {after.type}: it is "
            f"{before.type}. Add an attribute of the new type under another name, fill it, and "
            f"drop {before.name}"
        )
        raise DefinitionError(message)
    is_told = not rows.is_sqlite or is_bytes(after.type)
    is_exact = modification.conversion is Conversion.KEPT and is_told
    if after.type == BLOB and before.type != BLOB:
        _check_blobs(rows, new, before)
    elif before.type != after.type and not is_exact:
        problem = rows.misfit(before, after)
        if problem is not None:
            message = (
                f"{new.display_name}.{after.name} cannot become {after.type}: {problem}. "
                "Change these rows first"
            )
            raise DefinitionError(message)


def _check_blobs(rows: _Rows, new: TableSpec, attribute: Attribute) -> None:
    """Refuse to read as blobs what are other bytes."""
    n, first = rows.without_blob(attribute)
    if n:
        name = attribute.name
        message = (
            f"{new.display_name}.{name} cannot become <blob>: {n:,} rows hold bytes that are no "
            f"blob, the first where {first}. Keep {attribute.type}, which holds both; or add a "
            f"<blob> under another name, fill it, and drop {name}"
        )
        raise DefinitionError(message)


class _Rows:
    """What the table holds, asked for as the database has it."""

    def __init__(self, connection: Connection, old: TableSpec) -> None:
        self.connection = connection
        self.old = old
        #: Its numbers are shorter than what types promise: values tell what fits.
        self.is_sqlite = connection.database.is_sqlite
        self.any = bool(self._query(()))

    def _query(self, attributes: tuple[Attribute, ...]) -> Query:
        key = tuple(a for a in self.old.heading if a.in_key)
        own = tuple(a for a in attributes if not a.in_key)
        heading = Heading((*key, *(replace(_undecoded(a), nullable=True) for a in own)))
        return Query(Relation(self.old.name, heading), self.connection)

    def without(self, attribute: Attribute) -> str:
        """Return the key of a row where an attribute is null, as text; empty if there is none."""
        query = self._query((attribute,)) & {attribute.name: None}
        return next((_shown(key) for key in query.keys(limit=1)), "")

    def without_blob(self, attribute: Attribute) -> tuple[int, str]:
        """Return how many rows hold bytes that begin as no blob, and the key of the first."""
        value = Name(attribute.name)
        # In the order of bytes, those that begin alike follow each other.
        ranges = (
            both(Call(">=", (value, Literal(m))), Call("<", (value, Literal(_next(m)))))
            for m in ENCODED
        )
        query = self._query((attribute,))
        query = Query(Restriction(query.node, Call("not", (either(*ranges),))), self.connection)
        n = len(query)
        return n, next(
            (_shown(key) for key in query.keys(order_by="KEY", limit=1)), ""
        ) if n else ""

    def misfit(self, old: Attribute, new: Attribute) -> str | None:
        """Return what is wrong with the first value that does not fit, and where."""
        if new.type is None or isinstance(new.type, CodecType):
            return None
        accept = self.connection.database.dialect.accept(new.type)
        for row in self._query((old,)):
            try:
                if row[old.name] is not None:
                    accept(row[old.name])
            except ValueError as error:
                key = {n: row[n] for n in self.old.heading.primary_key}
                return f"{error} (where {_shown(key)})"
        return None


def _undecoded(attribute: Attribute) -> Attribute:
    """Return the attribute with its bytes as they are."""
    return replace(attribute, type=CoreType("bytes")) if is_bytes(attribute.type) else attribute


def _next(prefix: bytes) -> bytes:
    """Return what comes after all that begins with `prefix`, in the order of bytes."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))


def _shown(key: dict[str, object]) -> str:
    return ", ".join(f"{n}={v!r}" for n, v in key.items()) or "the only row"
