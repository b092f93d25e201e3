"""`Query`: an expression bound to a connection: combine, count, fetch, iterate, decode."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import numpy as np

from djq.algebra import operators
from djq.algebra.conditions import ConditionReader, Not, materialized, unheeded
from djq.algebra.expressions import both
from djq.errors import QueryError
from djq.sql.conditions import read_text
from djq.tables.decode import decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading
    from djq.tables.connection import Connection

P = ParamSpec("P")
R = TypeVar("R")
Row = dict[str, Any]

CONDITIONS = ConditionReader(read_text)

#: What people try on joins and projections.
TABLE_VERBS = frozenset({"alter", "delete", "delete_quick", "drop", "insert", "insert1", "update1"})


class on_class_too(Generic[P, R]):  # noqa: N801 - used as a decorator
    """A method that may be called on the class as on an instance: `Image.fetch()`."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __get__(self, instance: object, owner: type) -> Callable[P, R]:
        """Bind to the instance, or to a new one of the class."""
        bound = instance if instance is not None else owner()
        return functools.partial(self.function, bound)


class seen_on_class_too(Generic[R]):  # noqa: N801 - used as a decorator
    """A property that may be read on the class as on an instance: `Image.heading`."""

    def __init__(self, function: Callable[[Any], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> R:
        """Ask the instance, or a new one of the class."""
        return self.function(instance if instance is not None else owner())


class Query:
    """A set of rows, described and not yet fetched; immutable.

    Operators return new queries: `&` and `-` restrict, `*` joins, `proj` and `aggr` choose, rename
    and compute attributes. Nothing is asked of the database before rows are needed.
    """

    def __init__(self, node: Node, connection: Connection) -> None:
        self._node = node
        self._connection = connection
        #: Names of restrictions that restrict nothing, since none is an attribute.
        self.unheeded: tuple[str, ...] = ()

    @property
    def node(self) -> Node:
        """The query's tree."""
        return self._node

    @seen_on_class_too
    def connection(self) -> Connection:
        """Return where the rows are."""
        found: Connection = self._connection
        return found

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Value:
            """Say of a table's verb that it is none of an expression's."""
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in TABLE_VERBS:
                message = (
                    f"{name} is for the rows of one table: {self._describe()} is an expression. "
                    f"Restrict a table by it, as in (Table & query).{name}(...)"
                )
            raise AttributeError(message)

    @seen_on_class_too
    def heading(self) -> Heading:
        """Return the attributes of the rows."""
        return self.node.heading

    @seen_on_class_too
    def primary_key(self) -> list[str]:
        """Return the names that identify a row."""
        return list(self.heading.primary_key)

    # --- operators -----------------------------------------------------------------------------

    def _with(self, node: Node) -> Query:
        return Query(node, self.connection)

    def over(self, node: Node) -> Self:
        """Return this very query over other rows: a restricted table keeps its class's methods."""
        found = copy.copy(self)
        found._node = node  # noqa: SLF001 - its own
        return found

    def _restricted(self, *conditions: Value) -> Self:
        kept = [materialized(c) for c in conditions]
        read = [CONDITIONS.read(c, self.heading) for c in kept]
        found = self.over(operators.restrict(self.node, both(*read)))
        found.unheeded = (*self.unheeded, *(n for c in kept for n in unheeded(c, self.heading)))
        return found

    def __and__(self, condition: Value) -> Self:
        """Return the rows for which the condition holds.

        A condition is a mapping, SQL text, another query (rows with a match), a list of conditions
        (any of them), `dj.AndList` (all of them), `dj.Not` or a bool.
        """
        return self._restricted(condition)

    def __sub__(self, condition: Value) -> Self:
        """Return the rows for which the condition does not hold; the same forms as for `&`."""
        return self._restricted(Not(condition))

    def __mul__(self, other: Query | type[Query]) -> Query:
        """Return the natural join on all shared attributes."""
        return self.join(other)

    @on_class_too
    def join(self, other: Query | type[Query], *, left: bool = False) -> Query:
        """Return the natural join; with `left` also the rows of this side that have no match."""
        node = _as_query(other).node
        return self._with(operators.join(self.node, node, is_left=left))

    @on_class_too
    def restrict(self, *conditions: Value) -> Query:
        """Return the rows for which all conditions hold."""
        return self._restricted(*conditions)

    @on_class_too
    def proj(self, /, *attributes: Value, **computed: str) -> Query:
        """Return the same rows with the key, the named attributes, and renamed or computed ones.

        `...` is all secondary attributes, `"-name"` leaves one out, `new="old"` renames,
        `new="a + b"` computes.
        """
        node = operators.project(self.node, attributes, computed, read_text)
        return self._with(node)

    @on_class_too
    def aggr(
        self,
        other: Query | type[Query],
        /,
        *attributes: Value,
        exclude_nonmatching: bool = False,
        **computed: str,
    ) -> Query:
        """Return this query's rows with values computed over the matching rows of `other`.

        `count(*)` counts matching rows: 0 where there are none.
        """
        node = operators.aggregate(
            self.node,
            _as_query(other).node,
            attributes,
            computed,
            read_text,
            keeps_empty=not exclude_nonmatching,
        )
        return self._with(node)

    # --- asking --------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self.connection.database.count(self.node)

    def __bool__(self) -> bool:
        """Tell whether there is any row."""
        return self.connection.database.exists(self.node)

    def __contains__(self, row: Value) -> bool:
        """Tell whether a row with these values is in the query."""
        return bool(self._restricted(row))

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows as dicts, without holding them all."""
        decode = decoder(self.heading, self.connection)
        for row in self.connection.database.stream(self.node):
            yield decode(row)

    def _fetch_rows(self, node: Node) -> list[Row]:
        decode = decoder(node.heading, self.connection)
        return [decode(row) for row in self.connection.database.fetch(node)]

    def _ordered(
        self, order_by: Sequence[str] | str | None, limit: int | None, offset: int
    ) -> Node:
        if order_by is None and limit is None and offset == 0:
            return self.node
        return operators.order(self.node, order_by, limit=limit, offset=offset)

    @on_class_too
    def to_dicts(
        self,
        order_by: Sequence[str] | str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Row]:
        """Return the rows as a list of dicts."""
        return self._fetch_rows(self._ordered(order_by, limit, offset))

    @on_class_too
    def keys(
        self,
        order_by: Sequence[str] | str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Row]:
        """Return the primary keys as a list of dicts."""
        node = self._ordered(order_by, limit, offset)
        return self._fetch_rows(operators.project(node, (), {}, read_text))

    @on_class_too
    def fetch1(self, *attributes: str) -> Value:
        """Return the one row there is: a dict, or the values of the named attributes.

        One name gives its value, several give a tuple; `"KEY"` is the primary key as a dict.

        Raises
        ------
        QueryError
            There is no row, or more than one.
        """
        rows = self._fetch_rows(self._top(self._narrowed(attributes), 2))
        if len(rows) != 1:
            count = "no row" if not rows else f"{len(self)} rows"
            message = (
                f"fetch1 needs exactly one row, and {self._describe()} has {count}: restrict it"
            )
            raise QueryError(message)
        row = rows[0]
        if not attributes:
            return row
        values = tuple(self._pick(row, a) for a in attributes)
        return values[0] if len(attributes) == 1 else values

    def _top(self, node: Node, limit: int) -> Node:
        return operators.order(node, None, limit=limit)

    def _narrowed(self, attributes: Sequence[str]) -> Node:
        """Return the node without attributes that were not asked for: objects are not loaded."""
        if not attributes:
            return self.node
        wanted = [a for a in attributes if a != "KEY"]
        for name in wanted:
            self.heading[name]
        return operators.project(self.node, wanted, {}, read_text)

    def _pick(self, row: Row, name: str) -> Value:
        return {n: row[n] for n in self.heading.primary_key} if name == "KEY" else row[name]

    @on_class_too
    def fetch(
        self,
        *attributes: str,
        as_dict: bool = False,
        order_by: Sequence[str] | str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Value:
        """Return the rows in the shapes of DataJoint 0.14.

        Without names: a structured array, or a list of dicts with `as_dict`. With one name: an
        array of its values; with several: a list of arrays. `"KEY"` gives the primary keys as a
        list of dicts.
        """
        node = self._narrowed(attributes)
        if order_by is not None or limit is not None or offset:
            full = operators.order(self.node, order_by, limit=limit, offset=offset)
            wanted = [a for a in attributes if a != "KEY"]
            node = operators.project(full, wanted, {}, read_text) if attributes else full
        rows = self._fetch_rows(node)
        if as_dict:
            names = [n for a in attributes for n in (self.primary_key if a == "KEY" else [a])]
            return [{n: row[n] for n in names} for row in rows] if attributes else rows
        if not attributes:
            return _structured(rows, self.heading)
        columns = [
            [self._pick(row, a) for row in rows] if a == "KEY" else _array([row[a] for row in rows])
            for a in attributes
        ]
        return columns[0] if len(columns) == 1 else columns

    @on_class_too
    def make_sql(self) -> str:
        """Return the query's SQL, with its values as placeholders."""
        return self.connection.database.sql(self.node)

    def _describe(self) -> str:
        return "the query"

    def __repr__(self) -> str:
        """Return the first rows as a table."""
        names = self.heading.names
        shown = [n for n in names if not self.heading[n].is_encoded]
        settings = self.connection.settings
        node = operators.project(self.node, shown, {}, read_text)
        rows = self._fetch_rows(operators.order(node, None, limit=settings.display_limit))
        width = settings.display_width
        return preview(names, rows, total=len(self), heading=self.heading, width=width)


def _as_query(other: object) -> Query:
    found = other() if isinstance(other, type) else other
    if isinstance(found, Query):
        return found
    message = f"{other!r} is not a table or query"
    raise QueryError(message)


def _array(values: list[Any]) -> np.ndarray[Any, Any]:
    """Return the values as an array: of numbers where they are, of objects otherwise."""
    if values and all(type(v) in {int, float, bool} for v in values):
        return np.array(values)
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _structured(rows: list[Row], heading: Heading) -> np.ndarray[Any, Any]:
    columns = {n: _array([row[n] for row in rows]) for n in heading.names}
    found = np.empty(len(rows), dtype=[(n, c.dtype) for n, c in columns.items()])
    for name, column in columns.items():
        found[name] = column
    return found


def preview(
    names: Sequence[str], rows: list[Row], *, total: int, heading: Heading, width: int
) -> str:
    """Return rows as text: key attributes are marked, encoded values are not loaded."""
    header = [f"*{n}" if heading[n].in_key else n for n in names]
    body = [
        [_short(row[n], width) if n in row else str(heading[n].type) for n in names] for row in rows
    ]
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
        for line in [header, *body]
    ]
    more = [f"   … {total - len(rows)} more"] if total > len(rows) else []
    return "\n".join([*(line.rstrip() for line in lines), *more, f"({total} rows)"])


def _short(value: Value, most: int) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
