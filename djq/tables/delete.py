"""`delete`: the cascade planned, shown and carried out; all of it or nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.algebra.carrying import is_stable, key_in
from djq.algebra.cascade import Going, cascade, master_of
from djq.algebra.expressions import Expression, Matches, Name
from djq.algebra.nodes import Node, Projection, Relation, Restriction, Top
from djq.algebra.tracing import unrestricted
from djq.definition.names import quoted
from djq.errors import BrokenReferenceError, QueryError, TransientDatabaseError, UsageError
from djq.tables.asking import check_terminal, confirm, show, show_counts
from djq.tables.making import current_of
from djq.tables.removal import Key, PartIntegrity, Removal, chunks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.definition.spec import TableName
    from djq.sql.engine import Database
    from djq.tables.deletable import Deletable

PART_INTEGRITY = ("enforce", "ignore", "cascade")
#: How often a delete is planned anew when rows or tables appear below it.
MAX_PLANS = 3


class _Undo(Exception):  # noqa: N818 - not a failure
    """Leaves a transaction that must not be kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows that a delete would take, with all that refer to them; nothing is done yet."""

    database: Database
    #: The table that is deleted from, its rows, and how people call it.
    relation: Relation
    condition: Expression
    display_name: str
    part_integrity: PartIntegrity

    def counts(self) -> dict[str, int]:
        """Return how many rows of each table would go, parents first.

        One statement counts them. Where rows refer to rows of their own table, or masters go with
        their parts, it is tried out in a transaction that is rolled back.
        """
        going = self._going()
        if self._is_countable(going):
            n_rows = self.database.counts([g.rows for g in going])
            return {quoted(g.name): n for g, n in zip(going, n_rows, strict=True)}
        tried = self._try_out()
        order = [g.name for g in going]
        names = [*order, *(n for n in tried if n not in order)]
        return {quoted(name): tried.get(name, 0) for name in names}

    def _going(self) -> list[Going]:
        return cascade(self.relation, self.condition, self.database.catalog.references())

    def _is_countable(self, going: list[Going]) -> bool:
        is_upward = self.part_integrity == "cascade" and not all(
            b.is_whole for g in going for b in g.branches
        )
        return not is_upward and not any(g.loops for g in going)

    def _try_out(self) -> Mapping[TableName, int]:
        found: dict[TableName, int] = {}

        def attempt() -> None:
            removal = self._remove("ignore" if self.part_integrity == "enforce" else None)
            found.clear()
            found.update(removal.n_rows)
            raise _Undo

        with suppress(_Undo):
            self.database.atomically(attempt)
        return found

    def execute(self, expected: Mapping[str, int] | None = None) -> int:
        """Delete the rows; return how many of the table itself went.

        Parameters
        ----------
        expected
            What somebody agreed to: if other rows would go, nothing does.

        Raises
        ------
        IntegrityError
            Parts would go without their masters.
        BrokenReferenceError
            Rows refer to these that this user does not see, or that appear again and again.
        """
        for _ in range(MAX_PLANS - 1):
            try:
                return self._execute(expected)
            except BrokenReferenceError:
                # Rows were inserted meanwhile, or a table declared that this process knows not of.
                self.database.catalog.forget()
        return self._execute(expected)

    def _execute(self, expected: Mapping[str, int] | None) -> int:
        self.database.catalog.references()  # read outside of the transaction

        def attempt() -> int:
            removal = self._remove()
            if expected is not None:
                _check_expected(removal, expected)
            return removal.n_rows[self.relation.name]

        return self.database.atomically(attempt)

    def _remove(self, part_integrity: PartIntegrity | None = None) -> Removal:
        edges = self.database.catalog.references()
        removal = Removal(self.database, edges, part_integrity or self.part_integrity)
        try:
            if is_stable(self.condition):
                removal.remove(self.relation, self.condition)
            else:
                # What the condition reads may go before the rows themselves.
                self.database.hold()
                key = self.relation.heading.primary_key
                rows = Restriction(self.relation, self.condition)
                removal.remove_keys(self.relation, key, _keys(self.database, rows))
            removal.settle_masters()
        except BrokenReferenceError as error:
            message = (
                f"rows of {removal.current} cannot be deleted: rows of a table that this user does "
                f"not see refer to them, or new ones keep coming; nothing was deleted. The "
                f"database says: {error}"
            )
            raise BrokenReferenceError(message) from error
        return removal


def _check_expected(removal: Removal, expected: Mapping[str, int]) -> None:
    went = {quoted(name): n for name, n in removal.n_rows.items() if n}
    shown = {name: n for name, n in expected.items() if n}
    if went != shown:
        name = next(n for n in [*shown, *went] if shown.get(n, 0) != went.get(n, 0))
        message = (
            f"rows changed since they were counted: {went.get(name, 0):,} of {name} would go, and "
            f"{shown.get(name, 0):,} were shown. Nothing was deleted: look again"
        )
        raise TransientDatabaseError(message)


def plan(table: Deletable, part_integrity: PartIntegrity = "enforce") -> Plan:
    """Return what deleting the rows of a restricted table would mean.

    Raises
    ------
    UsageError
        The rows are parts, or a restriction of them has no attribute of the table.
    """
    if part_integrity not in PART_INTEGRITY:
        message = (
            f"part_integrity={part_integrity!r}: choose from "
            f"{', '.join(repr(p) for p in PART_INTEGRITY)}"
        )
        raise UsageError(message)
    _check_restrictions(table)
    relation, condition = _to_delete(table)
    master = master_of(relation.name)
    if master is not None and part_integrity == "enforce":
        message = (
            f"{table.display_name} is a part: its rows come and go with their masters. Start at "
            f'the master ({master}), or use part_integrity="cascade" (the masters go, too) or '
            '"ignore"'
        )
        raise UsageError(message)
    database = table.connection.database
    return Plan(database, relation, condition, table.display_name, part_integrity)


def _check_restrictions(table: Deletable) -> None:
    """Refuse to take a misspelled restriction for none."""
    if not table.unheeded:
        return
    message = (
        f"{table.display_name} is restricted by {', '.join(table.unheeded)}, and has none of these "
        "attributes: such a restriction leaves all rows, which are not deleted by accident. "
        f"Known: {', '.join(table.heading.names)}"
    )
    raise QueryError(message)


def _to_delete(table: Deletable) -> tuple[Relation, Expression]:
    relation, condition = _read(table.node, table.display_name)
    call = current_of(relation.name)
    return relation, condition if call is None else call.spared(condition)


def _read(node: Node, display_name: str) -> tuple[Relation, Expression]:
    """Return the table and the condition of its rows."""
    inner, condition = unrestricted(node)
    if isinstance(inner, Relation):
        return inner, condition
    if isinstance(inner, Top):
        relation, _ = _read(inner.source, display_name)
        return relation, Matches(_keys_of(node), node.heading.primary_key)
    message = f"{display_name}: only rows of one table can be deleted, not those of an expression"
    raise QueryError(message)


def _keys(database: Database, rows: Restriction) -> list[Key]:
    if not rows.heading.primary_key:  # a table of one row
        return [()] if database.exists(rows) else []
    return database.fetch(_keys_of(rows))


def _keys_of(node: Node) -> Projection:
    names = node.heading.primary_key
    heading = node.heading.project({n: n for n in names})
    return Projection(node, tuple((n, Name(n)) for n in names), heading)


def delete(
    table: Deletable, *, transaction: bool, prompt: bool | None, part_integrity: PartIntegrity
) -> int:
    """Do what `Table.delete` says."""
    connection = table.connection
    asks = connection.settings.safemode if prompt is None else prompt
    planned = plan(table, part_integrity)
    if connection.in_transaction and asks:
        message = (
            f"{table.display_name}: delete cannot ask inside a transaction, which would hold its "
            "locks meanwhile: pass prompt=False"
        )
        raise UsageError(message)
    if not transaction and not connection.in_transaction:
        message = (
            f"{table.display_name}: transaction=False deletes within the transaction that is open, "
            "and none is: leave it out"
        )
        raise UsageError(message)
    if not asks:
        return planned.execute()
    check_terminal(f"{table.display_name}: delete")
    counts = planned.counts()
    shown = {name: n for name, n in counts.items() if n}
    if not shown:
        show(f"{table.display_name}: nothing to delete")
        return 0
    show_counts(shown)
    if not confirm(f"Delete these {sum(shown.values()):,} rows?"):
        show("Nothing was deleted.")
        return 0
    return planned.execute(counts)


def delete_quick(table: Deletable) -> int:
    """Do what `Table.delete_quick` says."""
    _check_restrictions(table)
    relation, condition = _to_delete(table)
    database = table.connection.database
    try:
        return _delete_quick(database, relation, condition)
    except BrokenReferenceError as error:
        message = (
            f"cannot delete rows of {relation.name}: rows of other tables refer to them; nothing "
            f"was deleted. delete() deletes these, too ({error})"
        )
        raise BrokenReferenceError(message) from error


def _delete_quick(database: Database, relation: Relation, condition: Expression) -> int:
    if is_stable(condition):
        return database.delete(Restriction(relation, condition))

    def attempt() -> int:
        database.hold()
        names = relation.heading.primary_key
        keys = _keys(database, Restriction(relation, condition))
        return sum(
            database.delete(Restriction(relation, key_in(names, chunk))) for chunk in chunks(keys)
        )

    return database.atomically(attempt)
