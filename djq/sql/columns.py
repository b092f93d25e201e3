"""`Attribute` → column: its type, default and comment."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from djq.definition.attributes import NativeType, Special
from djq.definition.defaults import plain_text
from djq.definition.native import time_us
from djq.sql.astral import escape, has_astral
from djq.sql.columntypes import sqlite_datetime

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute
    from djq.sql.dialects import Dialect


def column(attribute: Attribute, dialect: Dialect) -> sa.Column[Any]:
    """Return the column of an attribute."""
    comment = None if dialect.is_sqlite else escape(mark(attribute, dialect))
    return sa.Column(
        attribute.name,
        dialect.column_type(attribute),
        primary_key=attribute.in_key,
        autoincrement=attribute.is_auto,
        nullable=attribute.nullable,
        server_default=server_default(attribute, dialect),
        comment=comment or None,
    )


def mark(attribute: Attribute, dialect: Dialect) -> str:
    """Return an attribute's comment behind the mark of its type: `:int32:text`.

    DataJoint reads the same marks. Native types have none there: the server's words are the type.
    """
    if isinstance(attribute.type, NativeType) and not dialect.is_sqlite:
        return attribute.comment
    return f":{attribute.type}:{attribute.comment}"


def server_default(attribute: Attribute, dialect: Dialect) -> sa.TextClause | str | None:
    """Return the default for other clients of the database; djq itself fills defaults in."""
    default, type_ = attribute.default, attribute.type
    if default is Special.REQUIRED or default is None or type_ is None:
        return None
    if default is Special.NOW:
        arguments = getattr(type_, "arguments", ())
        digits = f"({arguments[0]})" if arguments and not dialect.is_sqlite else ""
        return sa.text(f"CURRENT_TIMESTAMP{digits}")
    if not dialect.is_sqlite and getattr(type_, "name", "") in {"float", "float32"}:
        # As a plain value the server would show six digits; MariaDB takes a number in parentheses
        # for one.
        return sa.text(f"({default!r} + 0e0)")
    return _sqlite_default(default) if dialect.is_sqlite else _mysql_default(default)


def _mysql_default(default: Value) -> sa.TextClause | str:
    """Return a default in a form that the catalog gives back whole: it shows no bytes.

    Numbers are quoted, as other clients do: MySQL rewrites the expression `-1`.
    """
    text = plain_text(default)
    if isinstance(default, uuid.UUID):
        return sa.text(f"(unhex('{default.hex}'))")
    if has_astral(text):
        return sa.text(f"(convert(0x{text.encode().hex()} using utf8mb4))")
    return text


def _sqlite_default(default: Value) -> sa.TextClause | str:
    match default:
        case uuid.UUID():
            return sa.text(f"x'{default.hex}'")
        case dt.datetime():
            return sqlite_datetime(default)
        case dt.timedelta():
            return sa.text(str(time_us(default)))
        case int() | float() | decimal.Decimal():
            return sa.text(plain_text(default))
        case _:
            return plain_text(default)
