"""What a query may compute from a row: names, literals and calls, as frozen values.

Conditions are expressions, too. Text of users becomes these nodes or is refused: nothing else can
reach a database, and every `Literal` is bound, never written into a statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value


@dataclass(frozen=True, slots=True)
class Name:
    """The value of an attribute."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is bound as a parameter; None is NULL."""

    value: Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is given later; `sample` is one, and tells its type."""

    index: int
    sample: Value


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a pure function applied to expressions; `function` is lower case.

    Operators carry their SQL name (`=`, `and`, `not`, `is null`, `in`, `between`, `+`, …).
    """

    function: str
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Matches:
    """Whether some row of `query` has the same values in `names` (a semijoin).

    With no names in common it asks whether `query` has any row at all.
    """

    query: Node
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """Whether the values of `names` are one of `rows`: many keys as one value, none of them null.

    The values are as the attributes hold them. Statements that differ only in how many rows are
    listed share a text, as far as they may.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def spelled(self, rows: Iterable[Sequence[Expression]] | None = None) -> Call:
        """Return it as a comparison with each of the rows, or with others in their place."""
        if rows is None:
            rows = ([Literal(value) for value in row] for row in self.rows)
        if len(self.names) == 1:
            return Call("in", (Name(self.names[0]), *(row[0] for row in rows)))
        left = Call("tuple", tuple(Name(n) for n in self.names))
        return Call("in", (left, *(Call("tuple", tuple(row)) for row in rows)))


Expression: TypeAlias = Name | Literal | Parameter | Call | Matches | Listed

#: Functions that make one value from many rows.
AGGREGATES = frozenset(
    {
        *("avg", "avg distinct", "bit_and", "bit_or", "bit_xor", "count", "count distinct"),
        *("group_concat", "group_concat distinct", "max", "min", "stddev_pop", "stddev_samp"),
        *("sum", "sum distinct", "var_pop", "var_samp"),
    }
)

TRUE = Literal(True)
FALSE = Literal(False)


def both(*conditions: Expression) -> Expression:
    """Return the conjunction; of none: true."""
    kept: list[Expression] = []
    for condition in conditions:
        if isinstance(condition, Call) and condition.function == "and":
            kept += condition.arguments
        elif not isinstance(condition, Literal) or condition != TRUE:
            kept.append(condition)
    if any(isinstance(c, Literal) and c == FALSE for c in kept):
        return FALSE
    return kept[0] if len(kept) == 1 else Call("and", tuple(kept)) if kept else TRUE


def either(*conditions: Expression) -> Expression:
    """Return the disjunction; of none: false."""
    kept = tuple(c for c in conditions if c != FALSE)
    if any(c == TRUE for c in kept):
        return TRUE
    return kept[0] if len(kept) == 1 else Call("or", kept) if kept else FALSE


def negate(condition: Expression) -> Expression:
    """Return the complement: true exactly where `condition` is not true, NULL included."""
    if condition in (TRUE, FALSE):
        return FALSE if condition == TRUE else TRUE
    if isinstance(condition, Matches):
        return Call("not", (condition,))
    if isinstance(condition, Call) and condition.function == "is not true":
        return condition.arguments[0]
    if isinstance(condition, Call) and condition.function == "not":
        inner = condition.arguments[0]
        if isinstance(inner, Matches):
            return inner
    return Call("is not true", (condition,))


def names_in(expression: Expression) -> Iterator[str]:
    """Iterate over the attributes that an expression reads."""
    if isinstance(expression, Name):
        yield expression.attribute
    elif isinstance(expression, Matches | Listed):
        yield from expression.names
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from names_in(argument)


def has_matches(expression: Expression) -> bool:
    """Tell whether an expression asks another query."""
    if isinstance(expression, Call):
        return any(has_matches(a) for a in expression.arguments)
    return isinstance(expression, Matches)


def aggregates_in(expression: Expression) -> Iterator[str]:
    """Iterate over the aggregates that an expression calls, outermost first."""
    if isinstance(expression, Call):
        if expression.function in AGGREGATES:
            yield expression.function
        for argument in expression.arguments:
            yield from aggregates_in(argument)
