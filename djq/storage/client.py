"""What is asked of a bucket, request by request; and obstore, which asks it of any cloud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

import obstore

from djq.storage.base import Stat, check_path
from djq.storage.refusals import our_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from obstore import GetOptions, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as CloudStore

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
#: As many as servers send at once.
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Version:
    """What a bucket says of an object that was put at some time."""

    #: [bytes]
    size: int
    modified: datetime
    #: Another one for each put, where the bucket has such.
    tag: str | None


class Client(Protocol):
    """The requests to one bucket; they raise what the methods of a store raise."""

    def put(self, path: str, data: memoryview) -> None:
        """Upload an object in one piece."""
        ...

    def put_pieces(self, path: str, views: Iterator[memoryview], piece_bytes: int) -> None:
        """Upload an object in pieces of `piece_bytes`, several at once; the last one is smaller."""
        ...

    def first(self, path: str, n_bytes: int) -> tuple[Version, memoryview]:
        """Return which version there is, and at least its first bytes."""
        ...

    def part(self, path: str, start: int, stop: int, tag: str | None) -> memoryview:
        """Return bytes of the version that has this tag."""
        ...

    def ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Return the bytes of ranges that begin inside the object, asked for at the same time."""
        ...

    def stat(self, path: str) -> Version:
        """Return which version there is."""
        ...

    def delete(self, path: str) -> None:
        """Remove the object; some servers refuse to remove what is not there."""
        ...

    def list(self, prefix: str) -> Iterator[Sequence[Stat]]:
        """Yield all objects in a folder, page by page."""
        ...


class CloudClient:
    """The client of any cloud, in the process that it is made in.

    Parameters
    ----------
    cloud
        The bucket, prefix included.
    address
        How messages call it.
    """

    def __init__(self, cloud: CloudStore, address: str) -> None:
        self.cloud = cloud
        self._address = address

    def put(self, path: str, data: memoryview) -> None:
        """Upload an object in one piece."""
        with our_errors("put", path, self._address):
            obstore.put(self.cloud, check_path(path), data)

    def put_pieces(self, path: str, views: Iterator[memoryview], piece_bytes: int) -> None:
        """Upload an object in pieces, which become one object at the end."""
        with our_errors("put", path, self._address):
            obstore.put(
                self.cloud,
                check_path(path),
                views,
                chunk_size=piece_bytes,
                max_concurrency=N_PIECES_AT_ONCE,
            )

    def first(self, path: str, n_bytes: int) -> tuple[Version, memoryview]:
        """Return what the server says of the object, and at least its first bytes."""
        with our_errors("get", path, self._address):
            # Without a range, which servers refuse for an object without bytes.
            answer = obstore.get(self.cloud, check_path(path))
            found = _version(answer.meta)
            if found.size <= n_bytes:
                return found, memoryview(answer.bytes())
            return found, memoryview(next(answer.stream(min_chunk_size=n_bytes)))

    def part(self, path: str, start: int, stop: int, tag: str | None) -> memoryview:
        """Return bytes of one version; another one raises StoreUnavailableError."""
        options: GetOptions = {"range": (start, stop)}
        if tag is not None:
            options["if_match"] = tag
        with our_errors("get", path, self._address):
            return memoryview(obstore.get(self.cloud, check_path(path), options=options).bytes())

    def ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Return the bytes of each range."""
        starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
        with our_errors("get", path, self._address):
            # Where it joined ranges itself it would break at one behind the end.
            found = obstore.get_ranges(
                self.cloud, check_path(path), starts=starts, ends=stops, coalesce=0
            )
            return [memoryview(view) for view in found]

    def stat(self, path: str) -> Version:
        """Return what the server says of the object."""
        with our_errors("stat", path, self._address):
            return _version(obstore.head(self.cloud, check_path(path)))

    def delete(self, path: str) -> None:
        """Remove the object."""
        with our_errors("delete", path, self._address):
            obstore.delete(self.cloud, check_path(path))

    def list(self, prefix: str) -> Iterator[Sequence[Stat]]:
        """Yield all objects in the folder `prefix`, page by page."""
        with our_errors("list", prefix, self._address):
            # Its other overloads need an optional library.
            pages = obstore.list(  # pyright: ignore[reportUnknownMemberType]
                self.cloud, check_path(prefix) if prefix else None, chunk_size=_PAGE
            )
            for page in pages:
                yield [Stat(item["path"], item["size"], item["last_modified"]) for item in page]


def _version(found: ObjectMeta) -> Version:
    return Version(found["size"], found["last_modified"], found["e_tag"])
