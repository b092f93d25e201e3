"""Python values ↔ frames of kind `M`: MessagePack with the extension types of docs/blob-format.md.

Arrays inside a value follow the MessagePack part as frames of their own, so that they are
compressed by their dtype and copied once, whatever their size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from djq.codecs import arrays, dtypes, hashes, messagepack, objects, scalars
from djq.codecs.chunks import ChunkIndex, ChunkReader
from djq.codecs.compression import (
    CHUNK_BYTES,
    MAX_CHUNK_BYTES,
    Frame,
    compress,
    read_frame,
    write_frame,
)
from djq.codecs.extensions import MALFORMED, READERS, WRITERS, Extension, plain, reason
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from djq.codecs.messagepack import Value

KIND: Final = b"M"
KEYS: Final = frozenset({"size", "chunk", "index", "arrays"})

#: Smaller values are not compressed [bytes].
COMPRESSED_BYTES: Final = 1000
#: More MessagePack per stored byte is an attack.
_MAX_RATIO: Final = 64
#: Each of its bytes can become an object of about 80, so what goes beyond this size [bytes] may
#: take less: 64 kB became four million objects.
_FREE_BYTES: Final = 1 << 21
_MAX_FURTHER_RATIO: Final = 8
#: Arrays up to this size lie inside the MessagePack part [bytes].
INLINE_BYTES: Final = 256
#: Each level of tuples and sets takes 40 kB of the C stack in the parser.
MAX_NESTING: Final = 64
#: The library writes lists and dicts by recursion in C: 1023 levels of them in each level of tuples
#: would end the process, at about 30,000 in all. So many levels of tuples may hold as many as it
#: lets them, those inside of them fewer.
_FREE_NESTING: Final = 4
_MAX_INNER_DEPTH: Final = 32
#: Where older versions of the library end.
_MIN_LIBRARY_DEPTH: Final = 511
#: The parser takes memory for a list before it sees the elements; longer ones go step by step.
_MAX_LENGTH: Final = 1 << 16
#: Of lists and maps; the parser stops at half of it, and the library's writer one level later.
_MAX_DEPTH: Final = 2048
#: How to read what an extension contains.
_READERS: Final = {**READERS, **objects.READERS}
#: Shorter data is neither too long nor too deep for the parser, only malformed [bytes].
_MIN_STEPWISE_BYTES: Final = 500


def write(value: object) -> list[bytes]:
    """Return the parts of a frame that holds `value`.

    Raises
    ------
    CodecError
        The value holds something that cannot be stored; the message does not say where.
    """
    packer = Packer()
    raw = np.frombuffer(packer.pack(value), dtype=np.uint8)
    pieces = (raw[start : start + CHUNK_BYTES] for start in range(0, raw.size, CHUNK_BYTES))
    packed = compress(pieces, least=COMPRESSED_BYTES, max_ratio=_max_ratio(raw.size))
    sizes = [sum(map(len, frame)) for frame in packer.frames]
    head = {"size": raw.size, "chunk": CHUNK_BYTES, "index": packed.index, "arrays": sizes}
    return write_frame(
        KIND, head, [*packed.parts, *(part for frame in packer.frames for part in frame)]
    )


def read(frame: Frame) -> Value:
    """Return the value of a frame.

    Raises
    ------
    CodecError
        The frame is malformed or damaged.
    """
    size, step, sizes = frame.head["size"], frame.head["chunk"], frame.head["arrays"]
    reader = ChunkReader(ChunkIndex(frame.head["index"]), frame.body)
    if not _is_size(size) or not _is_size(step) or not 0 < step <= MAX_CHUNK_BYTES:
        message = "the sizes in the header of this blob are malformed"
        raise CodecError(message)
    if size > _max_bytes(reader.n_bytes) or len(reader) != -(-size // step):
        message = f"this blob claims {size} bytes in {len(reader)} chunks of {reader.n_bytes} bytes"
        raise CodecError(message)
    raw = np.empty(size, dtype=np.uint8)
    for position in range(len(reader)):
        reader.read(position, raw[position * step : (position + 1) * step])
    return _unpack(raw.tobytes(), _split(frame.body[reader.n_bytes :], sizes))


def _unpack(data: bytes, frames: Mapping[int, memoryview]) -> Value:
    """Return the value of the MessagePack part, which must use all of `frames`."""
    unpacker = Unpacker(frames)
    try:
        value = unpacker.unpack(data)
    except CodecError:
        if len(data) < _MIN_STEPWISE_BYTES:
            raise
        unpacker = Unpacker(frames, is_stepwise=True)
        value = unpacker.unpack(data)
    if unpacker.frames:
        message = f"{len(unpacker.frames)} arrays of this blob are not part of its value"
        raise CodecError(message)
    return value


def _max_bytes(n_stored: int) -> int:
    """Return how large a MessagePack part may be [bytes] that is stored in so many."""
    return min(_MAX_RATIO * n_stored, _FREE_BYTES + _MAX_FURTHER_RATIO * n_stored)


def _max_ratio(size: int) -> int:
    """Return how much smaller a MessagePack part of this size may become: `_max_bytes` keeps it."""
    further = size - _FREE_BYTES
    if further <= 0:
        return _MAX_RATIO
    return min(_MAX_RATIO, _MAX_FURTHER_RATIO * size // further)


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _split(body: memoryview, sizes: object) -> dict[int, memoryview]:
    """Return the frames of the arrays that follow the MessagePack part, by their number."""
    lengths = cast("Sequence[Any]", sizes) if isinstance(sizes, list) else [None]
    if not all(map(_is_size, lengths)) or sum(lengths) != len(body):
        message = f"the arrays of this blob do not add up to the {len(body)} bytes that are there"
        raise CodecError(message)
    frames: dict[int, memoryview] = {}
    start = 0
    for number, length in enumerate(lengths):
        frames[number] = body[start : start + length]
        start += length
    return frames


class Packer:
    """One value on its way to MessagePack; collects the arrays in it."""

    def __init__(self) -> None:
        #: The parts of each attached array's frame.
        self.frames: list[list[bytes]] = []
        self._nesting = 0

    def pack(self, value: object) -> bytes:
        """Return `value` as MessagePack.

        Raises
        ------
        CodecError
            Something in it cannot be stored.
        """
        if self._nesting > MAX_NESTING:
            message = f"nested deeper than {MAX_NESTING} levels, or part of itself"
            raise CodecError(message)
        if self._nesting > _FREE_NESTING and _is_deeper(value, _MAX_INNER_DEPTH):
            message = (
                f"lists and dicts nested deeper than {_MAX_INNER_DEPTH} levels, "
                f"inside of {self._nesting} tuples, sets or arrays"
            )
            raise CodecError(message)
        self._nesting += 1
        try:
            return messagepack.pack(value, self._extend)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            message = f"{type(value).__name__} cannot be stored: {error}"
            if _is_deeper(value, _MIN_LIBRARY_DEPTH - 1):
                message = f"nested deeper than {_MIN_LIBRARY_DEPTH} levels, or part of itself"
            raise CodecError(message) from error
        finally:
            self._nesting -= 1

    def _extend(self, value: object) -> object:
        """Turn what MessagePack does not know into an extension or a plain value."""
        if isinstance(value, (np.ndarray, np.generic)):
            return self._array(cast("NDArray[Any] | np.generic[Any]", value))
        if type(value) not in WRITERS:
            value = plain(value)
        writer = WRITERS.get(type(value))
        if writer is None:
            return value
        code, payload = writer(value, self.pack)
        return messagepack.extension(code, payload)

    def _array(self, value: NDArray[Any] | np.generic[Any]) -> object:
        if objects.is_more_than_bytes(value):
            return messagepack.extension(*objects.write(value, self.pack))
        if isinstance(value, np.generic):
            return self._extension(Extension.SCALAR, scalars.write(value))
        array = np.asanyarray(value)
        if array.nbytes > INLINE_BYTES:
            self.frames.append(arrays.write(array))
            return self._extension(Extension.ATTACHED_ARRAY, len(self.frames) - 1)
        return self._extension(
            Extension.ARRAY, [arrays.describe(array), list(array.shape), array.tobytes()]
        )

    def _extension(self, code: Extension, payload: object) -> object:
        return messagepack.extension(code, messagepack.pack(payload))


def _is_deeper(value: object, n_levels: int) -> bool:
    """Return whether lists and dicts in lists and dicts go down further than this."""
    level = [value]
    for _ in range(n_levels + 1):
        # By their addresses: a list that contains itself twice would double each level.
        inner = {id(part): part for each in level for part in _containers(each)}
        level = list(inner.values())
    return bool(level)


def _containers(value: Value) -> Iterator[object]:
    parts: Iterable[object] = ()
    if isinstance(value, (dict, list)):
        parts = cast("Any", value.values() if isinstance(value, dict) else value)
    return filter(_is_container, parts)


def _is_container(value: object) -> bool:
    return isinstance(value, (dict, list))


class _Open:
    """A list or map that is being read; a map as keys and values in turn."""

    def __init__(self, n_items: int, *, is_map: bool) -> None:
        self.items: list[Value] = []
        self.n_items = n_items
        self.is_map = is_map

    def close(self) -> Value:
        """Return what was read."""
        if not self.is_map:
            return self.items
        return hashes.to_dict(list(zip(self.items[::2], self.items[1::2], strict=True)))


def _close(opened: list[_Open]) -> Value:
    """Close all that are complete, the innermost first, and return the last one closed."""
    value: Value = None
    while opened and len(opened[-1].items) == opened[-1].n_items:
        value = opened.pop().close()
        if opened:
            opened[-1].items.append(value)
    return value


class Unpacker:
    """MessagePack on its way to one value.

    Parameters
    ----------
    frames
        The attached arrays by their number; each can be asked for once, so that a small blob
        cannot make many of one.
    is_stepwise
        Read lists and maps one by one: slower, but of any length that the data can fill, and
        deeper. Otherwise long ones are an error, since the parser takes memory for what a list only
        claims to hold, on each of a thousand levels.
    """

    def __init__(self, frames: Mapping[int, memoryview], *, is_stepwise: bool = False) -> None:
        #: The arrays that were not asked for yet.
        self.frames = dict(frames)
        self._is_stepwise = is_stepwise
        self._nesting = 0

    def unpack(self, data: bytes) -> Value:
        """Return the value of one piece of MessagePack: the whole, or the inside of an extension.

        Raises
        ------
        CodecError
            The bytes are malformed.
        """
        if self._nesting > MAX_NESTING:
            message = f"blob nested deeper than {MAX_NESTING} levels"
            raise CodecError(message)
        self._nesting += 1
        try:
            if self._is_stepwise:
                return self._unpack_stepwise(data)
            return messagepack.unpack(data, hook=self._extend, max_length=_MAX_LENGTH)
        except MALFORMED as error:
            message = f"the MessagePack part of this blob cannot be read: {reason(error)}"
            raise CodecError(message) from error
        finally:
            self._nesting -= 1

    def _unpack_stepwise(self, data: bytes) -> Value:
        stream = messagepack.open_stream(data, hook=self._extend)
        opened: list[_Open] = []
        while True:
            first = data[stream.tell()]
            if first in messagepack.LISTS:
                opened.append(_Open(stream.read_array_header(), is_map=False))
            elif first in messagepack.MAPS:
                opened.append(_Open(2 * stream.read_map_header(), is_map=True))
            elif not opened:
                return stream.unpack()
            else:
                opened[-1].items.append(stream.unpack())
            if len(opened) > _MAX_DEPTH:
                message = f"lists and maps nested deeper than {_MAX_DEPTH} levels"
                raise ValueError(message)
            value = _close(opened)
            if not opened:
                if stream.tell() != len(data):
                    message = "more bytes than its value"
                    raise ValueError(message)
                return value

    def _extend(self, code: int, data: bytes) -> Value:
        if code == Extension.ATTACHED_ARRAY:
            frame = self.frames.pop(self.unpack(data))
            return arrays.read(read_frame(frame, {arrays.KIND: arrays.KEYS}))
        if code == Extension.ARRAY:
            description, shape, raw = self.unpack(data)
            return arrays.from_bytes(raw, shape, dtypes.parse(description))
        if code == Extension.SCALAR:
            return scalars.read(*self.unpack(data))
        reader = _READERS.get(code)
        if reader is None:
            message = f"unknown extension type {code}; update djq"
            raise CodecError(message)
        return reader(data, self.unpack)
