"""Values that are written in text, as what they are compared with asks."""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from djq.algebra.expressions import Literal
from djq.definition.attributes import CoreType
from djq.definition.native import time_us
from djq.errors import QueryError
from djq.sql.kinds import MOMENTS, NUMBERS, Kind

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.attributes import Attribute

_ANY_TIME = CoreType("datetime", (6,))
_DATE = re.compile(r"\s*\d{4}-\d{1,2}-\d{1,2}\s*\Z")
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?\s*\Z")
#: Types whose values are written in conditions as text.
_WRITTEN_AS_TEXT = frozenset({"date", "datetime", "uuid"})
#: Digits that a decimal of MySQL has at most.
_MAX_DIGITS = 65
#: Whole numbers with fewer digits fit 63 bits.
_SURE_DIGITS = 19


def number(text: str) -> Literal:
    """Return a number: whole, a decimal, or a float where it has an exponent."""
    if text.isdigit() and len(text) < _SURE_DIGITS:
        return Literal(int(text))
    exact = Decimal(text)
    if "e" not in text.lower() and len(exact.as_tuple().digits) <= _MAX_DIGITS:
        is_whole = text.isdigit() and exact < 2**63
        return Literal(int(exact) if is_whole else exact)
    found = float(text)
    if not math.isfinite(found):
        message = f"{text[:40]} is larger than any number of a database"
        raise QueryError(message)
    return Literal(found)


def negated(value: float | Decimal) -> Literal:
    """Return a number with the other sign: whole wherever 64 bits hold it."""
    if isinstance(value, float):
        return Literal(-value)
    exact = -Decimal(value)
    is_whole = exact.as_tuple().exponent == 0 and -(2**63) <= exact < 2**63
    return Literal(int(exact) if is_whole else exact)


def for_attribute(attribute: Attribute, literal: Literal) -> Literal:
    """Return a literal as a value of the attribute that it is compared with.

    Raises
    ------
    QueryError
        It is none.
    """
    type_ = attribute.type
    if not isinstance(type_, CoreType):
        return literal
    if type_.name == "decimal" and isinstance(literal.value, float):
        with suppress(InvalidOperation, ValueError):
            return Literal(Decimal(repr(literal.value)))
    if type_.name not in _WRITTEN_AS_TEXT or not isinstance(literal.value, str):
        return literal
    exact = _ANY_TIME if type_.name == "datetime" else type_
    try:
        return Literal(exact.accept(literal.value))
    except ValueError as error:
        if type_.name == "date":
            with suppress(ValueError):
                return Literal(_ANY_TIME.accept(literal.value))
        message = f'cannot compare "{attribute.name}" : {type_} with {literal.value!r}: {error}'
        raise QueryError(message) from error


def of_kind(kind: Kind, literal: Literal) -> Literal:
    """Return a literal as a value of a kind.

    Raises
    ------
    QueryError
        It is none.
    """
    value = literal.value
    found = value
    if isinstance(value, Decimal):
        found = float(value) if kind is Kind.FLOAT else value
    elif isinstance(value, bytes):
        found = _from_bytes(kind, value)
    elif isinstance(value, str):
        found = _from_text(kind, value)
    return literal if found is value else Literal(found)


def _from_bytes(kind: Kind, value: bytes) -> Value:
    if kind in NUMBERS:
        return int.from_bytes(value, "big")
    return value.decode(errors="replace") if kind is Kind.TEXT else value


def _from_text(kind: Kind, text: str) -> Value:
    found: Value = text
    if kind is Kind.BYTES:
        found = text.encode()
    elif kind in NUMBERS:
        found = _number(kind, text)
    elif kind in MOMENTS or kind is Kind.TIME:
        found = moment(text, {kind, *(MOMENTS if kind in MOMENTS else ())}).value
    elif kind is Kind.UUID:
        try:
            found = uuid.UUID(text)
        except ValueError as error:
            message = f"{text!r} is not a UUID"
            raise QueryError(message) from error
    return found


def _number(kind: Kind, text: str) -> Value:
    if not _NUMBER.match(text):
        message = f"{text!r} is not a number, and is compared with {kind.value}"
        raise QueryError(message)
    exact = Decimal(text.strip())
    if kind is Kind.FLOAT:
        return float(exact)
    is_whole = abs(exact) < 2**63 and exact == exact.to_integral_value()
    return int(exact) if is_whole else exact


def moment(text: str, kinds: set[Kind]) -> Literal:
    """Return text as a date, a datetime or a time, whichever of `kinds` it is.

    Raises
    ------
    QueryError
        It is none of them.
    """
    reason = "write 2024-01-31, 2024-01-31 12:30:01.5 or 12:30:01"
    try:
        if Kind.TIME in kinds and not re.match(r"\s*\d{4}-", text):
            return Literal(dt.timedelta(microseconds=time_us(text)))
        if kinds & MOMENTS:
            if _DATE.match(text):
                return Literal(CoreType("date").accept(text.strip()))
            return Literal(_ANY_TIME.accept(text))
    except ValueError as error:
        reason = str(error)
    wanted = " or ".join(sorted(k.value for k in kinds))
    message = f"{text!r} is not {wanted}: {reason}"
    raise QueryError(message)


#: The call that makes a value one of its kind, where nothing else says so.
CASTS: dict[type, str] = {
    dt.datetime: "cast datetime",
    dt.date: "cast date",
    dt.timedelta: "cast time",
}


def escaped_pattern(pattern: str, escape: str) -> str:
    r"""Return a pattern of LIKE with backslashes as escapes, and none at its end.

    Raises
    ------
    QueryError
        The escape is not one character.
    """
    if len(escape) != 1:
        message = f"ESCAPE {escape!r}: an escape is one character"
        raise QueryError(message)
    found: list[str] = []
    i = 0
    while i < len(pattern):
        c = pattern[i]
        if c == escape and i + 1 < len(pattern):
            i += 1
            found.append("\\" + pattern[i])
        elif c in {escape, "\\"}:
            found.append("\\\\" if c == "\\" else "\\" + c)
        else:
            found.append(c)
        i += 1
    return "".join(found)
