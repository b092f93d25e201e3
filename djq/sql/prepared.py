"""SQL text with what its parameters and columns need on their way to and from the driver."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from djq.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect as SaDialect

    from djq.definition.acceptance import Value

Convert: TypeAlias = Callable[[Any], Any]
#: The same of a whole column at once.
ConvertColumn: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]

#: So many rows are converted one by one: turning them into columns and back takes longer.
FEW = 8

#: Names of the parameters that stand for a query's values, in the order of its shape.
_NUMBERED = re.compile(r"p(\d+)\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """One placeholder: the value of a name or number, or a constant, converted for the driver."""

    source: int | str | None
    constant: Value = None
    convert: Convert | None = None

    def value(self, values: Any) -> Value:  # noqa: ANN401 - by number or by name
        """Return what the driver gets."""
        value = self.constant if self.source is None else values[self.source]
        return value if self.convert is None else self.convert(value)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement, ready for the driver: any number of times, with other values each time."""

    text: str
    places: tuple[Place, ...]
    columns: tuple[tuple[int, Convert, ConvertColumn], ...]
    #: The rows have no attributes: a SELECT shows something all the same.
    is_blank: bool = False
    #: The driver takes a query's values as they are, in their order.
    is_direct: bool = False
    #: Reads a row's values, where the driver takes all of them as they are.
    read: Callable[[Any], tuple[Value, ...]] | None = None

    def bind(self, values: Sequence[Value] | dict[str, Value]) -> tuple[Value, ...]:
        """Return the driver's parameters, in the order of the placeholders."""
        if self.read is not None:
            return self.read(values)
        if self.is_direct:
            return tuple(values)[: len(self.places)]  # a query may have values that it never reads
        return tuple([place.value(values) for place in self.places])

    def bind_columns(self, columns: Mapping[str, Sequence[Value]]) -> list[Sequence[Value]]:
        """Return the driver's parameters of many rows, as columns in the order of placeholders."""
        return [
            columns[str(place.source)]
            if place.convert is None
            else list(map(place.convert, columns[str(place.source)]))
            for place in self.places
        ]

    def convert(self, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return rows of the driver as Python values."""
        if self.is_blank:
            return [()] * len(rows)
        if not self.columns:
            return list(rows)
        if len(rows) > FEW:
            return list(zip(*self._converted(list(zip(*rows, strict=True))), strict=True))
        found: list[tuple[Any, ...]] = []
        for row in rows:
            values = list(row)
            for i, convert, _ in self.columns:
                values[i] = convert(values[i])
            found.append(tuple(values))
        return found

    def convert_columns(self, columns: list[Sequence[Any]], n_columns: int) -> list[Sequence[Any]]:
        """Return columns of the driver, none if there are no rows, as columns of Python values."""
        if not columns or not columns[0] or not n_columns:
            return [()] * n_columns
        return self._converted(columns)

    def _converted(self, columns: list[Sequence[Any]]) -> list[Sequence[Any]]:
        for i, _, convert in self.columns:
            columns[i] = convert(columns[i])
        return columns


def prepare(
    statement: sa.ClauseElement, dialect: SaDialect, columns: Sequence[str] | None = None
) -> Prepared:
    """Compile a statement; `columns` are those that an INSERT fills by name."""
    keys: dict[str, Any] = {"column_keys": list(columns)} if columns else {}
    compiled = statement.compile(dialect=dialect, **keys)
    if not isinstance(compiled, SQLCompiler):
        return Prepared(str(compiled), (), ())
    defaults = compiled.construct_params(dict.fromkeys(columns or ()))
    places = [
        _place(name, compiled, defaults, dialect, is_row=columns is not None)
        for name in compiled.positiontup or ()
    ]
    selected = getattr(statement, "selected_columns", ())
    converters = [_result(c, dialect) for c in selected]
    names = [p.source for p in places if isinstance(p.source, str) and p.convert is None]
    return Prepared(
        str(compiled),
        tuple(places),
        tuple((i, *c) for i, c in enumerate(converters) if c is not None),
        is_direct=bool(places)
        and all(p.source == i and p.convert is None for i, p in enumerate(places)),
        read=itemgetter(*names) if 1 < len(names) == len(places) else None,
    )


def _place(
    name: str,
    compiled: SQLCompiler,
    defaults: Mapping[str, Any],
    dialect: SaDialect,
    *,
    is_row: bool,
) -> Place:
    type_: sa.types.TypeEngine[Any] = compiled.binds[name].type
    convert: Convert | None = type_.dialect_impl(dialect).bind_processor(dialect)
    numbered = _NUMBERED.match(name)
    if is_row:
        return Place(name, None, convert)
    if numbered:
        return Place(int(numbered[1]), None, convert)
    return Place(None, defaults[name], convert)


def _result(
    column: sa.ColumnElement[Any], dialect: SaDialect
) -> tuple[Convert, ConvertColumn] | None:
    type_ = column.type
    if _is_stored_float(column) and dialect.name != "sqlite":
        return None  # servers' drivers return floats; SQLAlchemy would convert each once more
    convert: Convert | None = type_.dialect_impl(dialect).result_processor(dialect, None)
    if convert is None:
        return None
    if isinstance(type_, sa.JSON):
        convert = partial(_json, str(getattr(column, "name", "")), convert)
    whole: ConvertColumn | None = getattr(type_, "process_result_column", None)
    return convert, whole or (lambda values: list(map(convert, values)))


def _json(name: str, convert: Convert, text: Value) -> Value:
    """Return what a column of JSON holds: SQLite does not look at it.

    Raises
    ------
    DatabaseError
        It is no JSON.
    """
    try:
        return convert(text)
    except (ValueError, RecursionError) as error:
        message = (
            f'attribute "{name}": {str(text)[:80]!r} is no JSON ({error}): '
            "djq did not write it; mend the row"
        )
        raise DatabaseError(message) from error


def _is_stored_float(column: sa.ColumnElement[Any]) -> bool:
    """Tell whether a column is a table's own, of a type that holds floats."""
    return (
        isinstance(column, sa.ColumnClause)
        and isinstance(column.table, sa.TableClause | sa.Alias)
        and isinstance(column.type, sa.Float)
        and not column.type.asdecimal
    )
