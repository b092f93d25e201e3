"""sqlglot's tree → our expressions: functions, casts and aggregates."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from djq.algebra.expressions import Call, Expression, Literal
from djq.algebra.jsonpath import decimal_type, json_value, normal_path
from djq.definition.attributes import CoreType
from djq.errors import QueryError
from djq.sql import literals
from djq.sql.functions import ALIASES, FUNCTIONS, OPERATORS, OWN
from djq.sql.functions.times import MOMENT_ARGUMENTS, UNITS
from djq.sql.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlglot.expressions.core import Expression as Parsed

    from djq.sql.reading import Reader

#: Functions that have a notation of their own, or change their arguments, beside `FUNCTIONS`.
SPECIAL = ("date_add", "date_sub", "instr", "json_contains_path", "json_unquote", "json_value")
_WITH_UNIT = ("timestampadd", "timestampdiff")
#: Functions that choose among their arguments.
_CHOOSING = frozenset({"coalesce", "field", "greatest", "least", "nullif"})
_JSON = frozenset({"json_extract", "json_length"})
_UNIT = re.compile(r"(?:SQL_TSI_)?([A-Z]+)\Z", re.IGNORECASE)
_INTEGER = re.compile(r"\s*[-+]?\d{1,18}\s*\Z")
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


def known_functions() -> list[str]:
    """Return the names of all functions that text may call."""
    return sorted({*FUNCTIONS, *ALIASES, *SPECIAL, *_WITH_UNIT, "convert", "cast", "extract"})


def call(reader: Reader, name: str, arguments: Sequence[Parsed], node: Parsed) -> Expression:
    """Read a call by its name on the list."""
    _check_count(reader, name, len(arguments), node)
    found = [reader.read(a) for a in arguments]
    return reader.aggregated(Call(name, tuple(_fitting(reader, name, found, arguments))))


def _check_count(reader: Reader, name: str, n: int, node: Parsed) -> None:
    function = OPERATORS.get(name) or FUNCTIONS[name]
    least, most = function.least, function.most
    if n < least or (most is not None and n > most):
        wanted = f"{least}" if most == least else f"{least} or more"
        wanted = wanted if most in {None, least} else f"{least} to {most}"
        reader.refuse(f"{name} takes {wanted} arguments, not {n}", node)


def _fitting(
    reader: Reader, name: str, found: list[Expression], nodes: Sequence[Parsed]
) -> list[Expression]:
    """Return arguments in the form that a function needs."""
    if name in MOMENT_ARGUMENTS:
        return _moments(reader, found, MOMENT_ARGUMENTS[name])
    if name in _CHOOSING:
        return reader.chosen(found)
    if name in _JSON and len(found) > 1:
        return [found[0], json_path(reader, found[1], nodes[1])]
    if name == "json_contains":
        return _candidate(reader, found, nodes)
    return found


def _moments(reader: Reader, found: list[Expression], wanted: Sequence[str]) -> list[Expression]:
    fitting = list(found)
    for i, words in enumerate(wanted[: len(found)]):
        value = found[i]
        if isinstance(value, Literal) and isinstance(value.value, str):
            fitting[i] = _moment(reader, value.value, words)
    return fitting


def _moment(reader: Reader, text: str, words: str) -> Expression:
    kinds = {Kind.DATE, Kind.DATETIME} if "datetime" in words else set[Kind]()
    if "time" in words.split():
        kinds.add(Kind.TIME)
    try:
        return reader.cast(literals.moment(text, kinds))
    except QueryError as error:
        reader.refuse(str(error))


def json_path(reader: Reader, path: Expression, node: Parsed) -> Literal:
    """Return a path into JSON, which is written in quotes."""
    if not isinstance(path, Literal) or not isinstance(path.value, str):
        reader.refuse("a path into JSON is written in quotes, as in '$.key[0]'", node)
    try:
        return Literal(normal_path(path.value))
    except QueryError as error:
        reader.refuse(str(error))


def _candidate(
    reader: Reader, found: list[Expression], nodes: Sequence[Parsed]
) -> list[Expression]:
    candidate = found[1]
    if isinstance(candidate, Literal):
        try:
            json.loads(str(candidate.value))
        except ValueError:
            reader.refuse(f"{candidate.value!r} is not JSON: write text as '\"abc\"'", nodes[1])
        found[1] = Literal(str(candidate.value))
    return [
        *found[:2],
        *(json_path(reader, p, n) for p, n in zip(found[2:], nodes[2:], strict=True)),
    ]


# --- functions with a notation of their own -----------------------------------------------------


def anonymous(reader: Reader, node: Parsed) -> Expression:
    """Read `name(arguments)`."""
    written = str(node.this).lower()
    name = ALIASES.get(written, written)
    arguments: list[Parsed] = list(node.expressions)
    if written == "ifnull" and len(arguments) > 2:  # noqa: PLR2004
        reader.refuse(f"ifnull takes 2 arguments, not {len(arguments)}", node)
    if name in {"count", "sum", "avg"} and len(arguments) == 1:
        inner = arguments[0]
        if isinstance(inner, exp.Star) and name == "count":
            return call(reader, "count", (), node)
        if isinstance(inner, exp.Distinct):
            reader.expect(inner, "expressions")
            return call(reader, f"{name} distinct", inner.expressions, node)
    if name in _SPECIAL:
        return _SPECIAL[name](reader, name, arguments, node)
    if name in FUNCTIONS:
        return call(reader, name, arguments, node)
    if name in reader.more:
        return Call(OWN + name, tuple(reader.read(a) for a in arguments))
    return refuse_function(reader, name, node)


def refuse_function(reader: Reader, name: str, node: Parsed) -> Expression:
    """Refuse a function that is not on the list."""
    known = [*known_functions(), *sorted(reader.more)]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    reader.refuse(
        f"the function {name} is not on the list. {hint}Known: {', '.join(known)}. "
        "More are allowed by the setting DJQ_FUNCTIONS",
        node,
    )


def _date_add(reader: Reader, name: str, arguments: list[Parsed], node: Parsed) -> Expression:
    if len(arguments) != 2:  # noqa: PLR2004
        reader.refuse(f"{name} takes 2 arguments, not {len(arguments)}", node)
    at, interval = arguments
    if not isinstance(interval, exp.Interval):
        interval = exp.Interval(this=interval, unit=exp.var("DAY"))
    return reader.interval(at, interval, "add" if name == "date_add" else "subtract")


def _with_unit(reader: Reader, name: str, arguments: list[Parsed], node: Parsed) -> Expression:
    if len(arguments) != 3:  # noqa: PLR2004
        reader.refuse(f"{name} takes 3 arguments, not {len(arguments)}", node)
    unit = _unit(reader, arguments[0])
    if name == "timestampadd":
        interval = exp.Interval(this=arguments[1], unit=exp.var(unit))
        return reader.interval(arguments[2], interval, "add")
    return call(reader, f"timestampdiff {unit}", arguments[1:], node)


def _unit(reader: Reader, node: Parsed | None) -> str:
    word = _UNIT.match(node.name if node is not None else "")
    unit = word[1].lower() if word else ""
    if unit not in UNITS:
        name = node.name if node is not None else "nothing"
        reader.refuse(f"{name!r} is not a unit of time: {', '.join(UNITS)}")
    return unit


def interval(reader: Reader, node: Parsed) -> Expression:
    """Refuse an interval that is not added to anything."""
    del node
    reader.refuse("an INTERVAL is added to a date or datetime, as in x + INTERVAL 1 DAY")


def plus_interval(reader: Reader, at: Parsed, span: Parsed, verb: str) -> Expression:
    """Read a moment and an interval, and `add` or `subtract`."""
    reader.expect(span, "this", "unit")
    unit = _unit(reader, span.args.get("unit"))
    count = reader.read(span.this)
    if isinstance(count, Literal) and isinstance(count.value, str):
        if not _INTEGER.match(count.value):
            reader.refuse(f"INTERVAL {count.value!r} {unit.upper()}: write a whole number")
        count = Literal(int(count.value))
    (moment,) = _moments(reader, [reader.read(at)], ("datetime",))
    return Call(f"{verb} {unit}", (moment, count))


def cast(reader: Reader, node: Parsed) -> Expression:
    """Read CAST, CONVERT, BINARY x and DATE '2024-01-31'."""
    reader.expect(node, "this", "to", "_type")
    to, value = node.args["to"], reader.read(node.this)
    kind = str(to.this.value if hasattr(to.this, "value") else to.this).upper()
    sizes = [str(e.name) for e in to.expressions]
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
    return call(reader, _unit(reader, node.this), [node.expression], node)


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


# --- JSON --------------------------------------------------------------------------------------


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


def _json_unquote(reader: Reader, name: str, arguments: list[Parsed], node: Parsed) -> Expression:
    if len(arguments) != 1:
        reader.refuse(f"{name} takes 1 arguments, not {len(arguments)}", node)
    inner = reader.read(arguments[0])
    if isinstance(inner, Call) and inner.function == "json_extract":
        return Call("json text", inner.arguments)
    return Call("json text", (inner,))


def _json_contains_path(
    reader: Reader, name: str, arguments: list[Parsed], node: Parsed
) -> Expression:
    if len(arguments) != 3 or str(arguments[1].this).lower() not in {"one", "all"}:  # noqa: PLR2004
        reader.refuse(f"write {name}(x, 'one', '$.path')", node)
    path = json_path(reader, reader.read(arguments[2]), arguments[2])
    return Call("json has", (reader.read(arguments[0]), path))


def _instr(reader: Reader, name: str, arguments: list[Parsed], node: Parsed) -> Expression:
    if len(arguments) != 2:  # noqa: PLR2004
        reader.refuse(f"{name} takes 2 arguments, not {len(arguments)}", node)
    return call(reader, "locate", arguments[::-1], node)


def _window(reader: Reader, node: Parsed) -> Expression:
    reader.refuse("window functions (OVER) are not allowed; use aggr", node)


def _now(name: str) -> Callable[[Reader, Any], Expression]:
    def read(reader: Reader, node: Parsed) -> Expression:
        reader.expect(node)
        return Call(name)

    return read


def _is_null(reader: Reader, name: str, arguments: list[Parsed], node: Parsed) -> Expression:
    _check_count(reader, name, len(arguments), node)
    return reader.is_null(arguments[0])


_SPECIAL: dict[str, Callable[[Reader, str, list[Parsed], Parsed], Expression]] = {
    "date_add": _date_add,
    "date_sub": _date_add,
    "instr": _instr,
    "isnull": _is_null,
    "json_contains_path": _json_contains_path,
    "json_unquote": _json_unquote,
    "timestampadd": _with_unit,
    "timestampdiff": _with_unit,
}
CALLS: dict[type[Parsed], Callable[[Reader, Any], Expression]] = {
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
