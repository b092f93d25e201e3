"""The text of a default ↔ its value."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

from djq.definition.attributes import Attribute, CodecType, NativeType, Special, can_be_key
from djq.definition.native import time_text

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.attributes import AttributeType
    from djq.definition.grammar import AttributeLine

_NOW = re.compile(r"current_timestamp\s*(\(\s*\d?\s*\))?\Z", re.IGNORECASE)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
#: A default that needs no quotes: no blanks at its ends, no colon, comment or quote.
_BARE = re.compile(r"[-+]?[0-9][0-9.eE+-]*\Z")


def read_default(line: AttributeLine) -> tuple[Value, bool]:
    """Return a line's default, and whether the attribute may be null.

    Raises
    ------
    DefinitionError
        The default is no value of the type, or the type has none.
    """
    if line.default is None:
        return Special.REQUIRED, False
    text = line.default.strip()
    if line.is_auto:
        line.at.fail(
            "an attribute that counts up has no default", text, "Remove it, or auto_increment."
        )
    if text.lower() == "null":
        return None, True
    if isinstance(line.type, CodecType) or not _has_default(line.type):
        _refuse(line, text)
    if _NOW.match(text):
        if line.type.name not in {"datetime", "timestamp"}:
            line.at.fail("CURRENT_TIMESTAMP is a default of datetime and timestamp", text)
        return Special.NOW, False
    value: Value = unquote(text)
    if line.type.name == "bool":
        value = _TRUTH.get(value.lower(), value)
    try:
        return line.type.accept(value), False
    except ValueError as error:
        line.at.fail(f"bad default: {error}", text)


def _has_default(type_: AttributeType) -> bool:
    if isinstance(type_, NativeType) and type_.name in {"binary", "varbinary"}:
        return False
    return can_be_key(type_)


def _refuse(line: AttributeLine, text: str) -> NoReturn:
    line.at.fail(
        f"{line.type} can only be null by default",
        text,
        f"Write {line.name} = null : {line.type}.",
    )


def unquote(text: str) -> str:
    """Return what a default says: without its quotes, doubled quotes within them as one."""
    quote = text[:1]
    if quote and quote in "\"'" and len(text) > 1 and text.endswith(quote):
        return text[1:-1].replace(quote * 2, quote)
    return text


def default_text(attribute: Attribute) -> str | None:
    """Return an attribute's default as a definition has it; None where there is none."""
    default = attribute.default
    if default is Special.REQUIRED:
        return "null" if attribute.nullable else None
    if default is None:
        return "null"
    if default is Special.NOW:
        digits = ",".join(str(a) for a in getattr(attribute.type, "arguments", ()))
        return f"CURRENT_TIMESTAMP({digits})" if digits else "CURRENT_TIMESTAMP"
    text = plain_text(default)
    return text if _BARE.match(text) and not isinstance(default, str) else _quoted(text)


def plain_text(value: Value) -> str:
    """Return a default as text that its type reads back."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.timedelta):
        return time_text(value // dt.timedelta(microseconds=1))
    return str(value)


def _quoted(text: str) -> str:
    if '"' in text and "'" not in text:
        return f"'{text}'"
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
