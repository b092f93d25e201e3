"""The text of a type → the type: core types, native types and codecs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from djq.definition.attributes import (
    CORE_TYPES,
    AttributeType,
    CodecType,
    CoreType,
    NativeType,
    can_count,
)
from djq.definition.native import ALIASES, INTEGERS, NATIVE_TYPES
from djq.hints import did_you_mean

if TYPE_CHECKING:
    from djq.definition.positions import Position

_TYPE = re.compile(
    r"""^(?P<name>[A-Za-z_]\w*(?:\s+precision\b)?)\s*
        (?:\((?P<arguments>.*)\))?(?P<options>(?:\s*\b\w+)*)\s*$""",
    re.VERBOSE | re.IGNORECASE,
)
_CODEC = re.compile(r"^<(?P<codec>[a-z][a-z0-9_]*)(?P<at>@(?P<store>[A-Za-z][A-Za-z0-9_]*)?)?>$")
_ARGUMENT = re.compile(
    r"""\s*(?:(?P<number>\d+)|'(?P<single>(?:[^']|'')*)'|"(?P<double>(?:[^"]|"")*)")\s*(?:,|$)"""
)

OPTIONS = ("unsigned", "auto_increment")
#: A number that counts up by itself, as MySQL abbreviates it.
_SERIAL = (NativeType("bigint", (), is_unsigned=True), True)
#: Core type → the native one that has an unsigned form.
_UNSIGNED = {"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint"}
#: Types of MySQL that djq does not have, and what to use.
_REFUSED = {
    "bit": "bool for one bit, or an integer",
    "set": "json for a list, or a part with one row per value",
    "dec": "decimal(p,s)",
    "fixed": "decimal(p,s)",
    "geometry": "<blob>",
    "nchar": "char(n)",
    "nvarchar": "varchar(n)",
}
#: Name of a core type → the least and largest value of each of its arguments.
_LIMITS: dict[str, tuple[tuple[int, int], ...]] = {
    "char": ((1, 255),),
    "varchar": ((1, 16_383),),
    "decimal": ((0, 65), (0, 30)),
    "datetime": ((0, 6),),
}


def parse_type(at: Position, text: str) -> AttributeType:
    """Read a type such as `varchar(30)`, `int unsigned` or `<blob@raw>`.

    Raises
    ------
    DefinitionError
        There is no such type, or its arguments are wrong.
    """
    return parse_declared(at, text)[0]


def parse_declared(at: Position, text: str) -> tuple[AttributeType, bool]:
    """Read a type, and whether the database counts its values up (`auto_increment`)."""
    if text.startswith("<"):
        return _parse_codec(at, text), False
    match = _TYPE.match(text)
    if match is None:
        _fail_form(at, text)
    name = " ".join(match["name"].lower().split())
    options = match["options"].lower().split()
    if name == "serial" and not options and match["arguments"] is None:
        return _SERIAL
    name = ALIASES.get(name, name)
    _check_known(at, name, text)
    _check_options(at, name, options, text)
    arguments = _parse_arguments(at, match["arguments"] or "")
    is_unsigned = "unsigned" in options
    type_ = _type(at, name, arguments, text, is_unsigned=is_unsigned)
    is_auto = "auto_increment" in options
    if is_auto and not can_count(type_):
        at.fail(f"{type_} cannot count up", "auto_increment", "Use an integer, such as int32.")
    return type_, is_auto


def _type(
    at: Position, name: str, arguments: tuple[int | str, ...], text: str, *, is_unsigned: bool
) -> AttributeType:
    is_numeric = name == "decimal" and "numeric" in text.lower()
    if name in CORE_TYPES and not is_unsigned:
        if is_numeric:
            arguments = _whole_decimal(arguments)
        _check_core(at, name, arguments, text)
        return CoreType(name, arguments)
    _check_native(at, name, arguments, text)
    return NativeType(name, *_canonical(name, arguments), is_unsigned=is_unsigned)


def _whole_decimal(arguments: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the arguments of `numeric`, whose missing ones MySQL fills up."""
    return (*arguments, *(10, 0)[len(arguments) :]) if len(arguments) < 2 else arguments  # noqa: PLR2004


def _canonical(name: str, arguments: tuple[int | str, ...]) -> tuple[tuple[int | str, ...]]:
    """Return the arguments without what changes nothing: widths, and zero digits."""
    if name in INTEGERS or name == "year":
        return ((),)
    if name == "decimal":
        return (_whole_decimal(arguments),)
    return ((),) if arguments == (0,) else (arguments,)


# --- what is refused ----------------------------------------------------------------------------


def _fail_form(at: Position, text: str) -> NoReturn:
    name = re.split(r"[\s(]", text)[0].lower()
    if name not in CORE_TYPES and name not in NATIVE_TYPES and name not in ALIASES:
        _check_known(at, name, text)
    at.fail(f'cannot read the type "{text}"', text, "Write a type, as in varchar(30) or int32.")


def _check_known(at: Position, name: str, text: str) -> None:
    if name in CORE_TYPES or name in NATIVE_TYPES:
        return
    words = re.findall(r"\w+", text)
    shown = next((w for w in words if w.lower() == name), text)
    if name in _REFUSED:
        at.fail(f'the type "{shown}" is not supported', shown, f"Use {_REFUSED[name]}.")
    hint = did_you_mean(name, [*CORE_TYPES, *NATIVE_TYPES, *ALIASES])
    at.fail(
        f'unknown type "{shown}"',
        shown,
        f"{hint}Known types: {', '.join(CORE_TYPES)}, <codec>, <codec@store>; "
        f"native: {', '.join(NATIVE_TYPES)}.",
    )


def _check_options(at: Position, name: str, options: list[str], text: str) -> None:
    for option in options:
        if option not in OPTIONS:
            hint = did_you_mean(option, OPTIONS).rstrip()
            advice = hint or "Behind a type stand unsigned and auto_increment, or nothing."
            at.fail(f'cannot read the type "{text}"', text, advice)
    if len(set(options)) < len(options):
        at.fail(f'cannot read the type "{text}"', text, "Write each word once.")
    if "unsigned" not in options:
        return
    if name in _UNSIGNED:
        native = f"{_UNSIGNED[name]} unsigned"
        at.fail(f"{name} has no unsigned form", text, f'Did you mean "{native}"?')
    if name not in NATIVE_TYPES or not NATIVE_TYPES[name].can_be_unsigned:
        at.fail(f"{name} has no unsigned form", text, "Leave unsigned out.")


def _check_core(at: Position, name: str, arguments: tuple[int | str, ...], text: str) -> None:
    _check_count(at, name, arguments, CORE_TYPES[name], text)
    if name == "enum":
        if not all(isinstance(a, str) for a in arguments) or len(set(arguments)) < len(arguments):
            at.fail("enum takes different quoted texts", text, "Write enum('left','right').")
        long = next((a for a in arguments if len(str(a)) > 255), None)  # noqa: PLR2004 - MySQL's
        if long is not None:
            at.fail("a value of an enum has at most 255 characters", str(long), "Shorten it.")
        blank = next((a for a in arguments if str(a).endswith(" ")), None)
        if blank is not None:
            at.fail("a value of an enum ends with a blank", str(blank), "MySQL would drop it.")
        return
    _check_limits(at, arguments, _LIMITS.get(name, ()), text)
    if name == "decimal":
        _check_scale(at, name, arguments, text)


def _check_native(at: Position, name: str, arguments: tuple[int | str, ...], text: str) -> None:
    kind = NATIVE_TYPES[name]
    _check_count(at, name, arguments, kind.arguments, text)
    least = 0 if name in {"time", "timestamp", "float", "double", "decimal"} else 1
    _check_limits(at, arguments, tuple((least, m) for m in kind.most), text)
    if name in {"binary", "varbinary"}:
        _check_limits(at, arguments, ((1, 255 if name == "binary" else 65_532),), text)
    if len(arguments) > 1:
        _check_scale(at, name, arguments, text)
    elif name in {"float", "double"} and arguments:
        at.fail(f"{name} takes no argument, or two", text, f"Write {name}, or {name}(p,s).")


def _check_count(
    at: Position, name: str, arguments: tuple[int | str, ...], wanted: tuple[int, int], text: str
) -> None:
    least, most = wanted
    if least <= len(arguments) <= most:
        return
    count = str(least) if least == most else f"{least} to {most}"
    unit = "argument" if count == "1" else "arguments"
    at.fail(f"{name} takes {count} {unit}, not {len(arguments)}", text)


def _check_limits(
    at: Position,
    arguments: tuple[int | str, ...],
    limits: tuple[tuple[int, int], ...],
    text: str,
) -> None:
    for argument, (least, most) in zip(arguments, limits, strict=False):
        if not isinstance(argument, int) or not least <= argument <= most:
            at.fail(f"{argument!r} is not between {least} and {most}", text)


def _check_scale(at: Position, name: str, arguments: tuple[int | str, ...], text: str) -> None:
    if int(arguments[0]) == 0:
        at.fail("a number has at least one digit", text, f"Write {name}(precision, scale).")
    if int(arguments[1]) > int(arguments[0]):
        at.fail(
            f"{name} has more digits behind the point than in all",
            text,
            f"Write {name}(precision, scale).",
        )


# --- parts --------------------------------------------------------------------------------------


def _parse_codec(at: Position, text: str) -> CodecType:
    match = _CODEC.match(text)
    if match is None:
        at.fail(
            f'cannot read the type "{text}"',
            text,
            "Write <blob>, <blob@store>, or <blob@> for the default store.",
        )
    return CodecType(match["codec"], None if match["at"] is None else match["store"] or "")


def _parse_arguments(at: Position, text: str) -> tuple[int | str, ...]:
    found: list[int | str] = []
    start = 0
    while start < len(text):
        match = _ARGUMENT.match(text, start)
        if match is None:
            at.fail(
                "cannot read these arguments",
                text,
                "Arguments are numbers or quoted text, with commas.",
            )
        if match["number"] is not None:
            found.append(int(match["number"]))
        elif match["single"] is not None:
            found.append(match["single"].replace("''", "'"))
        else:
            found.append(match["double"].replace('""', '"'))
        start = match.end()
    return tuple(found)
