"""Restrictions ↔ JSON, so that another process can ask for the same keys."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from djq.algebra.forms import AndList, Not, Top

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value

Plain: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None

#: Values that JSON has no form for: mark → type, and its way back from text.
_TEXTS: dict[str, tuple[type, Callable[[str], Value]]] = {
    "$datetime": (dt.datetime, dt.datetime.fromisoformat),
    "$date": (dt.date, dt.date.fromisoformat),
    "$time": (dt.time, dt.time.fromisoformat),
    "$decimal": (decimal.Decimal, decimal.Decimal),
    "$uuid": (uuid.UUID, uuid.UUID),
}
#: A mapping of the user's, whose names may be anything.
_MAPPING = "$mapping"


def to_json(restrictions: Sequence[Value]) -> list[Plain] | None:
    """Return restrictions as JSON holds them; None: one is a query, or has a value of its kind."""
    try:
        return [_plain(r) for r in restrictions]
    except TypeError:
        return None


def from_json(restrictions: Sequence[Plain]) -> list[Value]:
    """Return the restrictions of `to_json`."""
    return [_read(r) for r in restrictions]


def _plain(value: Value) -> Plain:
    if isinstance(value, AndList | Not | Top):
        return _marked(value)
    if isinstance(value, Mapping):
        return {_MAPPING: _named(value)}  # pyright: ignore[reportUnknownArgumentType] # the user's
    if isinstance(value, list | tuple):
        return [_plain(v) for v in cast("list[Value]", value)]
    if value is None or isinstance(value, str | bool | int | float):
        # As the base class: JSON knows neither enums nor the numbers of numpy.
        return next((kind(value) for kind in (str, bool, int) if isinstance(value, kind)), value)
    return _text(value)


def _marked(form: AndList | Not | Top) -> Plain:
    match form:
        case AndList():
            return {"$and": [_plain(v) for v in form]}
        case Not():
            return {"$not": _plain(form.condition)}
        case Top():
            return {"$top": [form.limit, _plain(form.order_by), form.offset]}


def _text(value: Value) -> Plain:
    """Return a value that JSON has no form for with its mark."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return _plain(value.item())
    for mark, (kind, _) in _TEXTS.items():
        if isinstance(value, kind):
            return {mark: value.isoformat() if hasattr(value, "isoformat") else str(value)}
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)


def _named(mapping: Mapping[Any, Value]) -> Plain:
    return {_name(name): _plain(value) for name, value in mapping.items()}


def _name(name: Value) -> str:
    if isinstance(name, str):
        return name
    message = f"{name!r} is not the name of an attribute"
    raise TypeError(message)


def _read(value: Plain) -> Value:
    if isinstance(value, list):
        return [_read(v) for v in value]
    if not isinstance(value, dict):
        return value
    ((mark, content),) = value.items()
    return _FORMS[mark](content) if mark in _FORMS else _TEXTS[mark][1](content)


#: Mark → what makes the form of its content.
_FORMS: dict[str, Callable[[Any], Value]] = {
    "$and": lambda content: AndList(_read(v) for v in content),
    "$not": lambda content: Not(_read(content)),
    "$top": lambda content: Top(*content),
    _MAPPING: lambda content: {name: _read(v) for name, v in content.items()},
}
