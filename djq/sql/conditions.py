"""Condition and expression text, read as MySQL → expressions over known attributes.

The text is parsed, and every part of it is either translated into a node of our own or refused by
name: there is no way through for a subquery, a comment, a second statement or an unknown function.
"""

from __future__ import annotations

import difflib
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.expressions.core import Expression as Parsed

from djq.algebra.expressions import Call, Expression, Literal, Name
from djq.errors import QueryError
from djq.sql.functions import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from djq.definition.heading import Heading

#: Longer text is refused before it is parsed [characters].
MAX_LENGTH = 100_000
MAX_DEPTH = 200

_BINARY: dict[type[Parsed], str] = {
    exp.And: "and",
    exp.Or: "or",
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "<=>",
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.Like: "like",
}

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
        if kind in _BINARY:
            return Call(_BINARY[kind], (self.read(node.this), self.read(node.expression)))
        if kind in _NAMED:
            self.refuse_variants(node)
            return Call(_NAMED[kind], tuple(self.read(a) for a in _arguments(node)))
        reader = _READERS.get(kind)
        if reader is None:
            shown = node.sql(dialect="mysql")
            self.refuse(f"{shown!r} is not supported in conditions")
        return reader(self, node)

    def refuse(self, reason: str) -> NoReturn:
        message = f"cannot use the condition {self.text!r}: {reason}"
        raise QueryError(message)

    def refuse_variants(self, node: Parsed) -> None:
        """Refuse forms of a function that its plain call would not say."""
        if isinstance(node, exp.Length) and node.args.get("binary"):
            self.refuse("length counts bytes, which differ between databases; use char_length")
        if any(isinstance(v, str) for v in node.args.values()):
            self.refuse(f"{node.sql(dialect='mysql')!r} is not supported in conditions")

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
        options = tuple(self.read(e) for e in node.expressions)
        return Call("in", (self.read(node.this), *options))

    def tuple_(self, node: Parsed) -> Expression:
        return Call("tuple", tuple(self.read(e) for e in node.expressions))

    def between(self, node: Parsed) -> Expression:
        parts = (node.this, node.args["low"], node.args["high"])
        return Call("between", tuple(self.read(p) for p in parts))

    def if_(self, node: Parsed) -> Expression:
        parts = (node.this, node.args["true"], node.args.get("false") or exp.Null())
        return Call("if", tuple(self.read(p) for p in parts))

    def case(self, node: Parsed) -> Expression:
        found: list[Expression] = []
        for branch in node.args["ifs"]:
            condition = self.read(branch.this)
            if node.this is not None:
                condition = Call("=", (self.read(node.this), condition))
            found += [condition, self.read(branch.args["true"])]
        if node.args.get("default") is not None:
            found.append(self.read(node.args["default"]))
        return Call("case", tuple(found))

    def count(self, node: Parsed) -> Expression:
        inner = node.this
        if isinstance(inner, exp.Star):
            return Call("count")
        if isinstance(inner, exp.Distinct):
            return Call("count distinct", tuple(self.read(e) for e in inner.expressions))
        return Call("count", (self.read(inner),))

    def anonymous(self, node: Parsed) -> Expression:
        name = str(node.this).lower()
        if name not in FUNCTIONS:
            self.refuse_function(name)
        return Call(name, tuple(self.read(e) for e in node.expressions))

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
    exp.Tuple: _Reader.tuple_,
    exp.Between: _Reader.between,
    exp.If: _Reader.if_,
    exp.Case: _Reader.case,
    exp.Count: _Reader.count,
    exp.Anonymous: _Reader.anonymous,
}
