"""Messages between two processes, over a socket that nobody else has."""

from __future__ import annotations

import io
import pickle
import struct
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

#: Length of what is pickled, and how many buffers follow it; then their lengths.
_HEADER: Final = struct.Struct("<QQ")
_LENGTH: Final = "Q"
#: So much is copied rather than sent by a call of its own [bytes].
_SMALL: Final = 1 << 16


class _Pickler(pickle.Pickler):
    """Leaves the bytes of views out."""

    def reducer_override(self, obj: object) -> Any:  # noqa: ANN401 - what pickle takes
        if isinstance(obj, memoryview):
            return memoryview, (pickle.PickleBuffer(cast("memoryview", obj)),)
        return NotImplemented


class Channel:
    """One end of a connection, for one thread at a time.

    A message is any value that pickles; the bytes of its memoryviews, which are contiguous, go as
    they are. Whoever is at the other end is trusted.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def send(self, message: object) -> None:
        """Send a message; raises OSError if nobody is there to take it."""
        head, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
        _Pickler(head, 5, buffer_callback=buffers.append).dump(message)
        views = [buffer.raw() for buffer in buffers]
        lengths = struct.pack(f"<{len(views)}{_LENGTH}", *(view.nbytes for view in views))
        begin = _HEADER.pack(head.tell(), len(views)) + lengths
        self._send_all([begin, head.getbuffer(), *views])

    def receive(self) -> Any:  # noqa: ANN401 - whatever the other side sent
        """Wait for the next message; its views are read-only.

        Raises
        ------
        EOFError
            The other side is closed, or its process has ended.
        OSError
            The connection is broken.
        """
        n_head, n_views = _HEADER.unpack(self._receive(_HEADER.size))
        lengths = struct.Struct(f"<{n_views}{_LENGTH}")
        sizes = lengths.unpack(self._receive(lengths.size))
        head = self._receive(n_head)
        views = [self._receive(size) for size in sizes]
        return pickle.loads(head, buffers=views)  # noqa: S301 - from a process of our own

    def close(self) -> None:
        """Let go of this end; the other side, and copies of this end after a fork, stay open."""
        self._socket.close()

    def _send_all(self, parts: Iterable[bytes | memoryview]) -> None:
        small = bytearray()
        for part in parts:
            if len(small) + len(part) <= _SMALL:
                small += part
                continue
            self._socket.sendall(small)
            small.clear()
            self._socket.sendall(part)
        self._socket.sendall(small)

    def _receive(self, size: int) -> memoryview:
        whole = np.empty(size, np.uint8).data
        rest = whole
        while rest.nbytes:
            n_bytes = self._socket.recv_into(rest)
            if not n_bytes:
                raise EOFError
            rest = rest[n_bytes:]
        return whole.toreadonly()
