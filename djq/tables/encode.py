"""The user's values → the database's: names, types, defaults and objects checked."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from djq.codecs import blob, mym
from djq.codecs.compression import MAGIC
from djq.codecs.registry import get
from djq.definition.acceptance import Value
from djq.definition.attributes import Attribute, CodecType, CoreType, NativeType
from djq.errors import CodecError, RowError
from djq.tables.columns import Check, check_of
from djq.tables.gather import MISSING, SKIPPED, Chunk, Fault, as_mapping

if TYPE_CHECKING:
    from djq.definition.spec import TableSpec
    from djq.tables.connection import Connection

#: Types of numpy and pandas, by name, that have a value for "missing".
MAY_MISS = frozenset({"float16", "float32", "longdouble", "datetime64", "NaTType"})
#: How encoded blobs begin: djq's own, and DataJoint's.
ENCODED = (MAGIC, *mym.MAGICS)
#: What the acceptance of a user's value may raise.
WRONG = (ValueError, CodecError, TypeError, OverflowError)

Encode = Callable[[Value], Value]


def utc_now() -> dt.datetime:
    """Return the time as databases keep it: naive UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Part:
    """One attribute of the encoder."""

    attribute: Attribute
    encode: Encode
    check: Check | None
    #: Whether encoding writes an object, which waits until all else is known to be right.
    is_put: bool = False


@dataclass(frozen=True)
class RowEncoder:
    """Turns rows of one table into what its INSERT takes; built once per table and connection."""

    spec: TableSpec
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, spec: TableSpec, connection: Connection, *, puts: bool = True) -> RowEncoder:
        """Return the encoder of a table; without `puts` it stores no objects, and only checks."""
        parts = [
            Part(
                attribute,
                _encode_of(attribute, connection, puts=puts),
                check_of(attribute),
                is_put=isinstance(attribute.type, CodecType) and attribute.type.store is not None,
            )
            for attribute in spec.heading
        ]
        return cls(spec, tuple(sorted(parts, key=lambda part: part.is_put)))

    def encode(
        self,
        row: Value,
        number: int,
        now: dt.datetime | None = None,
        *,
        ignore_extra_fields: bool = False,
    ) -> dict[str, Value]:
        """Return one row, complete and checked; `number` counts from 1, for messages.

        Its time is `now`, naive UTC; None: when it is needed.

        Raises
        ------
        RowError
            A name is unknown, a value is missing or does not fit; nothing was sent.
        """
        given = as_mapping(row, number, self.spec, ignore_extra_fields=ignore_extra_fields)
        encoded: dict[str, Value] = {}
        for part in self.parts:
            name = part.attribute.name
            try:
                value = given[name] if name in given else _default(part.attribute, now or utc_now())
                encoded[name] = part.encode(value)
            except WRONG as error:
                raise RowError(self._words(number, name, error)) from error
        return encoded

    def encode_some(self, given: dict[str, Value], number: int) -> dict[str, Value]:
        """Return some attributes of one row, checked."""
        encoded: dict[str, Value] = {}
        for part in self.parts:
            name = part.attribute.name
            if name in given:
                try:
                    encoded[name] = part.encode(given[name])
                except WRONG as error:
                    raise RowError(self._words(number, name, error)) from error
        return encoded

    def encode_chunk(self, chunk: Chunk, now: dt.datetime) -> dict[str, Sequence[Value]]:
        """Return many rows as columns, complete and checked.

        Raises
        ------
        RowError
            As for `encode`: about the first row that is wrong.
        """
        columns, faults = self.examine(chunk, now, is_thorough=False)
        if faults:
            order = [p.attribute.name for p in self.parts]
            places: dict[str | None, int] = {name: i for i, name in enumerate(order)}
            places[None] = -1
            first = min(faults, key=lambda fault: (fault.row, places[fault.attribute]))
            raise RowError(first.message) from first.cause
        return columns

    def examine(
        self, chunk: Chunk, now: dt.datetime, *, is_thorough: bool = True
    ) -> tuple[dict[str, Sequence[Value]], list[Fault]]:
        """Return rows as columns, and all that is wrong; or the first of each column only."""
        faults = list(chunk.faults)
        columns: dict[str, Sequence[Value]] = {}
        for part in self.parts:
            name = part.attribute.name
            if part.is_put and faults and not is_thorough:
                continue
            given = chunk.columns.get(name)
            if given is None:
                given = [MISSING] * chunk.n
                if part.attribute.has_default:
                    value = part.encode(_default(part.attribute, now))
                    columns[name] = [value] * chunk.n
                    continue
            found = part.check(given) if part.check is not None else None
            if found is None:
                found = self._each(part, given, chunk.first, now, faults, is_thorough=is_thorough)
            columns[name] = found
        return columns, faults

    def _each(
        self,
        part: Part,
        column: Sequence[Any],
        first: int,
        now: dt.datetime,
        faults: list[Fault],
        *,
        is_thorough: bool,
    ) -> Sequence[Value]:
        """Encode value by value, and note what is wrong."""
        encode, name, found = part.encode, part.attribute.name, list[Value]()
        for number, given in enumerate(column, first):
            if given is SKIPPED:
                continue
            try:
                value = _default(part.attribute, now) if given is MISSING else given
                found.append(encode(value))
            except WRONG as error:
                faults.append(Fault(number, name, self._words(number, name, error), error))
                if not is_thorough:
                    break
        return found

    def _words(self, number: int, name: str, error: Exception) -> str:
        return f'{self.spec.display_name}, row {number}, attribute "{name}": {error}'


def _default(attribute: Attribute, now: dt.datetime) -> Value:
    if attribute.is_auto:
        return None
    if not attribute.has_default:
        message = "no value was given, and it has no default"
        raise ValueError(message)
    return attribute.default_value(now)


def _encode_of(attribute: Attribute, connection: Connection, *, puts: bool) -> Encode:
    type_ = attribute.type
    is_absent: Callable[[Value], bool]
    if isinstance(type_, CoreType):
        convert, is_absent = connection.database.dialect.accept(type_), _is_missing
        convert = _plain_time(convert) if type_.name == "datetime" else convert
    elif isinstance(type_, NativeType):
        if type_.is_blob:
            convert, is_absent = _any_encode(type_), _is_none
        else:
            convert, is_absent = _plain_time(connection.database.dialect.accept(type_)), _is_missing
    elif isinstance(type_, CodecType):
        convert, is_absent = _object_encode(type_, connection, puts=puts), _is_none
    else:
        message = f'"{attribute.name}" is computed, and cannot be stored'
        raise AssertionError(message)  # noqa: TRY004 - nobody inserts into an expression
    if attribute.nullable or attribute.is_auto:
        return lambda value: None if is_absent(value) else convert(value)

    def encode(value: Value) -> Value:
        if is_absent(value):
            if attribute.has_default:
                return convert(attribute.default_value(utc_now()))
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
    kind = type(value).__name__
    if kind == "NAType":  # of pandas: it does not compare
        return True
    may_miss = isinstance(value, float | decimal.Decimal) or kind in MAY_MISS
    return may_miss and bool(value != value)  # noqa: PLR0124 - only NaN differs from itself


def _plain_time(convert: Encode) -> Encode:
    """Return what also makes a plain datetime of one of pandas, which drivers do not know."""

    def convert_plainly(value: Value) -> Value:
        found = convert(value)
        if isinstance(found, dt.datetime) and type(found) is not dt.datetime:
            day = (found.year, found.month, found.day)
            time = (found.hour, found.minute, found.second, found.microsecond)
            return dt.datetime(*day, *time)  # noqa: DTZ001 - naive UTC
        return found

    return convert_plainly


def _any_encode(type_: NativeType) -> Encode:
    """Return the encoding of the `longblob` family: bytes as they are, other values as a blob."""

    def encode(value: Value) -> Value:
        if isinstance(value, bytes | bytearray | memoryview):
            data = bytes(value)  # pyright: ignore[reportUnknownArgumentType] # any buffer
            # Encoded, they come back as these bytes, and not as what they would decode to.
            return type_.accept(blob.encode(data) if data.startswith(ENCODED) else data)
        return type_.accept(blob.encode(value))

    return encode


def _object_encode(type_: CodecType, connection: Connection, *, puts: bool) -> Encode:
    codec = get(type_.codec)
    if type_.store is None or not puts:
        return codec.encode
    name = type_.store or connection.settings.default_store

    def put(value: Value) -> Value:
        return connection.store(name).put(codec.encode(value)).to_json()

    return put
