"""How much memory a message of an Arrow IPC stream asks for, before any is taken.

A compressed buffer begins with the size that it claims to inflate to, which the library believes.
Which bytes are buffers stands in the message's head, a FlatBuffer; the numbers of fields below are
those of Message.fbs and Schema.fbs (https://github.com/apache/arrow/tree/main/format), and the
library has verified the FlatBuffer when a message comes here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Message: kind and content of the head.
_HEADER_TYPE, _HEADER = 1, 2
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
#: DictionaryBatch: its record batch.
_DATA = 1
#: RecordBatch: lengths of its arrays, places of its buffers, how those are compressed.
_NODES, _BUFFERS, _COMPRESSION = 1, 2, 3

_PAIR: Final = struct.Struct("<qq")
_SIZE: Final = struct.Struct("<q")
#: A buffer that compression would have made larger is stored as it is, and says so.
_IS_STORED: Final = -1
#: Each value counts as one of 64 bits, since arrays of nothing but nulls have no buffers [bytes].
_VALUE_BYTES: Final = 8


def claimed_bytes(message: Any) -> int:  # noqa: ANN401 - pyarrow has no types
    """Return what the arrays in a message take, inflated [bytes].

    Raises
    ------
    ValueError
        A buffer lies outside of the message, or a length is negative.
    struct.error, IndexError
        The head is malformed.
    """
    head = bytes(message.metadata)
    root = _follow(head, 0)
    kind = _field(head, root, _HEADER_TYPE)
    content = _field(head, root, _HEADER)
    if kind is None or content is None or head[kind] not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return 0
    batch = _follow(head, content)
    if head[kind] == _DICTIONARY_BATCH:
        data = _field(head, batch, _DATA)
        if data is None:
            return 0
        batch = _follow(head, data)
    is_compressed = _field(head, batch, _COMPRESSION) is not None
    body = memoryview(message.body)
    n_values = sum(_natural(length) for length, _ in _pairs(head, batch, _NODES))
    return n_values * _VALUE_BYTES + sum(
        _buffer_bytes(body, start, length, is_compressed=is_compressed)
        for start, length in _pairs(head, batch, _BUFFERS)
    )


def _buffer_bytes(body: memoryview, start: int, length: int, *, is_compressed: bool) -> int:
    if _natural(start) + _natural(length) > len(body):
        message = f"a buffer of {length} bytes at {start} lies outside of its message"
        raise ValueError(message)
    if not is_compressed or length == 0:
        return length
    (claimed,) = _SIZE.unpack_from(body, start)
    return length if claimed == _IS_STORED else _natural(claimed)


def _natural(number: int) -> int:
    if number < 0:
        message = f"the negative size {number}"
        raise ValueError(message)
    return number


def _follow(head: bytes, place: int) -> int:
    """Return where the offset at `place` leads."""
    return place + int.from_bytes(head[place : place + 4], "little")


def _field(head: bytes, table: int, number: int) -> int | None:
    """Return the place of a field of a table; None if it is not set."""
    directory = table - int.from_bytes(head[table : table + 4], "little", signed=True)
    n_bytes = int.from_bytes(head[directory : directory + 2], "little")
    slot = 4 + 2 * number
    if slot + 2 > n_bytes:
        return None
    offset = int.from_bytes(head[directory + slot : directory + slot + 2], "little")
    return table + offset if offset else None


def _pairs(head: bytes, table: int, number: int) -> Iterator[tuple[int, int]]:
    """Yield the structs of two integers in a vector."""
    place = _field(head, table, number)
    if place is None:
        return
    start = _follow(head, place)
    n_pairs = int.from_bytes(head[start : start + 4], "little")
    for i in range(n_pairs):
        yield _PAIR.unpack_from(head, start + 4 + i * _PAIR.size)
