"""Which attribute of which row a value comes from, as messages call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value


class RowPlace(NamedTuple):
    """A place in a table; a handle keeps it, so that what it raises later names its row."""

    #: With its schema; empty: not known.
    table: str
    attribute: str
    #: The primary key of the row, as far as it is known.
    key: Mapping[str, Value]

    @classmethod
    def of(cls, context: Context) -> RowPlace | None:
        """Return the place that a codec was told; None: it was called without a table."""
        if not context.attribute:
            return None
        table = f"{context.schema}.{context.table}" if context.schema else context.table
        return cls(table, context.attribute, context.key)

    def __str__(self) -> str:
        """Return it as people read it."""
        table = f"{self.table}, " if self.table else ""
        key = " ".join(f"{name}={value}" for name, value in self.key.items())
        return f'{table}attribute "{self.attribute}"' + (f" of the row {key}" if key else "")
