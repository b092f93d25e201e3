"""Values within JSON. Paths are checked before they come here: `$."a"[0]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from djq.errors import QueryError
from djq.sql.functions.base import Build, Column, Function, Phrase, embedded, native, word
from djq.sql.kinds import BOOLEAN, INTEGER, JSON, REAL, TEXT, Kind, expect, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.sql.dialects import Dialect

_JSON = frozenset({Kind.JSON})
#: What JSON_TYPE calls numbers, and booleans.
_NUMBERS = ("INTEGER", "UNSIGNED INTEGER", "DOUBLE", "DECIMAL")
_ROOT = word("'$'", TEXT)


def _document(arguments: Sequence[Column], what: str) -> tuple[Column, Column]:
    expect(arguments[0], _JSON, what)
    return arguments[0], arguments[1] if len(arguments) > 1 else _ROOT


def _extract(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    document, path = _document(arguments, "JSON_EXTRACT")
    call = embedded if dialect.is_sqlite else native
    return call("json_extract", document, path, type_=JSON)


def _server_extract(document: Column, path: Column) -> Column:
    return native("json_extract", document, path, type_=TEXT)


def _type(value: Column) -> Column:
    name = native("json_type", value, type_=TEXT)
    return native("convert", Phrase(name, "USING utf8mb4"), type_=TEXT)


def _unquoted(value: Column) -> Column:
    """Return text in the connection's collation, which is that of djq's columns."""
    text = native("json_unquote", value, type_=TEXT)
    return native("convert", Phrase(text, "USING utf8mb4"), type_=TEXT)


def _words(*names: str) -> list[Column]:
    return [word(f"'{n}'", TEXT) for n in names]


def _text(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Return text, numbers and booleans as text; null for objects, arrays and null."""
    document, path = _document(arguments, "a path into JSON")
    if dialect.is_sqlite:
        return embedded("json_text", document, path, type_=TEXT)
    value = _server_extract(document, path)
    is_scalar = _type(value).not_in(_words("OBJECT", "ARRAY", "NULL"))
    return sa.type_coerce(sa.case((is_scalar, _unquoted(value))), TEXT)


def _number(name: str, cast: str = "", *, counts_booleans: bool = True) -> Build:
    """Return a number, and 1 and 0 for true and false; null for anything else."""

    def build(dialect: Dialect, arguments: Sequence[Column]) -> Column:
        document, path = _document(arguments, "a path into JSON")
        type_ = INTEGER if name == "json_integer" else REAL
        if dialect.is_sqlite:
            return embedded(name, document, path, type_=type_)
        value = _server_extract(document, path)
        number = sa.type_coerce(_unquoted(value).op("+")(word("0e0")), REAL)
        rows: list[tuple[Column, Column]] = [(_type(value).in_(_words(*_NUMBERS)), number)]
        if cast:
            whole = native("convert", Phrase(number, f", {cast}"), type_=INTEGER)
            exact = native("convert", Phrase(_unquoted(value), f", {cast}"), type_=INTEGER)
            fits = number.between(word("-9.2e18"), word("9.2e18"))
            rows = [
                (_type(value).in_(_words("INTEGER", "UNSIGNED INTEGER")), exact),
                (sa.and_(_type(value).in_(_words(*_NUMBERS)), fits), whole),
            ]
        if not counts_booleans:
            return sa.type_coerce(sa.case(*rows), type_)
        is_true = _unquoted(value) == word("'true'", TEXT)
        one = sa.case((is_true, word("1")), else_=word("0"))
        rows.append((_type(value) == _words("BOOLEAN")[0], one))
        return sa.type_coerce(sa.case(*rows), type_)

    return build


def _is_null(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Tell whether nothing is there, or a null of JSON."""
    document, path = _document(arguments, "a path into JSON")
    if dialect.is_sqlite:
        return embedded("json_is_null", document, path, type_=BOOLEAN)
    value = _server_extract(document, path)
    return sa.or_(value.is_(sa.null()), _type(value) == _words("NULL")[0])


def _equals(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    """Compare with JSON in text."""
    document, path = _document(arguments, "a path into JSON")
    other = arguments[2]
    if dialect.is_sqlite:
        return embedded("json_equals", document, path, other, type_=BOOLEAN)
    value = _server_extract(document, path)
    if dialect.backend == "mariadb":
        return native("json_equals", value, other, type_=BOOLEAN)
    found: Column = value == native("convert", Phrase(other, ", JSON"), type_=TEXT)
    return found


def _contains(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    document, candidate, *path = arguments
    expect(document, _JSON, "JSON_CONTAINS")
    if path:
        document = _extract(dialect, [document, *path])
    if kind_of(candidate) not in {Kind.TEXT, Kind.JSON, Kind.UNKNOWN, Kind.NULL}:
        message = "JSON_CONTAINS takes JSON in text as its second argument, as in '5' or '\"abc\"'"
        raise QueryError(message)
    call = embedded if dialect.is_sqlite else native
    return call("json_contains", document, candidate, type_=BOOLEAN)


def _has(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    document, path = _document(arguments, "JSON_CONTAINS_PATH")
    if dialect.is_sqlite:
        return embedded("json_has", document, path, type_=BOOLEAN)
    return native("json_contains_path", document, word("'one'"), path, type_=BOOLEAN)


def _length(dialect: Dialect, arguments: Sequence[Column]) -> Column:
    document, path = _document(arguments, "JSON_LENGTH")
    call = embedded if dialect.is_sqlite else native
    return call("json_length", document, path, type_=INTEGER)


OPERATORS: dict[str, Function] = {
    "json text": Function(_text, 1, 2),
    "json double": Function(_number("json_double"), 1, 2),
    "json number": Function(_number("json_number", counts_booleans=False), 1, 2),
    "json integer": Function(_number("json_integer", "SIGNED"), 1, 2),
    "json is null": Function(_is_null, 2, 2),
    "json equals": Function(_equals, 3, 3),
    "json has": Function(_has, 2, 2),
}
FUNCTIONS: dict[str, Function] = {
    "json_contains": Function(_contains, 2, 3),
    "json_extract": Function(_extract, 2, 2),
    "json_length": Function(_length, 1, 2),
}
