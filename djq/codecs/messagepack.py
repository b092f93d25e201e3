"""The MessagePack library behind typed functions; it has no types of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, cast

import msgpack  # type: ignore[import-untyped] # no stubs exist

from djq.codecs import hashes

#: Whatever the user stores.
Value: TypeAlias = Any
#: A value that MessagePack does not know → an `extension`, or a value that it does.
Default = Callable[[object], object]
#: The number and payload of an extension → its value.
Hook = Callable[[int, bytes], Value]

#: First bytes of lists and maps: fixarray, array 16, array 32; fixmap, map 16, map 32.
LISTS: Final = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
MAPS: Final = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})

#: In fewer bytes there is no room for so many keys of one hash that it matters.
_CHECKED_BYTES: Final = 1 << 16


class Stream(Protocol):
    """A parser that the caller leads through one piece of MessagePack."""

    def tell(self) -> int:
        """Return how many bytes were read."""
        ...

    def read_array_header(self) -> int:
        """Read the beginning of a list and return its length."""
        ...

    def read_map_header(self) -> int:
        """Read the beginning of a map and return its length."""
        ...

    def unpack(self) -> Value:
        """Return the next value."""
        ...


# The library's own exceptions derive from ValueError, but for one class that has no other base.
_library: Any = cast("Any", msgpack)
UnpackError: Final[type[Exception]] = _library.UnpackException


def pack(value: object, default: Default | None = None) -> bytes:
    """Return `value` as MessagePack; `default` gets whatever is not exactly of a plain type."""
    packed: bytes = _library.packb(value, default=default, strict_types=True)
    return packed


def pack_list(items: list[bytes]) -> bytes:
    """Return the list of values that are MessagePack already."""
    header: bytes = _library.Packer().pack_array_header(len(items))
    return header + b"".join(items)


def extension(code: int, payload: bytes) -> object:
    """Return an extension for `pack` to write."""
    return _library.ExtType(code, payload)


def unpack(data: bytes | memoryview, *, hook: Hook | None = None, max_length: int) -> Value:
    """Return the value of `data`; ValueError for lists and maps longer than `max_length`."""
    more: dict[str, object] = {} if hook is None else {"ext_hook": hook}
    if len(data) > _CHECKED_BYTES:
        more["object_pairs_hook"] = hashes.to_dict
    return _library.unpackb(
        data, strict_map_key=False, max_array_len=max_length, max_map_len=max_length, **more
    )


def open_stream(data: bytes, *, hook: Hook) -> Stream:
    """Return a parser of `data`."""
    stream = _library.Unpacker(max_buffer_size=len(data), ext_hook=hook, strict_map_key=False)
    stream.feed(data)
    return cast("Stream", stream)
