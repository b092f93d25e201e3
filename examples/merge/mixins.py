"""What every table of the laboratory can do beyond a table; mixed in before the tier."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Self

import djq as dj

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    _Base = dj.Table
else:
    _Base = object

#: Identifiers of rows lie in a namespace of their own.
ROWS = uuid.UUID("3a9be3d5-3f5d-4b9f-8a3e-6d5b36d43a55")


class LabTable(_Base):
    """Walks the graph around a table, or some of its rows: `(Table & key).counts_below()`."""

    def counts_below(self) -> dict[str, int]:
        """Return the number of rows of every table below that follow from the rows of this one.

        Only references that keep the names of this table's key are followed: it is a look around,
        not the plan of a delete.
        """
        found: dict[str, int] = {}
        waiting = list(self.children())
        while waiting:
            name = waiting.pop(0)
            if name in found:
                continue
            table = dj.FreeTable(self.connection, name)
            shared = [n for n in self.primary_key if n in table.heading]
            if len(shared) == len(self.primary_key):
                found[name] = len(table & self.proj())
                waiting += table.children()
        return found

    def rows_above(self) -> dict[str, dj.Query]:
        """Return the rows of the tables that the rows of this one refer to."""
        return {parent.full_table_name: parent & self for parent in self.parents(as_objects=True)}

    @classmethod
    def row_id(cls, *values: object) -> uuid.UUID:
        """Return the same identifier for the same values of the same table."""
        return uuid.uuid5(ROWS, json.dumps([cls.__name__, *values], sort_keys=True, default=str))


class Selection(LabTable):
    """A request: which rows of the parents belong together; its only key is an identifier."""

    @classmethod
    def insert_selection(cls, row: Mapping[str, Any]) -> dict[str, Any]:
        """Insert a choice unless it is there, and return its key."""
        (name,) = cls.primary_key
        key = {name: cls.row_id(dict(row))}
        cls.insert1({**key, **row}, skip_duplicates=True)
        return key


class Merge(LabTable):
    """A table whose rows each stand for one row of one of several pipelines.

    The master has an identifier and the name of the part that knows more; each part refers to
    one pipeline. What follows refers to the master, and need not care where data came from.
    """

    definition = """
    # A row of one of several pipelines
    output_id : uuid
    ---
    source : varchar(32)     # the part that has it
    """

    @classmethod
    def sources(cls) -> dict[str, type[dj.Part]]:
        """Return the parts by name."""
        return {
            name: part
            for name, part in vars(cls).items()
            if isinstance(part, type) and issubclass(part, dj.Part)
        }

    @classmethod
    def add(cls, source: str, keys: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Let rows of a pipeline be outputs, unless they are already; return the outputs' keys."""
        part = cls.sources()[source]
        added: list[dict[str, Any]] = []
        for key in keys:
            output = {"output_id": cls.row_id(source, dict(key))}
            with cls().connection.transaction:
                cls.insert1({**output, "source": source}, skip_duplicates=True)
                part.insert1({**output, **key}, skip_duplicates=True)
            added.append(output)
        return added

    def origin(self) -> dj.Query:
        """Return the pipeline's row that the one row of this restricted table stands for."""
        part = self.sources()[self.fetch1("source")]()
        (name,) = part.parents(primary=False)
        origin: dj.Query = dj.FreeTable(self.connection, name) & (part & self.proj())
        return origin

    def outputs_of(self, key: Mapping[str, Any]) -> Self:
        """Return the outputs whose part has these values; parts without such attributes do not."""
        parts = [part for part in self.sources().values() if key.keys() <= set(part.heading.names)]
        return self & [(part & dict(key)).proj() for part in parts]
