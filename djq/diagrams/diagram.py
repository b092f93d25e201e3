"""`Diagram`: the tables of a pipeline and how they depend on each other, as a value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from djq.algebra.cascade import cascade
from djq.algebra.nodes import Restriction
from djq.algebra.tracing import belonging, contributed, rows_of, table_of
from djq.definition.graph import ancestors, reached, reverse
from djq.definition.names import quoted
from djq.definition.spec import TableName, TableSpec
from djq.diagrams.focus import Focus, full_label, named, parents_of, references, relation
from djq.diagrams.pictures import Drawable
from djq.diagrams.sketch import Sketch
from djq.diagrams.sources import Source, is_class, merged, read_source, scope_of_caller
from djq.errors import QueryError
from djq.tables import delete
from djq.tables.deletable import Deletable
from djq.tables.free import FreeTable
from djq.tables.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from djq.diagrams.drawing import Drawing
    from djq.tables.removal import PartIntegrity

#: Lines of a printed diagram.
MAX_LINES = 40


class Diagram(Drawable):
    """Tables and their foreign keys, also of tables that this process has no class for.

    Diagrams are values: `+`, `-`, `*` and the methods return new ones. In a notebook a diagram
    shows itself.

    Parameters
    ----------
    source
        A schema, a table, a module with either, or another diagram.
    context
        Names for tables, such as `globals()`; None: the names where the diagram is asked for.
        A table without a name is called `schema.Class`.

    Raises
    ------
    QueryError
        There is nothing in the source to draw.

    Examples
    --------
    `dj.Diagram(Session) - 1 + 2`: the session's parents, and all up to two levels below them;
    `dj.Diagram(lab) + dj.Diagram(ephys).collapse()`: one schema in detail, the other as one box.
    """

    def __init__(self, source: object, context: Mapping[str, Any] | None = None) -> None:
        self.focus: Focus
        if isinstance(source, Diagram):
            self.focus = source.focus
        else:
            scope = scope_of_caller() if context is None else context
            self.focus = Focus(named(read_source(source), scope))

    @classmethod
    def from_sequence(
        cls, sources: Iterable[object], context: Mapping[str, Any] | None = None
    ) -> Diagram:
        """Return the diagram of all tables of several sources."""
        scope = scope_of_caller() if context is None else context
        diagrams = [Diagram(source, scope) for source in sources]
        if not diagrams:
            message = "no source to draw: name at least one schema, table or module"
            raise QueryError(message)
        total = diagrams[0]
        for diagram in diagrams[1:]:
            total = total + diagram
        return total

    def _at(self, focus: Focus) -> Self:
        found = object.__new__(type(self))
        found.focus = focus
        return found

    # --- algebra -------------------------------------------------------------------------------

    def __add__(self, other: object) -> Self:
        """Return the tables of both; with a number, also those up to so many levels below."""
        if isinstance(other, int):
            return self._at(self.focus.further(_checked(other), is_down=True))
        if not isinstance(other, Diagram):
            return NotImplemented
        return self._at(self.focus.and_others(other.focus))

    def __sub__(self, other: object) -> Self:
        """Return the tables that are not in the other; with a number, also so many levels above."""
        if isinstance(other, int):
            return self._at(self.focus.further(_checked(other), is_down=False))
        if not isinstance(other, Diagram):
            return NotImplemented
        merged([self.focus.source, other.focus.source])
        return self._at(self.focus.at(self.focus.names - other.focus.names))

    def __mul__(self, other: object) -> Self:
        """Return the tables that are in both."""
        if not isinstance(other, Diagram):
            return NotImplemented
        merged([self.focus.source, other.focus.source])
        return self._at(self.focus.at(self.focus.names & other.focus.names))

    def add_parts(self) -> Self:
        """Return the diagram with the parts of all of its tables."""
        return self._at(self.focus.with_parts())

    def collapse(self) -> Self:
        """Return the diagram with all tables of a schema as one box.

        In a sum, tables that the other diagram shows stay as they are.
        """
        return self._at(replace(self.focus, collapsed=self.focus.names))

    # --- as a collection -----------------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:
        """Iterate over the full names of the tables, each after all that it refers to."""
        return iter([quoted(name) for name in self.focus.ordered()])

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(self.focus.names)

    def __contains__(self, table: object) -> bool:
        """Tell whether a table is shown: a class, an instance, or a name."""
        return self._find(table) is not None

    def __eq__(self, other: object) -> bool:
        """Tell whether both show the same tables and rows in the same way."""
        if not isinstance(other, Diagram):
            return NotImplemented
        mine, theirs = self.focus, other.focus
        is_same = mine.source.connection is theirs.source.connection
        shown = (mine.names, mine.collapsed, mine.rows)
        return is_same and shown == (theirs.names, theirs.collapsed, theirs.rows)

    def __hash__(self) -> int:
        """Return the hash of what is shown."""
        return hash((self.focus.names, self.focus.collapsed))

    def __repr__(self) -> str:
        """Return the tables in order, each with those that it refers to."""
        labels = self.focus.labels()
        parents = parents_of(self.focus.database)
        lines: list[str] = []
        for name in self.focus.ordered():
            its = [labels[p] for p in dict.fromkeys(parents.get(name, ())) if p in labels]
            lines.append(f"  {labels[name]}{' ← ' if its else ''}{', '.join(its)}")
        more = [f"  … {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
        count = f"{len(lines)} table{'s' if len(lines) != 1 else ''}"
        return "\n".join([f"{type(self).__name__} of {count}", *lines[:MAX_LINES], *more])

    def _find(self, table: object) -> TableName | None:
        """Return the table of the diagram that is meant, if it is there."""
        if isinstance(table, Query) or is_class(table):
            name = _name_of(table)
            return name if name in self.focus.names else None
        return self.focus.find(table)

    def sketch(self, direction: str) -> Drawing:
        """Return the boxes and arrows that are drawn."""
        focus = self.focus
        shown = Sketch(focus.database, focus.ordered(), focus.labels(), focus.collapsed)
        return shown.drawing(direction)

    # --- rows ----------------------------------------------------------------------------------

    @classmethod
    def cascade(
        cls, query: Query | type[Query], part_integrity: PartIntegrity = "enforce"
    ) -> Cascade:
        """Return a table's rows and all rows below them: what deleting the rows would take.

        `.counts()` are the rows per table. Nothing is deleted.

        Raises
        ------
        UsageError
            `Table.delete` would refuse: the rows are parts, say.
        """
        table = _query(query)
        if not isinstance(table, Deletable):
            table_of(table.node)
            message = "the query is a projection: restrict the table by it, as in Table & query"
            raise QueryError(message)
        return Cascade(table, part_integrity, scope_of_caller())

    @classmethod
    def trace(cls, query: Query | type[Query]) -> Trace:
        """Return the tables that a table's rows came from, each with the rows that contributed.

        `trace[Session]` are the sessions behind the query's rows, by whichever way of references.
        References of a table to itself are not followed.

        Raises
        ------
        QueryError
            The query has no rows of one table.
        """
        return Trace(_query(query), scope_of_caller())

    def restrict(self, query: Query | type[Query]) -> Self:
        """Return the diagram with the query's table, and all tables below it, restricted to it.

        A row is left if everything that it refers to is: several restrictions add up.
        """
        node = _query(query).node
        root = table_of(node).name
        database, names = self.focus.database, self.focus.names
        if root not in names:
            raise QueryError(self._missing(root))
        parents = parents_of(database)
        needed = names.union(*(ancestors(name, parents) for name in names))
        below = reached([root], reverse(parents), len(parents)) & needed
        relations = {name: relation(database, name) for name in sorted(below)}
        rows = dict(self.focus.rows)
        for name, condition in belonging(node, references(database), relations).items():
            if name in names:
                rows[name] = Restriction(self.focus.node(name), condition)
        return self._at(replace(self.focus, rows=rows))

    def prune(self) -> Self:
        """Return the diagram without the tables that have no rows left."""
        focus = self.focus
        return self._at(focus.at(n for n in focus.names if focus.database.exists(focus.node(n))))

    def counts(self) -> dict[str, int]:
        """Return the number of rows by full table name, each after those that it refers to."""
        names = self.focus.ordered()
        n_rows = self.focus.database.counts([self.focus.node(name) for name in names])
        return {quoted(name): n for name, n in zip(names, n_rows, strict=True)}

    def __getitem__(self, table: object) -> Query:
        """Return a table of the diagram with its rows: by its class, an instance, or a name.

        Raises
        ------
        QueryError
            The table is not in the diagram.
        """
        name = self._find(table)
        if name is None:
            raise QueryError(self._missing(_name_of(table) or table))
        database = self.focus.source.connection
        found = table() if is_class(table) else FreeTable(database, quoted(name))
        return found.over(self.focus.node(name))

    def _missing(self, table: object) -> str:
        known = ", ".join(sorted(self.focus.labels().values()))
        return f"{_quoted(table)} is not in the diagram. Its tables: {known or 'none'}"


class Trace(Diagram):
    """Where rows came from: `trace[Session]`, `trace.counts()`."""

    def __init__(self, query: Query, context: Mapping[str, Any]) -> None:
        database = query.connection.database
        root = table_of(query.node).name
        names = [root, *sorted(ancestors(root, parents_of(database)))]
        relations = {name: relation(database, name) for name in names}
        rows = contributed(query.node, references(database), relations)
        source = Source(query.connection, frozenset(rows))
        self.focus: Focus = Focus(named(source, context), rows=rows)

    def _missing(self, table: object) -> str:
        labels = self.focus.labels()
        *above, root = [labels[name] for name in self.focus.ordered()] or [""]
        return (
            f"{_quoted(table)} is not an ancestor of {root}, whose rows do not come from it. "
            f"Ancestors: {', '.join(above) or 'none'}"
        )


class Cascade(Diagram):
    """What a delete would take: `cascade.counts()`."""

    def __init__(
        self, table: Deletable, part_integrity: PartIntegrity, context: Mapping[str, Any]
    ) -> None:
        self.plan: delete.Plan = delete.plan(table, part_integrity)
        database = table.connection.database
        found, condition = rows_of(table.node)
        going = cascade(found, condition, references(database))
        rows = {g.name: Restriction(relation(database, g.name), g.rows.condition) for g in going}
        source = Source(table.connection, frozenset(rows))
        self.focus: Focus = Focus(named(source, context), rows=rows)

    def _at(self, focus: Focus) -> Self:
        found = super()._at(focus)
        found.plan = self.plan
        return found

    def counts(self) -> dict[str, int]:
        """Return how many rows of each table a delete would take, parents first."""
        return self.plan.counts()


def _name_of(table: object) -> TableName | None:
    spec = getattr(table, "spec", None)
    return spec.name if isinstance(spec, TableSpec) else None


def _query(value: object) -> Query:
    found: object = value() if is_class(value) else value
    if isinstance(found, Query):
        return found
    message = f"{value!r} is not a table or query"
    raise QueryError(message)


def _quoted(table: object) -> str:
    if isinstance(table, TableName):
        return full_label(table)
    return f'"{table}"' if isinstance(table, str) else repr(table)


def _checked(steps: int) -> int:
    if steps < 0:
        message = f"{steps} levels: write - {-steps} for levels above, + {-steps} for levels below"
        raise QueryError(message)
    return steps
