"""A bucket of any cloud as a store, in the process that used it first and in those it forks."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage.base import Stat
from djq.storage.buffers import (
    PIECE_BYTES,
    coalesce,
    cut,
    flat,
    parts,
    pieces,
    source_errors,
    split_first,
)
from djq.storage.client import N_PIECES_AT_ONCE
from djq.storage.forks import Generation, has_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.storage.buffers import Data
    from djq.storage.client import Client

_MAX_PIECES: Final = 10_000
#: A writer that replaces an object several times while it is read once is a mistake.
_N_VERSIONS: Final = 3


def piece_bytes(data: Data) -> int:
    """Return how large the pieces of `data` are: a bucket takes at most 10,000.

    Of an iterator nobody knows the size: it may have 156 GB.
    """
    is_known = isinstance(data, bytes | bytearray | memoryview | list | tuple)
    total = sum(flat(part).nbytes for part in parts(data)) if is_known else 0
    return max(PIECE_BYTES, -(-total // _MAX_PIECES))


class BucketStore:
    """Objects in a bucket below one prefix.

    Parameters
    ----------
    client
        What asks the bucket in the process that uses such a client first.
    relay
        What asks it in processes that are forked from that one.
    address
        How messages call it.
    """

    def __init__(self, client: Client, relay: Client, address: str) -> None:
        self._client = client
        self._relay = relay
        self._address = address

    def __repr__(self) -> str:
        """Return the bucket and prefix."""
        return f"BucketStore({self._address!r})"

    @property
    def client(self) -> Client:
        """What asks the bucket in this process; a fork may lie between two requests."""
        return self._client if has_client() else self._relay

    def put(self, path: str, data: Data) -> None:
        """Upload the object; a large one in pieces, which become one object at the end."""
        with source_errors():
            size = piece_bytes(data)
            whole, rest = split_first(pieces(data, size), PIECE_BYTES)
            if first := next(rest, None):
                self.client.put_pieces(path, chain((first,), rest), size)
            else:
                self.client.put(path, whole)

    def get(self, path: str) -> memoryview:
        """Return the object at `path`; a large one by ranges, of one and the same version."""
        for _ in range(_N_VERSIONS):
            found, first = self.client.first(path, PIECE_BYTES)
            size = found.size
            if size <= first.nbytes:
                return first
            whole = np.empty(size, np.uint8).data
            whole[: first.nbytes] = first
            starts = range(first.nbytes, size, PIECE_BYTES)
            for i in range(0, len(starts), N_PIECES_AT_ONCE):
                group = starts[i : i + N_PIECES_AT_ONCE]
                pieces_at = [(at, min(size, at + PIECE_BYTES)) for at in group]
                # Held under no name, which would keep them beside the next ones.
                for start, view in self._ranges(path, pieces_at):
                    whole[start : start + view.nbytes] = view
            if self.client.stat(path).tag == found.tag:
                return whole.toreadonly()
        message = f"{path!r} in {self._address} is replaced all the time; try again"
        raise StoreUnavailableError(message)

    def get_range(self, path: str, start: int, length: int) -> memoryview:
        """Return at most `length` bytes from `start` on."""
        return self.get_ranges(path, [(start, start + length)])[0]

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return the bytes of each range; several requests at once, and few in all."""
        merged = coalesce(ranges)
        if not merged:
            self.stat(path)
            return [memoryview(b"") for _ in ranges]
        try:
            read = self._ranges(path, merged)
        except StoreUnavailableError:
            # To ask for the size would take as long again.
            raise
        except StorageError:
            # Servers refuse ranges behind the end, each with words of its own.
            size = self.stat(path).size
            within = [(start, min(size, stop)) for start, stop in merged if start < size]
            if within == merged:
                raise
            read = self._ranges(path, within)
        return cut(ranges, read)

    def iterate(self, path: str, chunk_bytes: int = PIECE_BYTES) -> Iterator[memoryview]:
        """Yield the object in chunks: one request each, which may be far apart in time."""
        found, first = self.client.first(path, chunk_bytes)
        if found.size:
            yield first[:chunk_bytes]
        for start in range(chunk_bytes, found.size, chunk_bytes):
            stop = min(found.size, start + chunk_bytes)
            yield self.client.part(path, start, stop, found.tag)

    def stat(self, path: str) -> Stat:
        """Return the object's size and time."""
        found = self.client.stat(path)
        return Stat(path, found.size, found.modified)

    def delete(self, path: str) -> None:
        """Remove the object at `path`, if there is one."""
        try:
            self.client.delete(path)
        except ObjectMissingError:
            return

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Yield all objects in the folder `prefix`."""
        begun = Generation.number
        for page in self.client.list(prefix):
            yield from page
            if Generation.number != begun:
                message = (
                    f"list {prefix!r} in {self._address}: the listing was begun before this "
                    "process was forked; begin it anew"
                )
                raise StorageError(message)

    def _ranges(
        self, path: str, ranges: Sequence[tuple[int, int]]
    ) -> Sequence[tuple[int, memoryview]]:
        """Return each start, and the bytes from there, of ranges that begin inside the object."""
        if not ranges:
            return []
        found = self.client.ranges(path, ranges)
        return [(start, view) for (start, _), view in zip(ranges, found, strict=True)]
