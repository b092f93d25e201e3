"""sqlglot's tree → our expressions: functions, casts and aggregates."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sqlglot import exp

from djq.algebra.expressions import Call, Expression, Literal
from djq.algebra.jsonpath import normal_path
from djq.errors import QueryError
from djq.hints import did_you_mean
from djq.sql import literals
from djq.sql.functions import ALIASES, FUNCTIONS, OPERATORS, OWN
from djq.sql.functions.times import MOMENT_ARGUMENTS, UNITS
from djq.sql.kinds import Kind
from djq.sql.predicates import is_null

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
        noun = "argument" if wanted == "1" else "arguments"
        reader.refuse(f"{name} takes {wanted} {noun}, not {n}", node)


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
    hint = did_you_mean(name, known, shown="{}")
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
    unit = unit_of(reader, arguments[0])
    if name == "timestampadd":
        interval = exp.Interval(this=arguments[1], unit=exp.var(unit))
        return reader.interval(arguments[2], interval, "add")
    return call(reader, f"timestampdiff {unit}", arguments[1:], node)


def unit_of(reader: Reader, node: Parsed | None) -> str:
    """Return a unit of time in lower case."""
    word = _UNIT.match(node.name if node is not None else "")
    unit = word[1].lower() if word else ""
    if unit not in UNITS:
        name = node.name if node is not None else "nothing"
        reader.refuse(f"{name!r} is not a unit of time: {', '.join(UNITS)}")
    return unit


def plus_interval(reader: Reader, at: Parsed, span: Parsed, verb: str) -> Expression:
    """Read a moment and an interval, and `add` or `subtract`."""
    reader.expect(span, "this", "unit")
    unit = unit_of(reader, span.args.get("unit"))
    count = reader.read(span.this)
    if isinstance(count, Literal) and isinstance(count.value, str):
        if not _INTEGER.match(count.value):
            reader.refuse(f"INTERVAL {count.value!r} {unit.upper()}: write a whole number")
        count = Literal(int(count.value))
    (moment,) = _moments(reader, [reader.read(at)], ("datetime",))
    if moment == Literal(None):
        return moment  # of no kind: it would be taken for a datetime
    return Call(f"{verb} {unit}", (moment, count))


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


def _null(reader: Reader, name: str, arguments: list[Parsed], node: Parsed) -> Expression:
    _check_count(reader, name, len(arguments), node)
    return is_null(reader, arguments[0])


_SPECIAL: dict[str, Callable[[Reader, str, list[Parsed], Parsed], Expression]] = {
    "date_add": _date_add,
    "date_sub": _date_add,
    "instr": _instr,
    "isnull": _null,
    "json_contains_path": _json_contains_path,
    "json_unquote": _json_unquote,
    "timestampadd": _with_unit,
    "timestampdiff": _with_unit,
}
