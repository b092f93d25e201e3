"""Functions of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from djq.sql.functions.base import (
    Build,
    Column,
    Function,
    Phrase,
    embedded,
    integers,
    native,
    text_of,
    word,
)
from djq.sql.kinds import BYTES, INTEGER, TEXT, Kind, expect, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.sql.dialects import Dialect

_WORDS = frozenset({Kind.TEXT, Kind.BYTES})


def _function(shape: str, result: Any = TEXT, mysql: str | None = None) -> Any:  # noqa: ANN401
    """Return how to build a function; `shape` has a `t` per text and an `i` per whole number."""

    def named(name: str) -> Build:
        def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
            values: list[Column] = []
            for i, argument in enumerate(arguments):
                if shape[min(i, len(shape) - 1)] == "i":
                    integers([argument], name.upper())
                    values.append(argument)
                else:
                    values.append(text_of(dialect, argument, name.upper()))
            if dialect.is_sqlite:
                return embedded(name, *values, type_=result)
            return native(mysql or name, *values, type_=result)

        return build

    return named


def _concat(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    texts = [text_of(dialect, a, "CONCAT") for a in arguments]
    if not dialect.is_sqlite:
        return native("concat", *texts, type_=TEXT)
    found: Column = sa.cast(texts[0], sa.Text())
    for text in texts[1:]:
        found = found.concat(text)
    return sa.type_coerce(found, TEXT)


def _utf8(dialect: Dialect, column: Column, what: str) -> Column:
    """Return text in UTF-8, whatever the column's character set, or bytes."""
    if kind_of(column) is Kind.BYTES:
        return column
    text = text_of(dialect, column, what)
    if dialect.is_sqlite or kind_of(text) is not Kind.TEXT:
        return text
    return native("convert", Phrase(text, "USING utf8mb4"), type_=TEXT)


def _of_bytes(name: str, result: Any = TEXT) -> Build:  # noqa: ANN401
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        first = _utf8(dialect, arguments[0], name.upper())
        integers(arguments[1:], name.upper())
        if dialect.is_sqlite:
            return embedded(name, first, *arguments[1:], type_=result)
        return native(name, first, *arguments[1:], type_=result)

    return build


def _hex(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    if kind_of(arguments[0]) is Kind.INTEGER:
        if dialect.is_sqlite:
            return embedded("hex", arguments[0], type_=TEXT)
        return native("hex", arguments[0], type_=TEXT)
    return _of_bytes("hex")(dialect, arguments)


def _unhex(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    text = text_of(dialect, arguments[0], "UNHEX")
    if dialect.is_sqlite:
        return embedded("unhex", text, type_=BYTES)
    return native("unhex", text, type_=BYTES)


def _trim(where: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        text = text_of(dialect, arguments[0], "TRIM")
        what = arguments[1] if len(arguments) > 1 else sa.literal(" ")
        expect(what, _WORDS, "TRIM")
        if dialect.is_sqlite:
            return embedded("trim", text, what, word(f"'{where}'"), type_=TEXT)
        return native("trim", Phrase(where.upper(), what, "FROM", text), type_=TEXT)

    return build


def _pad(name: str) -> Build:
    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        text, length = text_of(dialect, arguments[0], name.upper()), arguments[1]
        filling = arguments[2] if len(arguments) > 2 else sa.literal(" ")  # noqa: PLR2004
        integers([length], name.upper())
        expect(filling, _WORDS, name.upper())
        # Nothing to fill with: databases differ, and versions of one.
        filling = native("nullif", filling, word("''", TEXT), type_=TEXT)
        if dialect.is_sqlite:
            return embedded(name, text, length, filling, type_=TEXT)
        return native(name, text, length, filling, type_=TEXT)

    return build


def _replace(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    texts = [text_of(dialect, a, "REPLACE") for a in arguments]
    if dialect.is_sqlite:
        return embedded("replace", *texts, type_=TEXT)
    found = native("replace", *texts, type_=TEXT)
    if dialect.backend == "mysql":
        return found
    # MariaDB returns the text where there is nothing to replace, be it by null.
    return sa.type_coerce(sa.case((texts[2].is_not(sa.null()), found)), TEXT)


def _substring(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    built: Column = _function("ti")("substring")(dialect, arguments)
    return built


def _locate(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    built: Column = _function("tti", INTEGER)("locate")(dialect, arguments)
    return built


def _concat_ws(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    built: Column = _function("t")("concat_ws")(dialect, arguments)
    return built


FUNCTIONS: dict[str, Function] = {
    "ascii": Function(_of_bytes("ascii", INTEGER)),
    "char_length": Function(_function("t", INTEGER)("char_length")),
    "concat": Function(_concat, 1, None),
    "concat_ws": Function(_concat_ws, 2, None),
    "find_in_set": Function(_function("tt", INTEGER)("find_in_set"), 2, 2),
    "hex": Function(_hex),
    "left": Function(_function("ti")("left"), 2, 2),
    "length": Function(_of_bytes("length", INTEGER)),
    "locate": Function(_locate, 2, 3),
    "lower": Function(_function("t")("lower")),
    "lpad": Function(_pad("lpad"), 2, 3),
    "ltrim": Function(_trim("leading")),
    "repeat": Function(_function("ti")("repeat"), 2, 2),
    "replace": Function(_replace, 3, 3),
    "reverse": Function(_function("t")("reverse")),
    "right": Function(_function("ti")("right"), 2, 2),
    "rpad": Function(_pad("rpad"), 2, 3),
    "rtrim": Function(_trim("trailing")),
    "sha2": Function(_of_bytes("sha2"), 2, 2),
    "substring": Function(_substring, 2, 3),
    "substring_index": Function(_function("tti")("substring_index"), 3, 3),
    "trim": Function(_trim("both")),
    "unhex": Function(_unhex),
    "upper": Function(_function("t")("upper")),
}
OPERATORS: dict[str, Function] = {
    "trim both": Function(_trim("both"), 2, 2),
    "trim leading": Function(_trim("leading"), 2, 2),
    "trim trailing": Function(_trim("trailing"), 2, 2),
}
