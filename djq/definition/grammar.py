"""Definition text → lines with positions; syntax only."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from djq.definition.attributes import CORE_TYPES, AttributeType, CodecType, CoreType
from djq.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
#: MySQL's limits [characters].
MAX_NAME = 64
MAX_COMMENT = 1_024
MAX_TABLE_COMMENT = 2_048

_COMMENT = re.compile(r"""^(?P<code>(?:[^#"']|"[^"]*"|'[^']*')*)\#(?P<comment>.*)$""")
_ATTRIBUTE = re.compile(
    r"""^(?P<name>[^\s=:]+)\s*
        (?:=\s*(?P<default>"[^"]*"|'(?:[^']|'')*'|[^:"'\s][^:]*?)\s*)?
        :\s*(?P<type>.+?)\s*$""",
    re.VERBOSE,
)
_REFERENCE = re.compile(
    r"""^->\s*(?:\[(?P<options>[^\]]*)\]\s*)?
        (?P<table>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*?)
        (?P<proj>\.proj\((?P<renames>.*)\))?\s*$""",
    re.VERBOSE,
)
_RENAME = re.compile(
    r"""^\s*(?P<new>[a-z][a-z0-9_]*)\s*=\s*(?P<quote>['"])(?P<old>[a-z][a-z0-9_]*)(?P=quote)\s*$"""
)
_INDEX = re.compile(r"^(?P<unique>unique\s+)?index\s*\((?P<names>.*)\)\s*$", re.IGNORECASE)
_TYPE = re.compile(r"^(?P<name>[A-Za-z_]\w*)\s*(?:\((?P<arguments>.*)\))?$")
_CODEC = re.compile(r"^<(?P<codec>[a-z][a-z0-9_]*)(?:@(?P<store>[A-Za-z][A-Za-z0-9_]*)?)?>$")
_ARGUMENT = re.compile(
    r"""\s*(?:(?P<number>\d+)|'(?P<single>(?:[^']|'')*)'|"(?P<double>[^"]*)")\s*(?:,|$)"""
)

#: Words of the language that djq knows and does not build yet, with what to write meanwhile.
NOT_YET = {
    **dict.fromkeys(
        ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "serial"), "int8 to int64"
    ),
    **dict.fromkeys(("float", "double", "real"), "float32 or float64"),
    **dict.fromkeys(("numeric",), "decimal(p,s)"),
    **dict.fromkeys(("timestamp", "time", "year"), "datetime(n)"),
    **dict.fromkeys(("tinytext", "text", "mediumtext", "longtext"), "varchar(n)"),
    **dict.fromkeys(("tinyblob", "blob", "mediumblob", "longblob"), "<blob> for values, or bytes"),
}


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in a definition, to point at it in a message."""

    owner: str
    number: int
    text: str
    #: Where in `text` to look for the part that is wrong.
    start: int = 0

    def behind(self, code: str, offset: int) -> Position:
        """Return the position that looks behind `offset` of `code`, which stands in the line."""
        return replace(self, start=max(self.text.find(code), 0) + offset)

    def fail(self, problem: str, part: str = "", advice: str = "") -> NoReturn:
        """Raise a `DefinitionError` that shows the line and marks `part` in it."""
        column = len(self.text) - len(self.text.lstrip())
        column = max(self.text.find(part, self.start), 0) if part else column
        width = len(part) or len(self.text.strip()) or 1
        lines = [
            f"{problem} in {self.owner}, line {self.number}, column {column + 1}",
            f"    {self.text.rstrip()}",
            f"    {' ' * column}{'^' * width}",
        ]
        if advice:
            lines.append(advice)
        raise DefinitionError("\n".join(lines))


@dataclass(frozen=True, slots=True)
class AttributeLine:
    """`name [= default] : type [# comment]`; `default` is the text between `=` and `:`, or None."""

    at: Position
    name: str
    type: AttributeType
    default: str | None
    comment: str


@dataclass(frozen=True, slots=True)
class ReferenceLine:
    """`-> [options] Table.proj(new='old')`."""

    at: Position
    table: str
    options: frozenset[str]
    renames: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class IndexLine:
    """`[unique] index(a, b)`."""

    at: Position
    names: tuple[str, ...]
    unique: bool


@dataclass(frozen=True, slots=True)
class DividerLine:
    """`---`: what follows is not part of the primary key."""

    at: Position


@dataclass(frozen=True, slots=True)
class CommentLine:
    """`# comment` in the first line: the table's own."""

    at: Position
    comment: str


Line: TypeAlias = AttributeLine | ReferenceLine | IndexLine | DividerLine | CommentLine


def parse(text: str, owner: str) -> list[Line]:
    """Split the definition `text` of the class `owner` into lines.

    Raises
    ------
    DefinitionError
        A line is not of the language; the message shows it with its number and column.
    """
    return list(_parse_lines(text, owner))


def _parse_lines(text: str, owner: str) -> Iterator[Line]:
    is_first, is_divided = True, False
    for number, raw in enumerate(text.splitlines(), 1):
        at = Position(owner, number, raw)
        code, comment = _split_comment(raw)
        if not code:
            if is_first and comment:
                if comment.startswith(":"):
                    at.fail(
                        "the table comment begins with a colon",
                        comment,
                        "Begin it with another character.",
                    )
                if len(comment) > MAX_TABLE_COMMENT:
                    at.fail(
                        f"the table comment is longer than {MAX_TABLE_COMMENT} characters",
                        comment,
                        "Shorten it.",
                    )
                yield CommentLine(at, comment)
            is_first = is_first and not comment
            continue
        is_first = False
        line = _parse_code(at, code, comment)
        if isinstance(line, DividerLine) and is_divided:
            at.fail(
                "a second divider",
                code,
                "One line of dashes ends the primary key; remove the other.",
            )
        is_divided = is_divided or isinstance(line, DividerLine)
        yield line


def _split_comment(raw: str) -> tuple[str, str]:
    match = _COMMENT.match(raw)
    if match is None:
        return raw.strip(), ""
    return match["code"].strip(), match["comment"].strip()


def _parse_code(at: Position, code: str, comment: str) -> Line:
    if re.fullmatch(r"-{3,}", code):
        return DividerLine(at)
    if code.startswith("->"):
        return _parse_reference(at, code)
    if re.match(r"(unique\s+)?index\s*\(", code, re.IGNORECASE):
        return _parse_index(at, code)
    return _parse_attribute(at, code, comment)


def _parse_reference(at: Position, code: str) -> ReferenceLine:
    match = _REFERENCE.match(code)
    if match is None:
        at.fail(
            "cannot read this reference",
            code,
            "Write -> Table, -> module.Table, -> [nullable] Table or -> Table.proj(new='old').",
        )
    options = frozenset(o.strip().lower() for o in (match["options"] or "").split(",") if o.strip())
    for option in sorted(options - {"nullable", "unique"}):
        at.fail(
            f'unknown option "{option}"',
            option,
            "The options of a reference are nullable and unique.",
        )
    renames: list[tuple[str, str]] = []
    for item in (match["renames"] or "").split(","):
        if not item.strip():
            continue
        rename = _RENAME.match(item)
        if rename is None:
            at.fail(
                "cannot read this projection",
                item.strip(),
                "A reference may only rename: new_name='old_name'.",
            )
        renames.append((rename["new"], rename["old"]))
    return ReferenceLine(at, match["table"], options, tuple(renames))


def _parse_index(at: Position, code: str) -> IndexLine:
    match = _INDEX.match(code)
    names = [n.strip() for n in match["names"].split(",")] if match else []
    if match is None or not all(ATTRIBUTE_NAME.match(n) for n in names):
        at.fail(
            "cannot read this index",
            code,
            "Write index(a, b); indexes of expressions are not supported yet.",
        )
    return IndexLine(at, tuple(names), bool(match["unique"]))


def _parse_attribute(at: Position, code: str, comment: str) -> AttributeLine:
    match = _ATTRIBUTE.match(code)
    if match is None:
        at.fail(
            "cannot read this line", code, "Write name : type  # comment, or name = default : type."
        )
    name = match["name"]
    if not ATTRIBUTE_NAME.match(name) or len(name) > MAX_NAME:
        advice = (
            "Names have lower-case letters, digits and underscores, begin with a letter, "
            f"and at most {MAX_NAME} characters."
        )
        at.fail(f'bad attribute name "{name}"', name, advice)
    if comment.startswith(":"):
        at.fail("the comment begins with a colon", comment, "Begin it with another character.")
    type_ = parse_type(at.behind(code, match.start("type")), match["type"])
    if len(f":{type_}:{comment}") > MAX_COMMENT:
        part = comment or match["type"]
        at.fail(
            f"the type and comment are longer than {MAX_COMMENT} characters",
            part,
            "Shorten the comment; a long list of values belongs into a Lookup table.",
        )
    behind = at.behind(code, match.start("default") if match["default"] else 0)
    return AttributeLine(behind, name, type_, match["default"], comment)


def parse_type(at: Position, text: str) -> AttributeType:
    """Read a type such as `varchar(30)` or `<blob@raw>`."""
    if text.startswith("<"):
        return _parse_codec(at, text)
    match = _TYPE.match(text)
    name = (match["name"] if match else re.split(r"[\s(]", text)[0]).lower()
    if name not in CORE_TYPES:
        _fail_type(at, name, text)
    if match is None:
        at.fail(
            f'cannot read the type "{text}"',
            text,
            "unsigned and auto_increment are not supported yet.",
        )
    arguments = _parse_arguments(at, match["arguments"] or "")
    least, most = CORE_TYPES[name]
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        unit = "argument" if wanted == "1" else "arguments"
        at.fail(f"{name} takes {wanted} {unit}, not {len(arguments)}", text)
    _check_arguments(at, name, arguments, text)
    return CoreType(name, arguments)


def _fail_type(at: Position, name: str, text: str) -> NoReturn:
    shown = next((w for w in re.findall(r"\w+", text) if w.lower() == name), text)
    if name in NOT_YET:
        at.fail(f'the native type "{shown}" is not supported yet', shown, f"Use {NOT_YET[name]}.")
    near = difflib.get_close_matches(name, CORE_TYPES, n=1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    at.fail(
        f'unknown type "{shown}"',
        shown,
        f"{hint}Known types: {', '.join(CORE_TYPES)}, <codec>, <codec@store>.",
    )


def _parse_codec(at: Position, text: str) -> CodecType:
    match = _CODEC.match(text)
    if match is None:
        at.fail(f'cannot read the type "{text}"', text, "Write <blob> or <blob@store>.")
    if "@" in text and not match["store"]:
        at.fail(
            "a default store is not supported yet",
            text,
            f"Name the store: <{match['codec']}@name>.",
        )
    return CodecType(match["codec"], match["store"])


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
            found.append(match["double"])
        start = match.end()
    return tuple(found)


#: Name of the type → the largest value of each of its arguments.
_MOST: dict[str, tuple[int, ...]] = {
    "char": (255,),
    "varchar": (16_383,),
    "decimal": (65, 30),
    "datetime": (6,),
}


def _check_arguments(at: Position, name: str, arguments: tuple[int | str, ...], text: str) -> None:
    if name == "enum":
        if not all(isinstance(a, str) for a in arguments) or len(set(arguments)) < len(arguments):
            at.fail("enum takes different quoted texts", text, "Write enum('left','right').")
        return
    for argument, most in zip(arguments, _MOST.get(name, ()), strict=False):
        least = 0 if name in {"decimal", "datetime"} else 1
        if not isinstance(argument, int) or not least <= argument <= most:
            at.fail(f"{argument!r} is not between {least} and {most}", text)
    if name == "decimal" and not int(arguments[1]) <= int(arguments[0]):
        at.fail(
            "decimal has more digits behind the point than in all",
            text,
            "Write decimal(precision, scale).",
        )
