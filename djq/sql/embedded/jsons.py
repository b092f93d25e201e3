"""Values within JSON, for SQLite, by the rules that MySQL and MariaDB share."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, TypeGuard

from djq.sql.embedded.numbers import fitting

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

_LEG = re.compile(r'\."(?P<key>(?:[^"\\]|\\.)*)"|\[(?P<index>\d+)\]')


class _Missing:
    """Nothing is there; a null of JSON is something."""


MISSING = _Missing()


def is_array(value: Value) -> TypeGuard[list[Value]]:
    """Tell whether a value is an array of JSON."""
    return isinstance(value, list)


def is_object(value: Value) -> TypeGuard[dict[str, Value]]:
    """Tell whether a value is an object of JSON."""
    return isinstance(value, dict)


@lru_cache(maxsize=1024)
def _legs(path: str) -> tuple[str | int, ...]:
    return tuple(
        json.loads(f'"{m["key"]}"') if m["key"] is not None else int(m["index"])
        for m in _LEG.finditer(path)
    )


@lru_cache(maxsize=256)
def _parsed(document: Value) -> Value:
    # SQLite keeps the number 5 as a number, also where it is a JSON document.
    return json.loads(document) if isinstance(document, str) else document


def found(document: Value, path: str = "$") -> Value:
    """Return the value at a path; `MISSING` where there is none."""
    value: Value = _parsed(document) if isinstance(document, str) else document
    for leg in _legs(path):
        if isinstance(leg, str):
            value = value.get(leg, MISSING) if is_object(value) else MISSING
        elif is_array(value):
            value = value[leg] if leg < len(value) else MISSING
        elif leg != 0:  # a value that is no array is its own first element
            value = MISSING
        if value is MISSING:
            break
    return value


def dumped(value: Value) -> str:
    """Return JSON as text."""
    return json.dumps(value, ensure_ascii=False)


def extract(document: str, path: str) -> str | None:
    """Return the JSON at a path."""
    value = found(document, path)
    return None if value is MISSING else dumped(value)


def text(document: str, path: str = "$") -> str | None:
    """Return text, numbers and booleans as text; null for anything else."""
    value = found(document, path)
    if value is MISSING or value is None or (is_object(value) or is_array(value)):
        return None
    return value if isinstance(value, str) else dumped(value)


def double(document: str, path: str = "$") -> float | None:
    """Return a number, or a boolean as 1 or 0."""
    value = found(document, path)
    return float(value) if isinstance(value, int | float) else None


def number(document: str, path: str = "$") -> float | None:
    """Return a number; null for anything else, booleans included."""
    value = found(document, path)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def integer(document: str, path: str = "$") -> int | None:
    """Return a number rounded to a whole one, or a boolean as 1 or 0."""
    value = found(document, path)
    return fitting(round(value)) if isinstance(value, int | float) else None


def is_null(document: str | None, path: str) -> int:
    """Tell whether nothing, or a null, is there."""
    if document is None:
        return 1
    value = found(document, path)
    return int(value is MISSING or value is None)


def has(document: str, path: str) -> int:
    """Tell whether anything is there, be it a null."""
    return int(found(document, path) is not MISSING)


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are the same JSON: true is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_array(left) and is_array(right):
        return len(left) == len(right) and all(map(same, left, right))
    if is_object(left) and is_object(right):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    return bool(left == right)


def equals(document: str, path: str, other: str) -> int | None:
    """Tell whether the JSON at a path is this; null where there is none."""
    value = found(document, path)
    return None if value is MISSING else int(same(value, _parsed(other)))


def contains(document: str, candidate: str) -> int:
    """Tell whether JSON_CONTAINS holds."""
    return int(_contains(_parsed(document), _parsed(candidate)))


def _contains(target: Value, candidate: Value) -> bool:
    if is_array(target):
        wanted: list[Value] = candidate if is_array(candidate) else [candidate]
        return all(any(_contains(t, c) for t in target) for c in wanted)
    if is_object(target) and is_object(candidate):
        return all(k in target and _contains(target[k], v) for k, v in candidate.items())
    return same(target, candidate)


def length(document: str, path: str = "$") -> int | None:
    """Return how many elements or members there are; 1 for anything else."""
    value = found(document, path)
    if value is MISSING:
        return None
    return len(value) if (is_object(value) or is_array(value)) else 1


FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    "json_extract": (2, extract),
    "json_text": (-1, text),
    "json_double": (-1, double),
    "json_number": (-1, number),
    "json_integer": (-1, integer),
    "json_has": (2, has),
    "json_equals": (3, equals),
    "json_contains": (2, contains),
    "json_length": (-1, length),
}
NULLABLE: dict[str, tuple[int, Callable[..., Value]]] = {"json_is_null": (2, is_null)}
