"""Definition text → lines with positions; syntax only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from djq.definition.indexterms import parse_terms
from djq.definition.positions import Position
from djq.definition.typewords import parse_declared, parse_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.definition.attributes import AttributeType

__all__ = ["Position", "parse", "parse_type"]

ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
#: MySQL's limits [characters].
MAX_NAME = 64
MAX_COMMENT = 1_024
MAX_TABLE_COMMENT = 2_048

_COMMENT = re.compile(r"""^(?P<code>(?:[^#"']|"[^"]*"|'[^']*')*)\#(?P<comment>.*)$""", re.DOTALL)
_ATTRIBUTE = re.compile(
    r"""^(?P<name>[^\s=:]+)\s*
        (?:=\s*(?P<default>"(?:[^"]|"")*"|'(?:[^']|'')*'|[^:"'\s][^:]*?)\s*)?
        :\s*(?P<type>.+?)\s*$""",
    re.VERBOSE | re.DOTALL,
)
_REFERENCE = re.compile(
    r"""^->\s*(?:\[(?P<options>[^\]]*)\]\s*)?
        (?P<table>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*?)
        (?P<proj>\.proj\s*\((?P<renames>.*)\))?\s*$""",
    re.VERBOSE,
)
_RENAME = re.compile(
    r"""^\s*(?P<new>[a-z][a-z0-9_]*)\s*=\s*(?P<quote>['"])(?P<old>[a-z][a-z0-9_]*)(?P=quote)\s*$"""
)
_INDEX = re.compile(r"^(?P<unique>unique\s+)?index\s*\((?P<terms>.*)\)\s*$", re.IGNORECASE)
#: Signs of a query where a table belongs.
_OPERATORS = re.compile(r"&|\*|\s-\s|\s\+\s|\.(?:aggr|join|extend)\b")


@dataclass(frozen=True, slots=True)
class AttributeLine:
    """`name [= default] : type [# comment]`; `default` is the text between `=` and `:`, or None."""

    at: Position
    name: str
    type: AttributeType
    default: str | None
    comment: str
    is_auto: bool = False


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
    terms: tuple[str, ...]
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
    # Not splitlines, which would end a line within a comment at a form feed.
    for number, ended in enumerate(text.split("\n"), 1):
        raw = ended.removesuffix("\r")
        at = Position(owner, number, raw)
        _check_characters(at, raw)
        code, comment = _split_comment(raw)
        if not code:
            if is_first and comment:
                yield _table_comment(at, comment)
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


def _check_characters(at: Position, raw: str) -> None:
    """Refuse what is no text: NUL, which ends it for some databases, and half of a character."""
    bad = re.search("[\0\ud800-\udfff]", raw)
    if bad is not None:
        message = f"the character {bad.group()!r} is not one of text"
        Position(at.owner, at.number, repr(raw)[1:-1]).fail(
            message, repr(bad.group())[1:-1], "Remove it."
        )


def _table_comment(at: Position, comment: str) -> CommentLine:
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
    return CommentLine(at, comment)


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
        advice = (
            "A reference is to a table, not to a query: leave out what restricts or joins it."
            if _OPERATORS.search(code)
            else "Write -> Table, -> module.Table, -> [nullable] Table or -> Table.proj(new='old')."
        )
        at.fail("cannot read this reference", code, advice)
    options = frozenset(o.strip().lower() for o in (match["options"] or "").split(",") if o.strip())
    for option in sorted(options - {"nullable", "unique"}):
        at.fail(
            f'unknown option "{option}"',
            option,
            "The options of a reference are nullable and unique.",
        )
    renames = tuple(_parse_rename(at, i) for i in (match["renames"] or "").split(",") if i.strip())
    for names in zip(*renames, strict=True):
        for name in names:
            if names.count(name) > 1:
                at.fail(f'"{name}" is renamed twice', name, "Write one reference for each.")
    return ReferenceLine(at, match["table"], options, renames)


def _parse_rename(at: Position, item: str) -> tuple[str, str]:
    rename = _RENAME.match(item)
    if rename is None:
        at.fail(
            "cannot read this projection",
            item.strip(),
            "A reference may only rename: new_name='old_name'.",
        )
    _check_name(at, rename["new"])
    return rename["new"], rename["old"]


def _parse_index(at: Position, code: str) -> IndexLine:
    match = _INDEX.match(code)
    if match is None:
        at.fail("cannot read this index", code, "Write index(a, b) or unique index(a, b).")
    behind = at.behind(code, match.start("terms"))
    return IndexLine(behind, parse_terms(behind, match["terms"], code), bool(match["unique"]))


def _check_name(at: Position, name: str) -> None:
    if ATTRIBUTE_NAME.match(name) and len(name) <= MAX_NAME:
        return
    advice = (
        "Names have lower-case letters, digits and underscores, begin with a letter, "
        f"and at most {MAX_NAME} characters."
    )
    at.fail(f'bad attribute name "{name}"', name, advice)


def _parse_attribute(at: Position, code: str, comment: str) -> AttributeLine:
    match = _ATTRIBUTE.match(code)
    if match is None:
        at.fail(
            "cannot read this line", code, "Write name : type  # comment, or name = default : type."
        )
    name = match["name"]
    _check_name(at, name)
    if comment.startswith(":"):
        at.fail("the comment begins with a colon", comment, "Begin it with another character.")
    type_, is_auto = parse_declared(at.behind(code, match.start("type")), match["type"])
    if len(f":{type_}:{comment}") > MAX_COMMENT:
        part = comment or match["type"]
        at.fail(
            f"the type and comment are longer than {MAX_COMMENT} characters",
            part,
            "Shorten the comment; a long list of values belongs into a Lookup table.",
        )
    behind = at.behind(code, match.start("default") if match["default"] else 0)
    return AttributeLine(behind, name, type_, match["default"], comment, is_auto)
