"""What a table can lose: rows, with all that refers to them, and itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from djq.algebra.nodes import Relation
from djq.tables import delete as deleting
from djq.tables import drop as dropping
from djq.tables.classwise import on_class_too
from djq.tables.query import Query

if TYPE_CHECKING:
    from djq.definition.spec import TableSpec
    from djq.tables.removal import PartIntegrity


class Deletable(Query):
    """A table's verbs that end rows and tables."""

    spec: ClassVar[TableSpec]

    @property
    def is_restricted(self) -> bool:
        """Whether this is not the whole table."""
        return not isinstance(self._node, Relation)

    @property
    def display_name(self) -> str:
        """The table as people call it: `schema.Class`."""
        return self.spec.display_name

    @on_class_too
    def delete(
        self,
        transaction: bool = True,
        prompt: bool | None = None,
        part_integrity: PartIntegrity = "enforce",
    ) -> int:
        """Delete the rows and all rows that refer to them, in any schema; all of it or nothing.

        Parameters
        ----------
        transaction
            True: in a transaction of its own, or as a part of the one that is open. False: only
            within an open one.
        prompt
            Show how many rows of each table would go, and ask; None: as the setting `safemode`
            says.
        part_integrity
            What happens where parts go and their masters would stay: `"enforce"` refuses,
            `"cascade"` deletes the masters, too, `"ignore"` leaves them.

        Returns
        -------
        int
            How many rows of this table were deleted.

        Raises
        ------
        IntegrityError
            Parts would go without their masters.
        QueryError
            A restriction has no attribute of the table, and would leave all rows.
        """
        return deleting.delete(
            self, transaction=transaction, prompt=prompt, part_integrity=part_integrity
        )

    @on_class_too
    def delete_quick(self, get_count: bool = False) -> int | None:
        """Delete the rows without asking; refused where others refer to them.

        With `get_count`, return how many were deleted.
        """
        n_rows = deleting.delete_quick(self)
        return n_rows if get_count else None

    @on_class_too
    def drop(
        self,
        prompt: bool | None = None,
        part_integrity: PartIntegrity = "enforce",
    ) -> None:
        """Drop the table with all that refer to it, in any schema, and all of their rows.

        It cannot be undone, and an error in the middle leaves tables of which none refers to one
        that is gone. `prompt` and `part_integrity` are those of `delete`.
        """
        dropping.drop(self, prompt=prompt, part_integrity=part_integrity)

    @on_class_too
    def drop_quick(self) -> None:
        """Drop this table alone, without asking; refused where others refer to it."""
        dropping.drop_quick(self)
