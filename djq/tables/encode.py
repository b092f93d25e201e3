"""The user's rows → database rows: names, types, defaults and objects checked one by one."""

from __future__ import annotations

import decimal
import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from djq.codecs.registry import get
from djq.definition.acceptance import Value
from djq.definition.attributes import Attribute, CodecType, CoreType
from djq.errors import CodecError, RowError

if TYPE_CHECKING:
    import datetime as dt

    from djq.definition.spec import TableSpec
    from djq.tables.connection import Connection

#: Types of numpy and pandas, by name, that have a value for "missing".
MAY_MISS = frozenset({"float16", "float32", "longdouble", "datetime64", "NaTType"})

Encode = Callable[[Value], Value]


@dataclass(frozen=True)
class RowEncoder:
    """Turns rows of one table into what its INSERT takes; built once per table and connection."""

    spec: TableSpec
    encoders: tuple[tuple[str, Encode], ...]

    @classmethod
    def of(cls, spec: TableSpec, connection: Connection) -> RowEncoder:
        """Return the encoder of a table."""
        return cls(spec, tuple((a.name, _encode_of(a, connection)) for a in spec.heading))

    def encode(
        self, row: Value, number: int, now: dt.datetime, *, ignore_extra_fields: bool = False
    ) -> dict[str, Value]:
        """Return one row, complete and checked; `number` counts from 1, for messages.

        Raises
        ------
        RowError
            A name is unknown, a value is missing or does not fit; nothing was sent.
        """
        given = self._as_mapping(row, number)
        if not ignore_extra_fields and not given.keys() <= self.spec.heading.by_name.keys():
            self._refuse_unknown(given, number)
        encoded: dict[str, Value] = {}
        for name, encode in self.encoders:
            try:
                value = given[name] if name in given else self._default(name, now)
                encoded[name] = encode(value)
            except (ValueError, CodecError) as error:
                message = f"{self._where(name, number)}: {error}"
                raise RowError(message) from error
        return encoded

    def _as_mapping(self, row: Value, number: int) -> Mapping[str, Value]:
        if isinstance(row, Mapping):
            return row  # pyright: ignore[reportUnknownVariableType] # the user's own mapping
        names: tuple[str, ...] | None = getattr(getattr(row, "dtype", None), "names", None)
        if names is not None:
            return {n: row[n] for n in names}
        if isinstance(row, Sequence) and not isinstance(row, str | bytes):
            return self._from_sequence(row, number)  # pyright: ignore[reportUnknownArgumentType]
        message = (
            f"{self.spec.display_name}, row {number}: cannot insert {row!r}; "
            "a row is a mapping of names to values, or a sequence in the order of the heading"
        )
        raise RowError(message)

    def _from_sequence(self, row: Sequence[Any], number: int) -> dict[str, Value]:
        names = self.spec.heading.names
        if len(row) != len(names):
            message = (
                f"{self.spec.display_name}, row {number}: {len(row)} values for "
                f"{len(names)} attributes ({', '.join(names)})"
            )
            raise RowError(message)
        return dict(zip(names, row, strict=True))

    def _default(self, name: str, now: dt.datetime) -> Value:
        attribute = self.spec.heading[name]
        if not attribute.has_default:
            message = "no value was given, and it has no default"
            raise ValueError(message)
        return attribute.default_value(now)

    def _refuse_unknown(self, given: Mapping[str, Value], number: int) -> None:
        known = self.spec.heading.names
        name = next(n for n in given if n not in self.spec.heading)
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        message = (
            f'{self.spec.display_name}, row {number}: unknown attribute "{name}". {hint}'
            f"Known: {', '.join(known)}. ignore_extra_fields=True leaves such values out"
        )
        raise RowError(message)

    def _where(self, name: str, number: int) -> str:
        return f'{self.spec.display_name}, row {number}, attribute "{name}"'


def _encode_of(attribute: Attribute, connection: Connection) -> Encode:
    type_ = attribute.type
    is_absent: Callable[[Value], bool]
    if isinstance(type_, CoreType):
        convert, is_absent = connection.database.dialect.accept(type_), _is_missing
    elif isinstance(type_, CodecType):
        convert, is_absent = _object_encode(type_, connection), _is_none
    else:
        message = f'"{attribute.name}" is computed, and cannot be stored'
        raise AssertionError(message)
    if attribute.nullable:
        return lambda value: None if is_absent(value) else convert(value)

    def encode(value: Value) -> Value:
        if is_absent(value):
            message = (
                "it is null, and the attribute is not nullable"
                if value is None
                else "it is NaN, which no column holds; make the attribute nullable, or use <blob>"
            )
            raise ValueError(message)
        return convert(value)

    return encode


def _is_none(value: Value) -> bool:
    return value is None


def _is_missing(value: Value) -> bool:
    """Tell whether a value is null: None, or a number or date that is missing (NaN, NaT)."""
    if value is None:
        return True
    may_miss = isinstance(value, float | decimal.Decimal) or type(value).__name__ in MAY_MISS
    return may_miss and bool(value != value)  # noqa: PLR0124 - only NaN differs from itself


def _object_encode(type_: CodecType, connection: Connection) -> Encode:
    codec = get(type_.codec)
    if type_.store is None:
        return codec.encode
    name = type_.store

    def put(value: Value) -> Value:
        return connection.store(name).put(codec.encode(value)).to_json()

    return put
