"""sqlglot's tree → our expressions: casts, and functions with words between their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from djq.algebra.expressions import Call, Expression, Literal
from djq.algebra.jsonpath import decimal_type, json_value
from djq.definition.attributes import CoreType
from djq.errors import QueryError
from djq.sql import literals
from djq.sql.calls import anonymous, call, json_path, unit_of
from djq.sql.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlglot.expressions.core import Expression as Parsed

    from djq.sql.reading import Reader

#: sqlglot's name of a type → the cast.
_CASTS = {
    "BIGINT": "cast signed",
    "UBIGINT": "cast unsigned",
    **dict.fromkeys(("DATETIME", "TIMESTAMP", "TIMESTAMPTZ"), "cast datetime"),
    **dict.fromkeys(("DOUBLE", "FLOAT"), "cast double"),
    **dict.fromkeys(("CHAR", "NCHAR"), "cast char"),
    "DATE": "cast date",
    "TIME": "cast time",
}


def cast(reader: Reader, node: Parsed) -> Expression:
    """Read CAST, CONVERT, BINARY x and DATE '2024-01-31'."""
    reader.expect(node, "this", "to", "_type")
    to, value = node.args["to"], reader.read(node.this)
    kind = str(to.this.value if hasattr(to.this, "value") else to.this).upper()
    sizes = [str(e.name) for e in to.expressions]
    if not all(size.isascii() and size.isdigit() for size in sizes):
        reader.refuse_form(node)
    if kind in {"BINARY", "CHARACTER_SET"}:
        return _plain_text(reader, node, to, value)
    if kind == "DECIMAL":
        try:
            name = f"cast {decimal_type(*[*sizes, None, None][:2])}"
        except QueryError as error:
            reader.refuse(str(error))
        return Call(name, (value,))
    name = _CASTS.get(kind, "")
    if not name:
        types = "SIGNED, UNSIGNED, DECIMAL(p, s), DOUBLE, CHAR, DATE, DATETIME, TIME"
        reader.refuse(f"CAST to {kind} is not supported: {types}", node)
    if name in {"cast date", "cast datetime", "cast time"}:
        return _cast_moment(reader, name, value)
    return Call(f"{name}({int(sizes[0])})" if sizes and name == "cast char" else name, (value,))


def _cast_moment(reader: Reader, name: str, value: Expression) -> Expression:
    if isinstance(value, Literal) and isinstance(value.value, str):
        type_ = name.removeprefix("cast ")
        kinds = {Kind.TIME} if type_ == "time" else {Kind.DATE, Kind.DATETIME}
        try:
            exact = literals.moment(value.value, kinds).value
            if type_ != "time":
                exact = CoreType(type_, (6,) if type_ == "datetime" else ()).accept(exact)
        except (QueryError, ValueError) as error:
            reader.refuse(str(error))
        return Call(name, (Literal(exact),))
    return Call(name, (value,))


def _plain_text(reader: Reader, node: Parsed, to: Parsed, value: Expression) -> Expression:
    """Return text as it is: it is compared by code points, with or without BINARY."""
    charset = to.args.get("kind")
    if charset is not None and str(charset.name).lower() not in {"utf8mb4", "utf8", "binary"}:
        reader.refuse(f"text is in utf8mb4, not {charset.name}", node)
    if reader.kind(value) not in {Kind.TEXT, Kind.BYTES, Kind.NULL, Kind.UNKNOWN}:
        reader.refuse("BINARY and CONVERT(x USING …) take text", node)
    return value


def extract(reader: Reader, node: Parsed) -> Expression:
    """Read EXTRACT(unit FROM x)."""
    reader.expect(node, "this", "expression")
    return call(reader, unit_of(reader, node.this), [node.expression], node)


def substring(reader: Reader, node: Parsed) -> Expression:
    """Read SUBSTRING in both notations."""
    reader.expect(node, "this", "start", "length")
    arguments = [node.args.get(n) for n in ("this", "start", "length")]
    return call(reader, "substring", [a for a in arguments if a is not None], node)


def trim(reader: Reader, node: Parsed) -> Expression:
    """Read TRIM([LEADING] what FROM x)."""
    reader.expect(node, "this", "expression", "position")
    where = str(node.args.get("position") or "both").lower()
    what = node.args.get("expression")
    arguments = [node.this] if what is None else [node.this, what]
    found = [reader.read(a) for a in arguments]
    if len(found) == 1:
        found.append(Literal(" "))
    return Call(f"trim {where}", tuple(found))


def position(reader: Reader, node: Parsed) -> Expression:
    """Read POSITION(part IN x)."""
    reader.expect(node, "this", "substr")
    return call(reader, "locate", [node.args["substr"], node.this], node)


def group_concat(reader: Reader, node: Parsed) -> Expression:
    """Read GROUP_CONCAT([DISTINCT] x [ORDER BY y [DESC]] [SEPARATOR 's'])."""
    reader.expect(node, "this", "separator")
    inner, keys = node.this, list[Expression]()
    if isinstance(inner, exp.Order):
        reader.expect(inner, "this", "expressions")
        for key in inner.expressions:
            way = "descending" if key.args.get("desc") else "ascending"
            keys.append(Call(way, (reader.read(key.this),)))
        inner = inner.this
    name = "group_concat"
    if isinstance(inner, exp.Distinct):
        if len(inner.expressions) != 1:
            reader.refuse_form(node)
        name, inner = "group_concat distinct", inner.expressions[0]
    separator = node.args.get("separator") or exp.Literal.string(",")
    if not isinstance(separator, exp.Literal) or not separator.is_string:
        reader.refuse_form(node)
    value = reader.read(inner)
    if name.endswith("distinct") and any(
        k.arguments[0] != value for k in keys if isinstance(k, Call)
    ):
        reader.refuse("GROUP_CONCAT(DISTINCT x) is ordered by x, or not at all")
    return reader.aggregated(Call(name, (value, Literal(str(separator.this)), *keys)))


def arrow(reader: Reader, node: Parsed) -> Expression:
    """Read `x->'$.path'` and `x->>'$.path'`."""
    reader.expect(node, "this", "expression", "only_json_types", "scalar_only")
    path = json_path(reader, reader.read(node.expression), node)
    name = "json text" if isinstance(node, exp.JSONExtractScalar) else "json_extract"
    return Call(name, (reader.read(node.this), path))


def json_value_of(reader: Reader, node: Parsed) -> Expression:
    """Read JSON_VALUE(x, '$.path' [RETURNING type])."""
    reader.expect(node, "this", "path", "returning")
    path = json_path(reader, reader.read(node.args["path"]), node)
    returning = node.args.get("returning")
    type_ = returning.sql(dialect="mysql").lower().replace(" ", "") if returning else ""
    type_ = {"bigint": "signed", "ubigint": "unsigned", "bigintunsigned": "unsigned"}.get(
        type_, type_
    )
    try:
        return json_value(reader.read(node.this), str(path.value), type_)
    except QueryError as error:
        reader.refuse(str(error))


def _window(reader: Reader, node: Parsed) -> Expression:
    reader.refuse("window functions (OVER) are not allowed; use aggr", node)


def _now(name: str) -> Callable[[Reader, Any], Expression]:
    def read(reader: Reader, node: Parsed) -> Expression:
        reader.expect(node)
        return Call(name)

    return read


def interval(reader: Reader, node: Parsed) -> Expression:
    """Refuse an interval that is not added to anything."""
    del node
    reader.refuse("an INTERVAL is added to a date or datetime, as in x + INTERVAL 1 DAY")


FORMS: dict[type[Parsed], Callable[[Reader, Any], Expression]] = {
    exp.Anonymous: anonymous,
    exp.Cast: cast,
    exp.CurrentDate: _now("curdate"),
    exp.CurrentTime: _now("curtime"),
    exp.CurrentTimestamp: _now("now"),
    exp.Extract: extract,
    exp.GroupConcat: group_concat,
    exp.Interval: interval,
    exp.JSONExtract: arrow,
    exp.JSONExtractScalar: arrow,
    exp.JSONValue: json_value_of,
    exp.Localtime: _now("now"),
    exp.Localtimestamp: _now("now"),
    exp.StrPosition: position,
    exp.Substring: substring,
    exp.Trim: trim,
    exp.Window: _window,
}
