"""The user's rows → the database's values: names, types and defaults checked, objects stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from djq.definition.acceptance import Value
from djq.definition.attributes import Attribute, CodecType
from djq.errors import DjqError, RowError, StorageError
from djq.tables.accepting import WRONG, Encode, encode_of, utc_now
from djq.tables.coding import Coding
from djq.tables.columns import Check, check_of
from djq.tables.gather import MISSING, SKIPPED, Chunk, Fault, as_mapping
from djq.tables.moving import moved, size_of

if TYPE_CHECKING:
    import datetime as dt

    from djq.definition.spec import TableSpec
    from djq.tables.connection import Connection


@dataclass(frozen=True, slots=True)
class Part:
    """One attribute of the encoder."""

    attribute: Attribute
    encode: Encode
    check: Check | None
    #: Its codecs, for what `encode` lets through.
    coding: Coding | None = None

    @property
    def is_put(self) -> bool:
        """Whether objects are stored, which waits until all else is known to be right."""
        return self.coding is not None and self.coding.has_store

    @property
    def store(self) -> str:
        """The name of the store of its objects, empty if there are none."""
        return (self.coding.context.store_name if self.coding is not None else None) or ""


@dataclass(frozen=True)
class RowEncoder:
    """Turns rows of one table into what its INSERT takes; built once per table and connection."""

    spec: TableSpec
    parts: tuple[Part, ...]
    connection: Connection
    #: Whether objects are stored; otherwise values are only checked.
    puts: bool = True

    @classmethod
    def of(cls, spec: TableSpec, connection: Connection, *, puts: bool = True) -> RowEncoder:
        """Return the encoder of a table; without `puts` it stores no objects, and only checks."""
        parts = [_part(attribute, spec, connection) for attribute in spec.heading]
        return cls(spec, tuple(sorted(parts, key=lambda part: part.is_put)), connection, puts)

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
        StorageError
            An object could not be stored; nothing was sent.
        """
        given = as_mapping(row, number, self.spec, ignore_extra_fields=ignore_extra_fields)
        encoded: dict[str, Value] = {}
        for part in self.parts:
            name = part.attribute.name
            try:
                value = given[name] if name in given else _default(part.attribute, now or utc_now())
                encoded[name] = self._encoded(part, value, encoded)
            except (*WRONG, StorageError) as error:
                raise self._at(number, part, error) from error
            except Exception as error:
                error.add_note(self._place(number, part))
                raise
        return encoded

    def encode_some(self, given: dict[str, Value], number: int) -> dict[str, Value]:
        """Return some attributes of one row, checked, as `encode` does."""
        encoded: dict[str, Value] = {}
        for part in self.parts:
            name = part.attribute.name
            if name in given:
                try:
                    encoded[name] = self._encoded(part, given[name], encoded)
                except (*WRONG, StorageError) as error:
                    raise self._at(number, part, error) from error
                except Exception as error:
                    error.add_note(self._place(number, part))
                    raise
        return encoded

    def encode_chunk(self, chunk: Chunk, now: dt.datetime) -> dict[str, Sequence[Value]]:
        """Return many rows as columns, complete and checked.

        Raises
        ------
        RowError, StorageError
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
        done = _Done(chunk.first, now, list(chunk.faults), is_thorough=is_thorough)
        for part in self.parts:
            name = part.attribute.name
            if part.is_put and done.faults and not is_thorough:
                continue
            given = chunk.columns.get(name)
            if given is None:
                given = [MISSING] * chunk.n
                if part.attribute.has_default:
                    value = part.encode(_default(part.attribute, now))
                    done.columns[name] = [value] * chunk.n
                    continue
            found = part.check(given) if part.check is not None else None
            done.columns[name] = self._each(part, given, done) if found is None else found
        return done.columns, done.faults

    def _each(self, part: Part, column: Sequence[Any], done: _Done) -> Sequence[Value]:
        """Encode value by value, and note what is wrong; objects go when all of them are right."""
        found: list[Value] = []
        n_faults = len(done.faults)
        for i, given in enumerate(column):
            if given is SKIPPED:
                continue
            try:
                value = _default(part.attribute, done.now) if given is MISSING else given
                found.append(self._step(part, part.encode(value), self._key(part, done, i)))
            except WRONG as error:
                done.faults.append(self._fault(done.first + i, part, error))
                if not done.is_thorough:
                    break
            except Exception as error:
                error.add_note(self._place(done.first + i, part))
                raise
        if part.is_put and self.puts and len(done.faults) == n_faults:
            return self._put(part, found, done)
        return found

    def _step(self, part: Part, value: Value, key: Mapping[str, Value]) -> Value:
        """Take a value through its codecs, as far as no object is written."""
        if part.coding is None or value is None:
            return value
        coding = part.coding.at(key)
        if not self.puts:
            return coding.check(value)
        return coding.prepare(value) if coding.has_store else coding.encode(value)

    def _put(self, part: Part, column: Sequence[Value], done: _Done) -> Sequence[Value]:
        """Store what `_step` left, many at a time; what cannot be encoded is noted."""

        def put(i: int) -> Value:
            if part.coding is None or column[i] is None:
                return None
            try:
                return part.coding.at(self._key(part, done, i)).keep(column[i])
            except WRONG as error:
                return self._fault(done.first + i, part, error)
            except StorageError as error:
                raise self._at(done.first + i, part, error) from error

        transfers = self.connection.transfers(part.store)
        found = list(moved(put, range(len(column)), lambda i: size_of(column[i]), transfers))
        done.faults += [value for value in found if isinstance(value, Fault)]
        return found

    def _key(self, part: Part, done: _Done, i: int) -> Mapping[str, Value]:
        """Return the key of a row, for codecs that ask for it; empty if rows before are wrong."""
        if part.coding is None or not part.coding.needs_key or done.faults:
            return {}
        return {n: done.columns[n][i] for n in self.spec.heading.primary_key if n in done.columns}

    def _encoded(self, part: Part, value: Value, row: Mapping[str, Value]) -> Value:
        """Return one value of a row of which those before are encoded."""
        value = part.encode(value)
        if part.coding is None or value is None:
            return value
        key = {n: row[n] for n in self.spec.heading.primary_key if n in row}
        return part.coding.at(key).encode(value)

    def _at(self, number: int, part: Part, error: Exception) -> DjqError:
        """Return the error with its place: a store's keeps its kind, since some pass by."""
        kind = type(error) if isinstance(error, StorageError) else RowError
        return kind(self._words(number, part, error))

    def _fault(self, number: int, part: Part, error: Exception) -> Fault:
        return Fault(number, part.attribute.name, self._words(number, part, error), error)

    def _words(self, number: int, part: Part, error: Exception) -> str:
        return f"{self._place(number, part)}: {error}"

    def _place(self, number: int, part: Part) -> str:
        return f'{self.spec.display_name}, row {number}, attribute "{part.attribute.name}"'


@dataclass(slots=True)
class _Done:
    """What of a chunk is encoded, and what is wrong with it."""

    #: Number of the first row.
    first: int
    now: dt.datetime
    faults: list[Fault]
    is_thorough: bool
    columns: dict[str, Sequence[Value]] = field(default_factory=dict[str, Sequence[Value]])


def _part(attribute: Attribute, spec: TableSpec, connection: Connection) -> Part:
    coding = None
    if isinstance(attribute.type, CodecType):
        place = (spec.name.schema, spec.name.table, attribute.name)
        coding = Coding.of(attribute.type, connection, place)
    return Part(attribute, encode_of(attribute, connection), check_of(attribute), coding)


def _default(attribute: Attribute, now: dt.datetime) -> Value:
    if attribute.is_auto:
        return None
    if not attribute.has_default:
        message = "no value was given, and it has no default"
        raise ValueError(message)
    return attribute.default_value(now)
