"""Database rows → the user's values."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final, cast

from djq.codecs import blob
from djq.definition.acceptance import Value
from djq.definition.attributes import Attribute, CodecType, NativeType
from djq.errors import CodecError, ConfigError, StorageError
from djq.tables.accepting import ENCODED
from djq.tables.coding import Coding, stored_bytes
from djq.tables.moving import moved
from djq.tables.origins import column_of, place_of
from djq.tables.shapes import squeezed

if TYPE_CHECKING:
    from djq.algebra.nodes import Node
    from djq.definition.heading import Heading
    from djq.tables.connection import Connection
    from djq.tables.shapes import Column, Row

Decode = Callable[[Value], Value]
Cells = Sequence[Any]

#: What an object is taken to weigh whose reference does not say its size [bytes].
_USUAL_BYTES: Final = 1 << 20


def decode_rows(
    rows: Iterable[Cells], node: Node, connection: Connection, *, squeeze: bool = False
) -> list[Row]:
    """Return the rows of a query, in heading order, as dicts, with the errors of `decoded`."""
    names = node.heading.names
    # Not strict: a loop of 100,000 rows would notice.
    return [dict(zip(names, r)) for r in decoded(rows, node, connection, squeeze=squeeze)]  # noqa: B905


def decoded(
    rows: Iterable[Cells], node: Node, connection: Connection, *, squeeze: bool = False
) -> Iterable[Cells]:
    """Return a query's rows with the user's values; objects are read some rows ahead.

    Raises
    ------
    CodecError, ConfigError, StorageError
        A value cannot be had; the message names the attribute and the row.
    """
    if not _undecoded(node.heading):
        return rows
    return _RowDecoder(node, connection, squeeze=squeeze).read(rows)


def decode_columns(
    columns: Sequence[Column], node: Node, connection: Connection, *, squeeze: bool = False
) -> list[Column]:
    """Return a query's columns, in heading order, as the user's values; errors as of `decoded`."""
    if not any(a.is_encoded for a in node.heading):
        with suppress(Exception):  # it is raised again below, by which it is known where
            return _finished(columns, node, connection, squeeze=squeeze)
    rows = decoded(zip(*columns, strict=True), node, connection, squeeze=squeeze)
    return [list(column) for column in zip(*rows, strict=True)] or list(columns)


def _finished(
    columns: Sequence[Column], node: Node, connection: Connection, *, squeeze: bool
) -> list[Column]:
    """Return columns that no codec has encoded as the user's values, each in one loop."""
    found = list(columns)
    for i, attribute in _undecoded(node.heading):
        finish = _Field(i, attribute, node, connection, squeeze=squeeze).finish
        found[i] = [None if v is None else finish(v) for v in found[i]]
    return found


class _DecodingError(Exception):
    """A step of an attribute's codecs raised `error`; the thread that fetches says of which row."""

    def __init__(self, field: _Field, row: Cells, error: Exception) -> None:
        super().__init__(field, row, error)
        self.field = field
        self.row = row
        self.error = error


class _Field:
    """An attribute whose values are not yet the user's, and what makes them so."""

    def __init__(
        self,
        position: int,
        attribute: Attribute,
        node: Node,
        connection: Connection,
        *,
        squeeze: bool,
    ) -> None:
        self.position = position
        self.name = attribute.name
        self._squeeze = squeeze
        self._coding: Coding | None = None
        finish: Decode = _any_value if attribute.type is not None else _plain_number
        #: What any thread may do before, and reads an object; None: there is none.
        self.load: Decode | None = None
        self.store = ""
        #: What makes a handle that knows its row, before `finish`; None: nothing is to be done.
        self.handle: Callable[[Mapping[str, Value], Value], Value] | None = None
        if isinstance(attribute.type, CodecType):
            coding = Coding.of(attribute.type, connection, column_of(node, attribute.name))
            self.load, finish = coding.load, coding.finish
            self.store = coding.context.store_name or ""
            self.handle = coding.handle if coding.makes_handles else None
            is_mine = coding.makes_handles and not coding.chain.n_own
            self._coding = coding if coding.needs_key and not is_mine else None
        #: What the thread does that fetches, in the order of the rows.
        self.finish: Decode = self._last(finish)

    @property
    def is_keyed(self) -> bool:
        """Whether a codec asks for the row's key, so that `at` it has steps of its own."""
        return self._coding is not None

    def at(self, key: Mapping[str, Value]) -> tuple[Decode | None, Decode]:
        """Return `load` and `finish` for one row."""
        if self._coding is None:
            return self.load, self.finish
        coding = self._coding.at(key)
        return coding.load, self._last(coding.finish)

    def _last(self, finish: Decode) -> Decode:
        return (lambda value: squeezed(finish(value))) if self._squeeze else finish


class _RowDecoder:
    """Decodes the rows of one query."""

    def __init__(self, node: Node, connection: Connection, *, squeeze: bool) -> None:
        heading = node.heading
        self._node = node
        self._connection = connection
        self._fields = [
            _Field(i, a, node, connection, squeeze=squeeze) for i, a in _undecoded(heading)
        ]
        self._objects = [field for field in self._fields if field.load is not None]
        self._keys = [(n, i) for i, n in enumerate(heading.names) if n in heading.primary_key]

    def read(self, rows: Iterable[Cells]) -> Iterator[Cells]:
        """Yield rows with the user's values; several threads read objects of rows to come."""
        try:
            yield from self._read(rows)
        except _DecodingError as caught:
            failure = caught
        else:
            return
        try:
            raise self._told(failure)
        finally:
            del failure  # in a frame of its own traceback it would keep the rows

    def _read(self, rows: Iterable[Cells]) -> Iterator[Cells]:
        if not self._objects:
            return map(self._finish, rows)
        stores = {field.store for field in self._objects if field.store}
        transfers = self._connection.transfers(*stores)
        return starmap(self._finish, moved(self._load, rows, self._weigh, transfers))

    def _weigh(self, row: Cells) -> int:
        """Return how large the objects of a row are [bytes]."""
        return sum(_weight(row[field.position]) for field in self._objects)

    def _load(self, row: Cells) -> tuple[Cells, list[Any]]:
        """Return a row, and its values with objects in place of their references."""
        values = list(row)
        for field in self._objects:
            load = field.at(self._key(row))[0] if field.is_keyed else field.load
            if load is not None and values[field.position] is not None:
                values[field.position] = self._run(load, values[field.position], field, row)
        return row, values

    def _finish(self, row: Cells, loaded: list[Any] | None = None) -> Cells:
        """Return a row with the user's values; `loaded` are those whose objects are there."""
        values = list(row) if loaded is None else loaded
        for field in self._fields:
            if values[field.position] is not None:
                if field.handle is not None:
                    open_ = partial(field.handle, self._key(row))
                    values[field.position] = self._run(open_, values[field.position], field, row)
                finish = field.at(self._key(row))[1] if field.is_keyed else field.finish
                values[field.position] = self._run(finish, values[field.position], field, row)
        return values

    @staticmethod
    def _run(step: Decode, value: Value, field: _Field, row: Cells) -> Value:
        try:
            return step(value)
        except Exception as error:
            raise _DecodingError(field, row, error) from error

    def _told(self, failure: _DecodingError) -> Exception:
        """Return what a codec raised, which says where."""
        error, name = failure.error, failure.field.name
        place = place_of(self._node, name, failure.row, self._connection)
        if isinstance(error, CodecError | ConfigError | StorageError):
            told = type(error)(f"{place}: {error}")
            told.__cause__ = error
            return told
        error.add_note(str(place))
        return error

    def _key(self, row: Cells) -> dict[str, Value]:
        return {name: row[i] for name, i in self._keys}


@lru_cache(maxsize=4096)
def _undecoded(heading: Heading) -> tuple[tuple[int, Attribute], ...]:
    """Return the attributes whose values are not yet the user's, with their places."""
    return tuple((i, a) for i, a in enumerate(heading) if _is_undecoded(a))


def _is_undecoded(attribute: Attribute) -> bool:
    type_ = attribute.type
    if isinstance(type_, NativeType):
        return type_.is_blob
    return type_ is None or isinstance(type_, CodecType)


def _weight(reference: Value) -> int:
    """Return how large the object is that a row refers to [bytes]."""
    if not isinstance(reference, dict):
        return 0
    size = cast("dict[str, Value]", reference).get("size")
    return size if isinstance(size, int) else _USUAL_BYTES


def _any_value(data: Value) -> Value:
    """Return what the `longblob` family holds: an encoded value, or bytes."""
    data = bytes(stored_bytes(data))
    return blob.decode(data) if data.startswith(ENCODED) else data


def _plain_number(value: Value) -> Value:
    """Return the Decimal in which MySQL computes with whole numbers as an int, or a float."""
    if not isinstance(value, decimal.Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)
