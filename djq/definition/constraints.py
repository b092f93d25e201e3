"""What ties tables together and orders them: names, foreign keys, indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djq.definition.heading import Heading


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table's identity on the server."""

    schema: str
    table: str

    def __str__(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to `parent`: `columns` pairs this table's attribute with the parent's.

    `in_key` tells whether all of its attributes are in this table's primary key. That it is
    unique is an `Index` over the same attributes; that it is nullable is theirs to say.
    """

    parent: TableName
    columns: tuple[tuple[str, str], ...]
    in_key: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes of the table that refers."""
        return tuple(mine for mine, _ in self.columns)


@dataclass(frozen=True, slots=True)
class Index:
    """An index over attributes of this table, or `(expressions)` and JSON paths `a.b:type`."""

    terms: tuple[str, ...]
    is_unique: bool = False


def ordered_keys(keys: Iterable[ForeignKey], heading: Heading) -> tuple[ForeignKey, ...]:
    """Return references in the order in which they bring attributes, each once.

    The catalog tells them in another order than the definition: equal tables are equal specs.
    """
    places = {name: i for i, name in enumerate(heading.names)}
    unique = dict.fromkeys(keys)
    return tuple(
        sorted(unique, key=lambda k: (sorted(places.get(n, -1) for n in k.names), k.parent))
    )


def ordered_indexes(
    indexes: Iterable[Index], keys: Iterable[ForeignKey], heading: Heading
) -> tuple[Index, ...]:
    """Return indexes in one order, each once, without those that are made anyway.

    A reference has an index of its own, and the primary key is unique.
    """
    served = {Index(k.names) for k in keys} | {Index(heading.primary_key, is_unique=True)}
    kept = {*indexes} - served
    return tuple(sorted(kept, key=lambda i: (i.terms, i.is_unique)))
