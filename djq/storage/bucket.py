"""A bucket of any cloud as a store, by obstore."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import obstore

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage.base import Stat, check_path
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
from djq.storage.refusals import our_errors

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from obstore import GetOptions, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as CloudStore

    from djq.storage.buffers import Data

#: A server that restarts is back by then, and a lost one is reported soon enough.
RETRIES: Final[RetryConfig] = {
    # The time counts: waits are drawn by lot, and eight of them may be over in three seconds.
    "max_retries": 1000,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=3),
        "base": 2,
    },
}
#: The whole transfer may take long, silence in it may not.
TIMEOUTS: Final[ClientConfig] = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(hours=1),
}
#: Of one object: with the pieces of one transfer 64 MB are in memory.
N_PIECES_AT_ONCE: Final = 4
_MAX_PIECES: Final = 10_000
#: A writer that replaces an object several times while it is read once is a mistake.
_N_VERSIONS: Final = 3
#: As many as servers send at once.
_PAGE: Final = 1000


class _Client:
    """Which process used the client first: its threads are not there in one forked from it."""

    def __init__(self) -> None:
        self._pid: int | None = None

    def check(self) -> None:
        """Refuse what would wait for those threads for ever."""
        if self._pid is None:
            self._pid = os.getpid()
        if self._pid != os.getpid():
            message = (
                "this process was forked from one that had used a bucket, which its client does "
                'not survive: start it by "spawn", or use the store only after the fork. '
                "populate(processes=N) forks: call it before the bucket is used, in a process of "
                "its own, or on a fleet"
            )
            raise StorageError(message)


_client: Final = _Client()


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
        The bucket, prefix included.
    address
        How messages call it.
    """

    def __init__(self, client: CloudStore, address: str) -> None:
        self._client = client
        self._address = address

    def __repr__(self) -> str:
        """Return the bucket and prefix."""
        return f"BucketStore({self._address!r})"

    def put(self, path: str, data: Data) -> None:
        """Upload the object; a large one in pieces, which become one object at the end."""
        with source_errors(), self._our_errors("put", path):
            views = pieces(data, piece_bytes(data))
            whole, rest = split_first(views, PIECE_BYTES)
            if first := next(rest, None):
                obstore.put(
                    self._client,
                    check_path(path),
                    chain((first,), rest),
                    chunk_size=piece_bytes(data),
                    max_concurrency=N_PIECES_AT_ONCE,
                )
            else:
                obstore.put(self._client, check_path(path), whole)

    def get(self, path: str) -> memoryview:
        """Return the object at `path`; a large one by ranges, of one and the same version."""
        for _ in range(_N_VERSIONS):
            found, first = self._first(path, PIECE_BYTES)
            size = found["size"]
            if size <= first.nbytes:
                return first
            whole = np.empty(size, np.uint8).data
            whole[: first.nbytes] = first
            starts = range(first.nbytes, size, PIECE_BYTES)
            for i in range(0, len(starts), N_PIECES_AT_ONCE):
                group = starts[i : i + N_PIECES_AT_ONCE]
                read = self._ranges(path, [(at, min(size, at + PIECE_BYTES)) for at in group])
                for start, view in read:
                    whole[start : start + view.nbytes] = view
            if self._head(path)["e_tag"] == found["e_tag"]:
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
        found, first = self._first(path, chunk_bytes)
        size, e_tag = found["size"], found["e_tag"]
        if size:
            yield first[:chunk_bytes]
        for start in range(chunk_bytes, size, chunk_bytes):
            options: GetOptions = {"range": (start, min(size, start + chunk_bytes))}
            if e_tag is not None:
                options["if_match"] = e_tag
            with self._our_errors("get", path):
                chunk = obstore.get(self._client, path, options=options).bytes()
            yield memoryview(chunk)

    def stat(self, path: str) -> Stat:
        """Return the object's size and time."""
        found = self._head(path)
        return Stat(path, found["size"], found["last_modified"])

    def delete(self, path: str) -> None:
        """Remove the object at `path`, if there is one."""
        try:
            with self._our_errors("delete", path):
                obstore.delete(self._client, check_path(path))
        except ObjectMissingError:
            return

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Yield all objects in the folder `prefix`."""
        with self._our_errors("list", prefix):
            # Its other overloads need an optional library.
            pages = obstore.list(  # pyright: ignore[reportUnknownMemberType]
                self._client, check_path(prefix) if prefix else None, chunk_size=_PAGE
            )
            for page in pages:
                for item in page:
                    yield Stat(item["path"], item["size"], item["last_modified"])

    def _head(self, path: str) -> ObjectMeta:
        with self._our_errors("stat", path):
            return obstore.head(self._client, check_path(path))

    def _first(self, path: str, n_bytes: int) -> tuple[ObjectMeta, memoryview]:
        """Return what the server says of the object, and at least its first bytes."""
        with self._our_errors("get", path):
            # Without a range, which servers refuse for an object without bytes.
            answer = obstore.get(self._client, check_path(path))
            if answer.meta["size"] <= n_bytes:
                return answer.meta, memoryview(answer.bytes())
            return answer.meta, memoryview(next(answer.stream(min_chunk_size=n_bytes)))

    def _ranges(
        self, path: str, ranges: Sequence[tuple[int, int]]
    ) -> Sequence[tuple[int, memoryview]]:
        """Return each start, and the bytes from there, of ranges that begin inside the object."""
        if not ranges:
            return []
        starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
        with self._our_errors("get", path):
            # Where it joined ranges itself it would break at one behind the end.
            found = obstore.get_ranges(
                self._client, check_path(path), starts=starts, ends=stops, coalesce=0
            )
            return [(start, memoryview(view)) for start, view in zip(starts, found, strict=True)]

    @contextmanager
    def _our_errors(self, verb: str, path: str) -> Generator[None]:
        _client.check()
        with our_errors(verb, path, self._address):
            yield
