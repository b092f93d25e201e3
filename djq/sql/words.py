"""The server's words for types and defaults → ours."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from djq.definition.attributes import AttributeType, CodecType, CoreType, NativeType, Special
from djq.definition.grammar import Position, parse_type
from djq.errors import DefinitionError
from djq.sql.astral import unescape

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.sql.catalog import Column

#: `:int32:text`, as DataJoint marks a column's type in its comment.
_MARK = re.compile(
    r""":(?P<type><[^>]*>
        |[A-Za-z]\w*\s*(?:\((?:[^'"()]|'(?:[^']|'')*'|"[^"]*")*\))?(?:\s+[A-Za-z]+)*)
        :(?P<comment>.*)\Z""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = re.compile(
    r"(?P<name>[a-z]\w*)\s*(?:\((?P<arguments>.*)\))?(?P<rest>[a-z_ ]*)\Z", re.DOTALL
)
_ARGUMENT = re.compile(r"(?P<number>\d+)|'(?P<text>(?:[^']|'')*)'")
_NOW = re.compile(r"(current_timestamp|now)(\(\d?\))?\Z", re.IGNORECASE)
#: How bytes, and text beyond U+FFFF, are written in the DDL of djq.
_BYTES = re.compile(r"(?:unhex\(\w*|x)\\?'(?P<hex>[0-9a-f]*)\\?'\)?\Z", re.IGNORECASE)
_TEXT = re.compile(r"convert\(0x(?P<hex>[0-9a-f]+) using utf8mb4\)\Z", re.IGNORECASE)
#: How a float32 is declared, so that the server keeps all of its digits.
_PLUS_ZERO = re.compile(
    r"\(*(?P<number>-?\(?-?[0-9.e+-]+?\)?)\)?\s*\+\s*0(e0)?\)*\Z", re.IGNORECASE
)
#: How MySQL writes a negative number that is an expression.
_NEGATIVE = re.compile(r"-\((?P<number>[\d.eE+-]+)\)\Z")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")

#: Types that the server and the definition language spell alike.
_ALIKE = frozenset({"char", "varchar", "decimal", "date", "datetime", "enum"})
#: What SQLAlchemy or people write in SQLite → the core type with the same values.
_SQLITE: dict[str, AttributeType] = {
    "smallint": CoreType("int16"),
    "int": CoreType("int64"),
    "integer": CoreType("int64"),
    "bigint": CoreType("int64"),
    "real": CoreType("float64"),
    "float": CoreType("float64"),
    "double": CoreType("float64"),
    "boolean": CoreType("bool"),
    "json": CoreType("json"),
    "blob": NativeType("longblob"),
    "": NativeType("longblob"),
}
#: What servers call a column of JSON; MariaDB keeps it as text.
_JSON = frozenset({"json", "longtext"})
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year"})
_FLOATS = frozenset({"float", "double", "real", "float32", "float64"})


def split_comment(comment: str) -> tuple[AttributeType | None, str]:
    """Return the type that a column's comment is marked with, None without one, and the rest."""
    comment = unescape(comment)
    match = _MARK.match(comment)
    type_ = _read_mark(match["type"]) if match else None
    return (None, comment) if match is None or type_ is None else (type_, match["comment"])


@lru_cache(maxsize=4096)
def _read_mark(text: str) -> AttributeType | None:
    try:
        return parse_type(Position("the catalog", 1, text), text)
    except DefinitionError:
        return None


@lru_cache(maxsize=4096)
def read_type(words: str, *, is_sqlite: bool) -> AttributeType:
    """Return the type of a column without a mark: another program's, or an inherited one."""
    match = _WORDS.match(words.strip().lower())
    if is_sqlite and (match is None or match["name"] in _SQLITE):
        return _SQLITE[match["name"] if match else ""]
    parsed = None if is_sqlite else _read_mark(words)
    if parsed is not None:
        return parsed
    if match is None:
        return NativeType(words.lower())
    arguments = tuple(_arguments(words))
    rest = match["rest"].split()
    if match["name"] in _ALIKE and not rest:
        return CoreType(match["name"], arguments)
    if match["name"] == "json":
        return CoreType("json")
    return NativeType(match["name"], arguments, is_unsigned="unsigned" in rest)


def with_column(type_: CodecType, words: str, *, is_sqlite: bool) -> CodecType:
    """Return the type of a codec's column with what the column itself is, as its own words say."""
    found = read_type(words, is_sqlite=is_sqlite)
    if isinstance(found, CodecType):
        return type_
    if found.name in _JSON:
        found = CoreType("json")
    elif isinstance(found, NativeType) and found.is_blob:
        found = CoreType("bytes")
    return type_ if found == type_.kept else replace(type_, column=found)


def _arguments(words: str) -> list[int | str]:
    """Return what stands between the parentheses, quoted texts in their own case."""
    _, _, inside = words.partition("(")
    return [
        int(m["number"]) if m["number"] is not None else m["text"].replace("''", "'")
        for m in _ARGUMENT.finditer(inside)
    ]


def read_default(column: Column, type_: AttributeType) -> Value:
    """Return the value of a row that leaves a column out.

    What only the server can compute counts as no default.
    """
    words = column.default
    missing = None if column.is_nullable else Special.REQUIRED
    if words is None or words.upper() == "NULL":
        return missing
    if _NOW.match(words):
        return Special.NOW
    words = _PLUS_ZERO.sub(r"\g<number>", words)
    words = _NEGATIVE.sub(r"-\g<number>", words)
    quoted = words.startswith("'") and words.endswith("'") and len(words) > 1
    text: Value = words[1:-1].replace("''", "'") if quoted else words
    try:
        if words.startswith("0x"):
            text = bytes.fromhex(words[2:])
        elif match := _BYTES.match(words):
            text = bytes.fromhex(match["hex"])
        elif match := _TEXT.match(words):
            text = bytes.fromhex(match["hex"]).decode()
        elif words.lower().startswith("b'"):
            text = int(words[2:-1], 2)
        elif not quoted and not _NUMBER.match(words):
            return missing
        return _convert(text, type_)
    except ValueError:
        return missing


def _convert(value: Value, type_: AttributeType) -> Value:
    name = getattr(type_, "name", "")
    if name == "bool":
        return bool(int(value))
    if name in _INTEGERS:
        value = int(value)
    elif name in _FLOATS:
        value = float(value)
    elif name == "time" and str(value).lstrip("-").isdigit():
        value = dt.timedelta(microseconds=int(value))  # as SQLite counts
    return type_.accept(value) if isinstance(type_, CoreType | NativeType) else value
