"""Values that are compared with attributes, sent as the attribute's type asks."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from djq.algebra.expressions import Call, Expression, Literal, Name, Parameter
from djq.errors import QueryError
from djq.sql.columntypes import CONVERTED, BinaryUuid, ExactDecimal
from djq.sql.kinds import DECIMAL, TIME, WrittenMoment

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.sql.functions import Column

UUID, WRITTEN = BinaryUuid(), WrittenMoment()
#: Calls whose arguments are of one type.
COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "<=>", "in", "between"})


def pattern_of(call: Call) -> Expression | None:
    """Return the attribute, or the tuple of attributes, that a comparison is about."""
    for argument in call.arguments:
        is_tuple = isinstance(argument, Call) and argument.function == "tuple"
        if is_tuple or isinstance(argument, Name):
            return argument
    return None


def typed(
    argument: Expression, pattern: Expression, columns: dict[str, Column]
) -> Expression | Column:
    """Return a literal with the type of the attribute it is compared with; else as it was."""
    if isinstance(argument, Parameter) and isinstance(pattern, Name):
        type_ = columns[pattern.attribute].type
        if isinstance(type_, CONVERTED) and type_.converts(argument.sample):
            # Not as text, which only SQLite's columns take for a number.
            is_decimal = isinstance(type_, ExactDecimal)
            return _parameter(argument, DECIMAL if is_decimal else type_)
        if isinstance(argument.sample, str) and isinstance(type_, sa.Date | sa.DateTime):
            return _parameter(argument, WRITTEN)
    elif (
        isinstance(argument, Call)
        and isinstance(pattern, Call)
        and argument.function == pattern.function == "tuple"
    ):
        pairs = zip(argument.arguments, pattern.arguments, strict=False)
        found = [typed(a, p, columns) for a, p in pairs]
        built = [t if isinstance(t, sa.ColumnElement) else _plain(t, columns) for t in found]
        return sa.tuple_(*built)
    return argument


def _plain(expression: Expression, columns: dict[str, Column]) -> Column:
    """Return an element of a tuple: an attribute or a value."""
    if isinstance(expression, Name):
        return columns[expression.attribute]
    if isinstance(expression, Literal | Parameter):
        return literal(expression)
    message = "a tuple in a condition holds attributes and values only"
    raise QueryError(message)


def literal(value: Literal | Parameter) -> Column:
    """Return a value as SQL: bound, or written where it is null, true or false."""
    if isinstance(value, Parameter):
        return _parameter(value, _type_of(value.sample))
    if value.value is None:
        return sa.null()
    if isinstance(value.value, bool):
        # Not sa.true(), which cannot be compared with by < and >.
        return sa.literal_column(str(int(value.value)), sa.Boolean())
    return sa.literal(value.value, _type_of(value.value))


def _type_of(value: Value) -> sa.types.TypeEngine[Any]:
    """Return the type that carries a value to every database."""
    if isinstance(value, decimal.Decimal):
        return DECIMAL
    if isinstance(value, dt.timedelta):
        return TIME
    if isinstance(value, uuid.UUID):
        return UUID
    return sa.literal(value).type


def _parameter(parameter: Parameter, type_: sa.types.TypeEngine[Any]) -> Column:
    # The None stands for "given later": without a value the compiler would ask for one now.
    return sa.bindparam(f"p{parameter.index}", None, type_=type_)
