"""A bucket as a forked process asks it: through a relay."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from djq.errors import StoreUnavailableError
from djq.storage.buffers import SourceError
from djq.storage.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from djq.settings import StoreSettings
    from djq.storage.base import Stat
    from djq.storage.channels import Channel
    from djq.storage.client import Version

#: What requests are called in messages, if not by their own names.
_WORDS: Final = {"first": "get", "part": "get", "ranges": "get"}


class RelayClient:
    """The requests to one bucket, each handed to the relay of this process.

    Parameters
    ----------
    name, settings
        The store, which the relay opens.
    address
        How messages call it.
    """

    def __init__(self, name: str, settings: StoreSettings, address: str) -> None:
        self._store = pickle.dumps((name, settings))
        self._address = address

    def put(self, path: str, data: memoryview) -> None:
        """Upload an object in one piece."""
        self._ask("put", path, data)

    def put_pieces(self, path: str, views: Iterator[memoryview], piece_bytes: int) -> None:
        """Upload an object in pieces, each sent when the relay has room for it."""
        with self._channel("put", path) as channel:
            channel.send((self._store, "put_pieces", (path, piece_bytes)))
            while _answer(channel):
                try:
                    piece = next(views, None)
                except SourceError:
                    # So that nothing of it is left in the bucket by now.
                    channel.send(EOFError())
                    channel.receive()
                    raise
                channel.send(piece)

    def first(self, path: str, n_bytes: int) -> tuple[Version, memoryview]:
        """Return which version there is, and at least its first bytes."""
        found: tuple[Version, memoryview] = self._ask("first", path, n_bytes)
        return found

    def part(self, path: str, start: int, stop: int, tag: str | None) -> memoryview:
        """Return bytes of the version that has this tag."""
        found: memoryview = self._ask("part", path, start, stop, tag)
        return found

    def ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Return the bytes of ranges, asked for at the same time."""
        found: Sequence[memoryview] = self._ask("ranges", path, ranges)
        return found

    def stat(self, path: str) -> Version:
        """Return which version there is."""
        found: Version = self._ask("stat", path)
        return found

    def delete(self, path: str) -> None:
        """Remove the object."""
        self._ask("delete", path)

    def list(self, prefix: str) -> Iterator[Sequence[Stat]]:
        """Yield all objects in a folder, page by page; who stops early ends the connection."""
        with self._channel("list", prefix) as channel:
            channel.send((self._store, "list", (prefix,)))
            while (page := _answer(channel)) is not None:
                yield page

    def _ask(self, verb: str, path: str, *args: object) -> Any:  # noqa: ANN401 - as the verb says
        with self._channel(verb, path) as channel:
            channel.send((self._store, verb, (path, *args)))
            error, value = channel.receive()
        if error is not None:
            raise error
        return value

    @contextmanager
    def _channel(self, verb: str, path: str) -> Generator[Channel]:
        """Give a connection for one request; it is kept for the next, if all went well."""
        relay = None
        try:
            relay = Relay.of_this_process()
            channel = relay.take()
            try:
                yield channel
            except BaseException:
                relay.drop(channel)
                raise
            relay.keep(channel)
        except (OSError, EOFError) as error:
            if relay is not None:
                relay.retire()
            message = (
                f"{_WORDS.get(verb, verb)} {path!r} in {self._address}: the process that asks for "
                "this one, which was forked, has ended or could not be started; try again"
            )
            raise StoreUnavailableError(message) from error


def _answer(channel: Channel) -> Any:  # noqa: ANN401 - as was asked for
    error, value = channel.receive()
    if error is not None:
        raise error
    return value
