"""Names of values within JSON: `attribute.path[0]:type`, and paths such as `$.path[0]`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.algebra.expressions import Call, Expression, Literal, Name
from djq.errors import QueryError

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute

_LEG = re.compile(
    r'\.(?P<key>[A-Za-z_$][\w$]*)|\."(?P<quoted>(?:[^"\\]|\\.)*)"|\[(?P<index>\d{1,6})\]'
)
_NAME = re.compile(
    r"""(?P<name>[a-z][a-z0-9_]*)(?P<path>(?:\.[A-Za-z_$][\w$]*|\."(?:[^"\\]|\\.)*"|\[\d{1,6}\])*)
        (?:\s*:\s*(?P<type>[A-Za-z][A-Za-z0-9]*(?:\s*\([\d\s,]*\))?))?\Z""",
    re.VERBOSE,
)
_DECIMAL = re.compile(r"decimal(?:\((\d+)(?:,(\d+))?\))?\Z")
_CHAR = re.compile(r"char\((\d+)\)\Z")
#: A type → the call that reads a value of it; `decimal(p,s)` and `char(n)` besides.
_READ: dict[str, tuple[str, ...]] = {
    "char": ("json text",),
    "date": ("json text", "cast date"),
    "datetime": ("json text", "cast datetime"),
    "double": ("json double",),
    "float": ("json double",),
    "signed": ("json integer",),
    "time": ("json text", "cast time"),
    "unsigned": ("json integer",),
    "year": ("json integer",),
}


@dataclass(frozen=True, slots=True)
class JsonName:
    """The name of a value within a JSON attribute."""

    attribute: str
    #: As in `$."path"[0]`.
    path: str
    #: Lower case and without blanks; "" for none.
    type: str


def read_name(text: str) -> JsonName | None:
    """Return the parts of `attribute.path[0]:type`; None for anything else, and for an attribute.

    Raises
    ------
    QueryError
        The type is none that values are read as.
    """
    match = _NAME.match(str(text))
    if match is None or not (match["path"] or match["type"]):
        return None
    type_ = re.sub(r"\s", "", match["type"] or "").lower()
    calls(type_)
    return JsonName(match["name"], normal_path(f"${match['path']}"), type_)


def normal_path(path: str) -> str:
    """Return a path with all of its keys quoted.

    Raises
    ------
    QueryError
        It is none of keys and numbers: databases differ in what wildcards find.
    """
    legs: list[str] = []
    place = 1 if path.startswith("$") else len(path) + 1
    while place < len(path):
        match = _LEG.match(path, place)
        if match is None:
            break
        place = match.end()
        legs.append(_leg(match, path))
    if place != len(path):
        message = (
            f'"{path}" is not a path into JSON of keys and numbers: write $.key, $."any key" '
            "or $.list[0]"
        )
        raise QueryError(message)
    return "$" + "".join(legs)


def _leg(match: re.Match[str], path: str) -> str:
    if match["index"] is not None:
        return f"[{int(match['index'])}]"
    if match["quoted"] is None:
        return f'."{match["key"]}"'
    try:
        key = json.loads(f'"{match["quoted"]}"')
    except ValueError as error:
        message = f'"{path}" is not a path into JSON: {error}'
        raise QueryError(message) from error
    return f".{json.dumps(key, ensure_ascii=False)}"


def calls(type_: str) -> tuple[str, ...]:
    """Return the functions that read a value of a type, the innermost first.

    Raises
    ------
    QueryError
        There is no such type.
    """
    if not type_:
        return ("json text",)
    if match := _DECIMAL.match(type_):
        return ("json double", f"cast {decimal_type(match[1], match[2])}")
    if match := _CHAR.match(type_):
        return ("json text", f"cast char({int(match[1])})")
    found = _READ.get(re.sub(r"\A(datetime|time)\([0-6]\)\Z", r"\1", type_))
    if found is None:
        known = ", ".join(sorted([*_READ, "char(n)", "decimal(p,s)"]))
        message = f'"{type_}" is not a type of a value within JSON. Known: {known}.'
        raise QueryError(message)
    return found


def decimal_type(precision: str | None, scale: str | None) -> str:
    """Return `decimal(p,s)` within the limits of MySQL.

    Raises
    ------
    QueryError
        It has more digits than a decimal may have.
    """
    p, s = int(precision or 10), int(scale or 0)
    if not (1 <= p <= 65 and s <= min(p, 30)):  # noqa: PLR2004 - MySQL's limits
        message = f"decimal({p},{s}): a decimal has 1 to 65 digits, 0 to 30 of them as its fraction"
        raise QueryError(message)
    return f"decimal({p},{s})"


def json_value(document: Expression, path: str, type_: str) -> Expression:
    """Return the value at a path as one of a type."""
    first, *others = calls(type_)
    found: Expression = Call(first, (document, Literal(path)))
    for name in others:
        found = Call(name, (found,))
    return found


def check_json(attribute: Attribute, text: str) -> None:
    """Refuse a path into anything but JSON.

    Raises
    ------
    QueryError
        The attribute is of another type.
    """
    if getattr(attribute.type, "name", "json" if attribute.type is None else "") != "json":
        message = (
            f'"{text}": "{attribute.name}" is {attribute.type}, not json, and has no paths; '
            "write the attribute alone, without a table"
        )
        raise QueryError(message)


def equals(name: JsonName, value: Value) -> Expression:
    """Return whether the value at a path equals a Python value, in the way JSON would hold it."""
    document = Name(name.attribute)
    value = value.item() if hasattr(value, "item") and not getattr(value, "shape", ()) else value
    if value is None:
        return Call("json is null", (document, Literal(name.path)))
    if name.type:
        typed = int(value) if isinstance(value, bool) else value
        return Call("=", (json_value(document, name.path, name.type), Literal(typed)))
    if isinstance(value, int | float | list | dict | tuple):
        return Call("json equals", (document, Literal(name.path), Literal(_dumped(name, value))))
    text = json_value(document, name.path, "")
    return Call("=", (text, Literal(value if isinstance(value, str) else str(value))))


def _dumped(name: JsonName, value: Value) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f'cannot compare "{name.attribute}{name.path[1:]}" with {value!r}: {error}'
        raise QueryError(message) from error
