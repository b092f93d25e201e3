"""Condition and expression text, read as MySQL → expressions over known attributes.

The text is parsed, and every part of it is either translated into a node of our own or refused by
name: there is no way through for a subquery, a comment, a second statement or an unknown function.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.expressions.core import Expression as Parsed

from djq.algebra.conditions import check_comparable
from djq.algebra.expressions import Call, Expression, Literal, Name
from djq.definition.attributes import CoreType
from djq.errors import QueryError
from djq.sql.functions import ARGUMENTS, FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from djq.definition.attributes import Attribute
    from djq.definition.heading import Heading

#: Longer text is refused before it is parsed [characters].
MAX_LENGTH = 100_000
MAX_DEPTH = 200

_CHAINED: dict[type[Parsed], str] = {exp.And: "and", exp.Or: "or"}
_COMPARED: dict[type[Parsed], str] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "<=>",
}
_BINARY: dict[type[Parsed], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}
#: What a parsed node may carry without changing what it means.
_HARMLESS = frozenset({"big_int", "coalesce", "ignore_nulls", "safe"})
#: Types whose values are written in conditions as text.
_WRITTEN_AS_TEXT = frozenset({"date", "datetime", "uuid"})
_ANY_TIME = CoreType("datetime", (6,))

#: Functions that sqlglot gives a class of its own → their name on our list.
_NAMED: dict[type[Parsed], str] = {
    exp.Abs: "abs",
    exp.Avg: "avg",
    exp.Coalesce: "coalesce",
    exp.Concat: "concat",
    exp.Greatest: "greatest",
    exp.Least: "least",
    exp.Length: "char_length",
    exp.Lower: "lower",
    exp.Max: "max",
    exp.Min: "min",
    exp.Nullif: "nullif",
    exp.Round: "round",
    exp.Sum: "sum",
    exp.Trim: "trim",
    exp.Upper: "upper",
}


def read_text(text: str, heading: Heading) -> Expression:
    """Read a condition or expression; names are attributes of `heading`.

    Raises
    ------
    QueryError
        The text is not an expression, a name is unknown, or something in it is not allowed.
    """
    return _Reader(text, heading).read(_parse(text))


@lru_cache(maxsize=512)
def _parse(text: str) -> Parsed:
    if len(text) > MAX_LENGTH:
        message = f"the condition has {len(text)} characters, {MAX_LENGTH} are allowed"
        raise QueryError(message)
    try:
        text.encode()
        # Parsed where an expression belongs, so that a statement is not one.
        statements = sqlglot.parse(f"SELECT 1 WHERE ({text}\n)", dialect="mysql")
    except (SqlglotError, RecursionError, ValueError) as error:
        reason = str(error).partition("\n")[0].partition(". Line")[0]
        message = f"cannot read the condition {text!r}: {reason}"
        raise QueryError(message) from error
    statement = statements[0] if len(statements) == 1 else None
    where = statement.args.get("where") if isinstance(statement, exp.Select) else None
    inner = where.this if isinstance(where, exp.Where) else None
    extra = (
        [k for k, v in statement.args.items() if v and k not in {"where", "expressions"}]
        if (statement is not None)
        else ["statement"]
    )
    if not isinstance(inner, exp.Paren) or extra or any(n.comments for n in inner.walk()):
        message = f"cannot read the condition {text!r}: it is not one expression, or has comments"
        raise QueryError(message)
    found: Parsed = inner.this
    return found


class _Reader:
    """One reading of one text."""

    def __init__(self, text: str, heading: Heading) -> None:
        self.text = text
        self.heading = heading
        self.depth = 0

    def read(self, node: Parsed) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse("it is nested too deeply")
        found = self._read(node)
        self.depth -= 1
        return found

    def _read(self, node: Parsed) -> Expression:
        kind = type(node)
        if kind in _CHAINED:
            parts = cast("Iterator[Parsed]", node.flatten(unnest=False))
            return Call(_CHAINED[kind], tuple(self.read(part) for part in parts))
        if kind in _COMPARED:
            self.expect(node, "this", "expression")
            return Call(_COMPARED[kind], self.compared(node.this, node.expression))
        if kind in _BINARY:
            self.expect(node, "this", "expression")
            return Call(_BINARY[kind], (self.read(node.this), self.read(node.expression)))
        if kind in _NAMED:
            return self.named(node, _NAMED[kind])
        reader = _READERS.get(kind)
        if reader is None:
            self.refuse_form(node)
        return reader(self, node)

    def refuse(self, reason: str) -> NoReturn:
        message = f"cannot use the condition {self.text!r}: {reason}"
        raise QueryError(message)

    def refuse_form(self, node: Parsed) -> NoReturn:
        self.refuse(f"{node.sql(dialect='mysql')!r} is not supported in conditions")

    def expect(self, node: Parsed, *parts: str) -> None:
        """Refuse a node with more parts than these: what is not read must not be left out."""
        if any(v and k not in parts and k not in _HARMLESS for k, v in node.args.items()):
            self.refuse_form(node)

    def named(self, node: Parsed, name: str) -> Expression:
        if isinstance(node, exp.Length) and node.args.get("binary"):
            self.refuse("length counts bytes, which differ between databases; use char_length")
        self.expect(node, "this", "expression", "expressions", "decimals")
        return self.call(name, [*_arguments(node)])

    def call(self, name: str, arguments: Sequence[Parsed]) -> Expression:
        least, most = ARGUMENTS[name]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            wanted = f"{least}" if most == least else f"{least} or more"
            wanted = wanted if most in {None, least} else f"{least} to {most}"
            self.refuse(f"{name} takes {wanted} arguments, not {len(arguments)}")
        return Call(name, tuple(self.read(a) for a in arguments))

    def compared(self, *nodes: Parsed) -> tuple[Expression, ...]:
        """Read what is compared; what is written as text becomes a value of the attribute."""
        found = tuple(self.read(n) for n in nodes)
        name = next((f for f in found if isinstance(f, Name)), None)
        attribute = self.heading[name.attribute] if name is not None else None
        if attribute is not None:
            check_comparable(attribute)
        if attribute is None or not isinstance(attribute.type, CoreType):
            return found
        pairs = zip(nodes, found, strict=True)
        return tuple(
            self.as_value(attribute, attribute.type, n, f) if isinstance(f, Literal) else f
            for n, f in pairs
        )

    def as_value(
        self, attribute: Attribute, type_: CoreType, node: Parsed, literal: Literal
    ) -> Literal:
        if type_.name == "decimal" and isinstance(literal.value, float):
            with suppress(InvalidOperation):  # in parentheses: a float is close enough
                return Literal(Decimal(node.sql(dialect="mysql")))
        if type_.name not in _WRITTEN_AS_TEXT or not isinstance(literal.value, str):
            return literal
        exact = _ANY_TIME if type_.name == "datetime" else type_
        try:
            return Literal(exact.accept(literal.value))
        except ValueError as error:
            if type_.name == "date":
                return self.as_value(attribute, _ANY_TIME, node, literal)
            message = (
                f'cannot compare "{attribute.name}" : {attribute.type} with {literal.value!r}: '
                f"{error}"
            )
            raise QueryError(message) from error

    def column(self, node: Parsed) -> Expression:
        name = str(node.name)
        if node.args.get("table"):
            self.refuse(
                f'"{node.sql(dialect="mysql")}": write the attribute alone, without a table'
            )
        if name not in self.heading:
            column = self.text.find(name)
            lines = [
                f'unknown attribute "{name}" in the condition, column {column + 1}',
                f"    {self.text}",
                f"    {' ' * column}{'^' * len(name)}",
                self.heading.suggest(name),
            ]
            raise QueryError("\n".join(lines))
        return Name(name)

    def literal(self, node: Parsed) -> Expression:
        if node.is_string:
            return Literal(str(node.this))
        text = str(node.this)
        if text.isdigit():
            return Literal(int(text))
        return Literal(float(text) if "e" in text.lower() else float(Decimal(text)))

    def boolean(self, node: Parsed) -> Expression:
        return Literal(bool(node.this))

    def paren(self, node: Parsed) -> Expression:
        return self.read(node.this)

    def negation(self, node: Parsed) -> Expression:
        return Call("not", (self.read(node.this),))

    def negative(self, node: Parsed) -> Expression:
        inner = self.read(node.this)
        if isinstance(inner, Literal) and isinstance(inner.value, int | float):
            return Literal(-inner.value)
        return Call("negative", (inner,))

    def is_(self, node: Parsed) -> Expression:
        value, right = self.read(node.this), node.expression
        if isinstance(right, exp.Null):
            return Call("is null", (value,))
        if isinstance(right, exp.Boolean):
            truth = Call("=", (value, Literal(bool(right.this))))
            return Call("coalesce", (truth, Literal(value=False)))
        return self.refuse(f"IS {right.sql(dialect='mysql')!r} is not supported")

    def in_(self, node: Parsed) -> Expression:
        if node.args.get("query") or node.args.get("unnest"):
            self.refuse("subqueries are not allowed; restrict by a table or query instead")
        self.expect(node, "this", "expressions")
        if isinstance(node.this, exp.Tuple):
            return self.in_tuples(node)
        return Call("in", self.compared(node.this, *node.expressions))

    def in_tuples(self, node: Parsed) -> Expression:
        names = node.this.expressions
        rows: list[Expression] = []
        for option in node.expressions:
            if not isinstance(option, exp.Tuple) or len(option.expressions) != len(names):
                self.refuse(f"{option.sql(dialect='mysql')!r} does not have {len(names)} values")
            pairs = zip(names, option.expressions, strict=True)
            rows.append(Call("tuple", tuple(self.compared(n, v)[1] for n, v in pairs)))
        return Call("in", (Call("tuple", tuple(self.read(n) for n in names)), *rows))

    def like(self, node: Parsed) -> Expression:
        self.expect(node, "this", "expression", "negate")
        found = Call("like", (self.read(node.this), self.read(node.expression)))
        return Call("not", (found,)) if node.args.get("negate") else found

    def between(self, node: Parsed) -> Expression:
        self.expect(node, "this", "low", "high")
        return Call("between", self.compared(node.this, node.args["low"], node.args["high"]))

    def if_(self, node: Parsed) -> Expression:
        self.expect(node, "this", "true", "false")
        parts = (node.this, node.args["true"], node.args.get("false") or exp.Null())
        return Call("if", tuple(self.read(p) for p in parts))

    def case(self, node: Parsed) -> Expression:
        self.expect(node, "this", "ifs", "default")
        found: list[Expression] = []
        for branch in node.args["ifs"]:
            if node.this is not None:
                condition: Expression = Call("=", self.compared(node.this, branch.this))
            else:
                condition = self.read(branch.this)
            found += [condition, self.read(branch.args["true"])]
        if node.args.get("default") is not None:
            found.append(self.read(node.args["default"]))
        return Call("case", tuple(found))

    def count(self, node: Parsed) -> Expression:
        inner = node.this
        if isinstance(inner, exp.Star):
            return self.call("count", ())
        if isinstance(inner, exp.Distinct):
            self.expect(inner, "expressions")
            return self.call("count distinct", inner.expressions)
        return self.call("count", [inner, *node.expressions])

    def anonymous(self, node: Parsed) -> Expression:
        name = str(node.this).lower()
        if name not in FUNCTIONS:
            self.refuse_function(name)
        return self.call(name, node.expressions)

    def refuse_function(self, name: str) -> NoReturn:
        known = sorted(FUNCTIONS)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        self.refuse(f"the function {name} is not on the list. {hint}Known: {', '.join(known)}")


def _arguments(node: Parsed) -> Iterator[Parsed]:
    """Iterate over a function's arguments in the order they are written."""
    for value in node.args.values():
        items: list[Any] = [*value] if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, Parsed):
                yield item


_READERS: dict[type[Parsed], Callable[[_Reader, Any], Expression]] = {
    exp.Column: _Reader.column,
    exp.Literal: _Reader.literal,
    exp.Boolean: _Reader.boolean,
    exp.Null: lambda _reader, _node: Literal(None),
    exp.Paren: _Reader.paren,
    exp.Not: _Reader.negation,
    exp.Neg: _Reader.negative,
    exp.Is: _Reader.is_,
    exp.In: _Reader.in_,
    exp.Like: _Reader.like,
    exp.Between: _Reader.between,
    exp.If: _Reader.if_,
    exp.Case: _Reader.case,
    exp.Count: _Reader.count,
    exp.Anonymous: _Reader.anonymous,
}
