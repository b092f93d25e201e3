"""Which keys of a table can be due, now that another table has certain new keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.populate import levels
from djq.populate.keys import from_key_ids
from djq.tables.table import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.definition.constraints import TableName
    from djq.definition.heading import Heading
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.keys import Key


class Sources:
    """The tables that one table's keys come from, under their names on the server.

    Parameters
    ----------
    table
        The table whose keys may be due.
    """

    def __init__(self, table: type[AutoPopulate]) -> None:
        self._table = table
        found = levels.known_sources(table)
        self._headings = {str(name): h for name, h in found.items()}
        self._renamings = {str(name): renamings(table, {name}) for name in found}

    def are_telling(self) -> dict[str, bool]:
        """Return the tables, and whether their keys tell which ones may be due."""
        mine = set(self._table.job_heading.names)
        return {
            name: any(
                mine.intersection(renaming.get(n, n) for n in heading.primary_key)
                for renaming in self._renamings[name]
            )
            for name, heading in self._headings.items()
        }

    def among(self, source: str, ids: Sequence[str]) -> list[Key]:
        """Return new keys of a table under the names that this one gives their attributes."""
        heading = self._headings[source]
        try:
            keys = from_key_ids(heading, ids)
        except (TypeError, ValueError):
            return []  # whoever announced them knows another table of this name
        return named(keys, heading, self._renamings[source])


def named(keys: Sequence[Key], heading: Heading, namings: Iterable[Mapping[str, str]]) -> list[Key]:
    """Return keys under other names; in each of several ways."""
    names = heading.primary_key
    return [
        dict(zip(mine, key.values(), strict=True))
        for renaming in namings
        for mine in [[renaming.get(name, name) for name in names]]
        for key in keys
    ]


def parts(table: type[AutoPopulate]) -> Iterable[type[Part]]:
    """Iterate over the parts of a table."""
    return (p for p in vars(table).values() if isinstance(p, type) and issubclass(p, Part))


def renamings(child: type[AutoPopulate], named: Iterable[TableName]) -> list[dict[str, str]]:
    """Return, for each reference of the child's key to one of `named`, its names -> the child's."""
    parents = set(named)
    found = [
        {theirs: mine for mine, theirs in reference.columns}
        for reference in child.spec.foreign_keys
        if reference.in_key and reference.parent in parents
    ]
    return found or [{}]
