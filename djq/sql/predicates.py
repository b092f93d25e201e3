"""sqlglot's tree → our expressions: predicates, and what chooses among values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlglot import exp

from djq.algebra.expressions import Call, Expression, Literal, Name
from djq.sql import literals
from djq.sql.parsing import sql_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlglot.expressions.core import Expression as Parsed

    from djq.sql.reading import Reader

#: Calls that read a value within JSON of which no type is said.
JSON_CALLS = frozenset({"json text", "json_extract"})


def is_(reader: Reader, node: Parsed) -> Expression:
    """Read IS NULL, IS TRUE and IS FALSE."""
    right = node.expression
    if isinstance(right, exp.Null):
        return is_null(reader, node.this)
    if isinstance(right, exp.Boolean):
        return Call("is true" if right.this else "is false", (reader.read(node.this),))
    return reader.refuse(f"IS {sql_of(right)} is not supported: write IS NULL, TRUE or FALSE")


def is_null(reader: Reader, node: Parsed) -> Expression:
    """Read whether a value is null; within JSON a null is none."""
    value = reader.read(node)
    if isinstance(value, Call) and value.function in JSON_CALLS:
        return Call("json is null", value.arguments)
    return Call("is null", (value,))


def in_(reader: Reader, node: Parsed) -> Expression:
    """Read IN with a list of values, or of rows."""
    if node.args.get("query") or node.args.get("unnest"):
        reader.refuse("subqueries are not allowed; restrict by a table or query instead")
    reader.expect(node, "this", "expressions")
    if not node.expressions:
        reader.refuse("IN () has no values")
    if isinstance(node.this, exp.Tuple):
        return in_tuples(reader, node)
    return Call("in", reader.compared(node.this, *node.expressions))


def in_tuples(reader: Reader, node: Parsed) -> Expression:
    """Read `(a, b) IN ((1, 2), (3, 4))`."""
    names = node.this.expressions
    rows: list[Expression] = []
    left = Call("tuple", tuple(reader.read(n) for n in names))
    for option in node.expressions:
        if not isinstance(option, exp.Tuple) or len(option.expressions) != len(names):
            reader.refuse(f"{sql_of(option)} does not have {len(names)} values")
        pairs = zip(names, option.expressions, strict=True)
        compared = [reader.compared(n, v) for n, v in pairs]
        for pair in compared:
            reader.column_of(Call("=", pair))
        rows.append(Call("tuple", tuple(right for _, right in compared)))
    if not all(isinstance(n, Name) for n in left.arguments) or not all(
        isinstance(v, Literal) for row in rows for v in cast("Call", row).arguments
    ):
        reader.refuse("rows of values are compared with attributes, as in (a, b) IN ((1, 2))")
    return Call("in", (left, *rows))


def like(reader: Reader, node: Parsed, escape: str = "\\") -> Expression:
    """Read LIKE with a pattern, and another escape than a backslash."""
    reader.expect(node, "this", "expression", "negate")
    value, pattern = reader.read(node.this), reader.read(node.expression)
    if isinstance(pattern, Literal) and isinstance(pattern.value, str):
        pattern = Literal(literals.escaped_pattern(pattern.value, escape))
    elif escape != "\\":
        reader.refuse("LIKE … ESCAPE takes a pattern in quotes")
    found = Call("like", (value, pattern))
    return Call("not", (found,)) if node.args.get("negate") else found


def escape(reader: Reader, node: Parsed) -> Expression:
    """Read LIKE … ESCAPE."""
    escape = node.expression
    if not isinstance(node.this, exp.Like) or not isinstance(escape, exp.Literal):
        reader.refuse_form(node)
    return like(reader, node.this, str(escape.this))


def regexp(reader: Reader, node: Parsed) -> Expression:
    """Read REGEXP and RLIKE."""
    reader.expect(node, "this", "expression")
    value, pattern = reader.read(node.this), reader.read(node.expression)
    if pattern == Literal(""):
        reader.refuse("REGEXP '': the pattern is empty, which MySQL refuses")
    return Call("regexp", (value, pattern))


def between(reader: Reader, node: Parsed) -> Expression:
    """Read BETWEEN."""
    reader.expect(node, "this", "low", "high")
    return Call("between", reader.compared(node.this, node.args["low"], node.args["high"]))


def if_(reader: Reader, node: Parsed) -> Expression:
    """Read IF(condition, value, other value)."""
    reader.expect(node, "this", "true", "false")
    if node.args.get("false") is None:
        reader.refuse("if takes 3 arguments, not 2")
    values = reader.chosen([reader.read(node.args["true"]), reader.read(node.args["false"])])
    return Call("if", (reader.read(node.this), *values))


def case(reader: Reader, node: Parsed) -> Expression:
    """Read CASE in both forms."""
    reader.expect(node, "this", "ifs", "default")
    conditions: list[Expression] = []
    values: list[Expression] = []
    for branch in node.args["ifs"]:
        if node.this is not None:
            conditions.append(Call("=", reader.compared(node.this, branch.this)))
        else:
            conditions.append(reader.read(branch.this))
        values.append(reader.read(branch.args["true"]))
    if node.args.get("default") is not None:
        values.append(reader.read(node.args["default"]))
    values = reader.chosen(values)
    found = [part for pair in zip(conditions, values, strict=False) for part in pair]
    return Call("case", (*found, *values[len(conditions) :]))


PREDICATES: dict[type[Parsed], Callable[[Reader, Any], Expression]] = {
    exp.Between: between,
    exp.Case: case,
    exp.Escape: escape,
    exp.If: if_,
    exp.In: in_,
    exp.Is: is_,
    exp.Like: like,
    exp.RegexpLike: regexp,
}
