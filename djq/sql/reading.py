"""sqlglot's tree → our expressions: operators and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

import sqlalchemy as sa
from sqlglot import exp

from djq.algebra.equality import check_comparable
from djq.algebra.expressions import AGGREGATES, Call, Expression, Literal, Name, aggregates_in
from djq.algebra.jsonpath import check_json, json_value, read_name
from djq.errors import QueryError
from djq.sql import literals
from djq.sql.calls import plus_interval
from djq.sql.compile import Compiler
from djq.sql.dialects import Dialect
from djq.sql.forms import FORMS
from djq.sql.kinds import MOMENTS, NUMBERS, Kind, kind_of
from djq.sql.parsing import place_of, sql_of
from djq.sql.predicates import JSON_CALLS, PREDICATES
from djq.sql.refusing import TOO_DEEP, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlglot.expressions.core import Expression as Parsed

    from djq.definition.heading import Heading
    from djq.sql.functions import Column

#: SQLite's parser holds about 50, and Python's stack what is called above, too [levels].
MAX_DEPTH = 30
#: The embedded database is the strictest about kinds: what it takes, all take.
_STRICT = Dialect("sqlite")

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
    exp.BitwiseAnd: "&",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseOr: "|",
    exp.BitwiseRightShift: ">>",
    exp.BitwiseXor: "^",
    exp.Div: "/",
    exp.IntDiv: "div",
    exp.Mod: "%",
    exp.Mul: "*",
    exp.Sub: "-",
    exp.Xor: "xor",
}
#: What a parsed node may carry without changing what it means.
_HARMLESS = frozenset({"big_int", "coalesce", "ignore_nulls", "safe", "typed"})
#: What compares, and is not compared again without parentheses.
_COMPARING = (*_COMPARED, exp.Is)


class Reader:
    """One reading of one text."""

    def __init__(self, text: str, heading: Heading, more: frozenset[str]) -> None:
        self.at = Text(text)
        self.heading = heading
        self.more = more
        self.depth = 0
        self._columns: dict[str, Column] = {
            a.name: sa.column(a.name, _STRICT.column_type(a)) for a in heading
        }

    def read_all(self, node: Parsed) -> Expression:
        """Return the whole text as an expression."""
        found = self.read(node)
        self.column_of(found)
        return found

    def read(self, node: Parsed) -> Expression:
        """Return a part of the text as an expression."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(TOO_DEEP)
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
            if isinstance(node.expression, _COMPARING):
                self.refuse("a comparison of a comparison: write parentheses, as in a = (b < c)")
            return Call(_COMPARED[kind], self.compared(node.this, node.expression))
        if kind in _BINARY:
            return self.binary(node, _BINARY[kind])
        reader = _READERS.get(kind)
        if reader is not None:
            return reader(self, node)
        return self.refuse_form(node)

    # --- refusing ------------------------------------------------------------------------------

    def refuse(self, reason: str, node: Parsed | None = None) -> NoReturn:
        """Raise the error; with a node it shows the place."""
        place = place_of(node) if node is not None else None
        if place is None:
            self.at.refuse(reason)
        self.at.refuse(reason, *place)

    def refuse_form(self, node: Parsed) -> NoReturn:
        """Refuse what has no meaning here, in the words of the text."""
        self.refuse(f"{sql_of(node)} is not supported", node)

    def refuse_alias(self, node: Parsed) -> NoReturn:
        """Refuse a word behind an expression, which the parser takes for its name."""
        start, length = place_of(node.args["alias"]) or (None, 1)
        self.at.refuse_unread(f"{node.alias!r} is not expected here", start, length)

    def expect(self, node: Parsed, *parts: str) -> None:
        """Refuse a node with more parts than these: what is not read must not be left out."""
        if any(v and k not in parts and k not in _HARMLESS for k, v in node.args.items()):
            self.refuse_form(node)

    # --- kinds ---------------------------------------------------------------------------------

    def column_of(self, expression: Expression) -> Column:
        """Return an expression as SQL of the strictest database: what cannot be is refused."""
        try:
            return Compiler(_STRICT).expression(expression, self._columns)
        except QueryError as error:
            self.at.refuse(str(error))

    def kind(self, expression: Expression) -> Kind:
        """Return the kind of an expression's value."""
        if isinstance(expression, Call) and expression.function in {"and", "or", "not"}:
            return Kind.INTEGER
        return kind_of(self.column_of(expression))

    def alike(self, found: Sequence[Expression]) -> tuple[Expression, ...]:
        """Return expressions, what is written as text among them as a value of the others' kind."""
        others: list[Expression] = [f for f in found if not isinstance(f, Literal)]
        if not others:
            others += [f for f in found if isinstance(f, Literal) and _is_number(f.value)]
        if not others or len(others) == len(found):
            return tuple(found)
        kinds = [self.kind(f) for f in others]
        kind = next((k for k in kinds if k not in {Kind.NULL, Kind.UNKNOWN}), Kind.UNKNOWN)
        if kind in MOMENTS and Kind.DATETIME in kinds:
            kind = Kind.DATETIME
        return tuple(self._of_kind(kind, f) if isinstance(f, Literal) else f for f in found)

    def _of_kind(self, kind: Kind, literal: Literal) -> Literal:
        try:
            return literals.of_kind(kind, literal)
        except QueryError as error:
            self.refuse(str(error))

    def compared(self, *nodes: Parsed) -> tuple[Expression, ...]:
        """Read what is compared; what is written as text becomes a value of the attribute."""
        found = tuple(self.read(n) for n in nodes)
        for f in found:
            if isinstance(f, Name):
                check_comparable(self.heading[f.attribute])
        found = self._json_typed(found)
        name = next((f for f in found if isinstance(f, Name)), None)
        attribute = self.heading[name.attribute] if name is not None else None
        if attribute is not None:
            found = tuple(
                literals.for_attribute(attribute, f) if isinstance(f, Literal) else f for f in found
            )
        if any(isinstance(f, Literal) for f in found):
            return self.alike(found)
        return found

    def _json_typed(self, found: tuple[Expression, ...]) -> tuple[Expression, ...]:
        """Return values within JSON as the kind of what they are compared with."""
        if not any(isinstance(f, Call) and f.function in JSON_CALLS for f in found):
            return found
        others = [f for f in found if not (isinstance(f, Call) and f.function in JSON_CALLS)]
        values = [f.value for f in others if isinstance(f, Literal)]
        kinds = {self.kind(f) for f in others if not isinstance(f, Literal)}
        is_number = bool(others) and kinds <= NUMBERS and all(_is_number(v) for v in values)
        words = [Literal(str(v).lower()) if isinstance(v, bool) else None for v in values]
        if any(words):
            return tuple(
                Literal(str(f.value).lower())
                if isinstance(f, Literal) and isinstance(f.value, bool)
                else _as_json(f, "json text")
                for f in found
            )
        return tuple(_as_json(f, "json number" if is_number else "json text") for f in found)

    # --- operators -----------------------------------------------------------------------------

    def binary(self, node: Parsed, sign: str) -> Expression:
        """Read an operator between two values, one of which may be an interval."""
        self.expect(node, "this", "expression")
        left, right = node.this, node.expression
        if sign in {"+", "-"} and isinstance(right, exp.Interval):
            return self.interval(left, right, "add" if sign == "+" else "subtract")
        if sign == "+" and isinstance(left, exp.Interval):
            return self.interval(right, left, "add")
        return Call(sign, (_counted(self.read(left)), _counted(self.read(right))))

    def interval(self, at: Parsed, interval: Parsed, verb: str) -> Expression:
        """Read a moment plus or minus an interval."""
        return plus_interval(self, at, interval, verb)

    def column(self, node: Parsed) -> Expression:
        """Read the name of an attribute, or of a value within one."""
        name = str(node.name)
        if node.args.get("table"):
            self.refuse(f"{sql_of(node)}: write the attribute alone, without a table", node)
        if name in self.heading:
            return Name(name)
        path = self._path(name)
        if path is not None:
            return path
        place = place_of(node)
        start, length = place or (max(self.at.text.find(name), 0), len(name))
        return self.at.refuse_name(name, start, length, self.heading.suggest(name))

    def _path(self, name: str) -> Expression | None:
        root = name.partition(".")[0].partition("[")[0].partition(":")[0].strip()
        if root == name or root not in self.heading:
            return None
        path = read_name(name)
        if path is None:
            self.refuse(f"{name!r} is not a path into JSON: write attribute.key[0]:type")
        check_json(self.heading[root], name)
        return json_value(Name(root), path.path, path.type)

    def literal(self, node: Parsed) -> Expression:
        """Read text or a number."""
        if node.is_string:
            return Literal(str(node.this))
        try:
            return literals.number(str(node.this))
        except QueryError as error:
            self.refuse(str(error))
        except (ArithmeticError, ValueError):
            self.refuse(f"{node.this!s} is not a number")

    def texts(self, node: Parsed) -> Expression:
        """Read texts side by side, which are one text."""
        parts = [self.read(part) for part in node.expressions]
        words = [p.value for p in parts if isinstance(p, Literal) and isinstance(p.value, str)]
        if len(words) != len(parts):
            self.refuse_form(node)
        return Literal("".join(words))

    def bits(self, node: Parsed) -> Expression:
        """Read `0x41`, `x'41'` or `b'101'`, which are bytes beside text and numbers elsewhere."""
        digits, base = str(node.this), 16 if isinstance(node, exp.HexString) else 2
        try:
            value = int(digits or "0", base)
        except ValueError:
            self.refuse(f"{sql_of(node)} is not a number")
        bits = len(digits) * (4 if base == 16 else 1)  # noqa: PLR2004
        return Literal(value.to_bytes(-(-bits // 8), "big"))

    def negative(self, node: Parsed) -> Expression:
        """Read a minus."""
        inner = _counted(self.read(node.this))
        if isinstance(inner, Literal) and _is_number(inner.value):
            return literals.negated(inner.value)
        return Call("negative", (inner,))

    def chosen(self, found: Sequence[Expression]) -> list[Expression]:
        """Return values of which one is chosen, as values of one kind."""
        return [self.cast(f) for f in self.alike(found)]

    def cast(self, found: Expression) -> Expression:
        """Return a date or time with its type: on its own MySQL would take it for text."""
        if isinstance(found, Literal):
            kind: type[object] = found.value.__class__
            name = literals.CASTS.get(kind)
            return Call(name, (found,)) if name else found
        return found

    def aggregated(self, found: Call) -> Call:
        """Return an aggregate; refuse one of aggregates."""
        for argument in found.arguments:
            if found.function in AGGREGATES and (inner := next(aggregates_in(argument), None)):
                self.refuse(f"{inner} within {found.function}: use aggr twice")
        return found


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and (
        isinstance(value, int | float) or type(value).__name__ == "Decimal"
    )


def _counted(found: Expression) -> Expression:
    """Return bytes that stand where a number belongs as one."""
    if isinstance(found, Literal) and isinstance(found.value, bytes):
        return Literal(int.from_bytes(found.value, "big"))
    return found


def _as_json(found: Expression, name: str) -> Expression:
    if not isinstance(found, Call) or found.function not in JSON_CALLS:
        return found
    return Call(name, found.arguments)


_READERS: dict[type[Parsed], Callable[[Reader, Any], Expression]] = {
    exp.Alias: Reader.refuse_alias,
    exp.BitString: Reader.bits,
    exp.BitwiseNot: lambda reader, node: Call("~", (_counted(reader.read(node.this)),)),
    exp.Boolean: lambda _reader, node: Literal(bool(node.this)),
    exp.Column: Reader.column,
    exp.Concat: Reader.texts,
    exp.HexString: Reader.bits,
    exp.Literal: Reader.literal,
    exp.Neg: Reader.negative,
    exp.Not: lambda reader, node: Call("not", (reader.read(node.this),)),
    exp.Null: lambda _reader, _node: Literal(None),
    exp.Paren: lambda reader, node: reader.read(node.this),
    **FORMS,
    **PREDICATES,
}
