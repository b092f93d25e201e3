"""A process that asks buckets for another one, which was forked and cannot ask itself.

It is an interpreter of its own, so that its client has threads. Whoever started it holds the other
end of its standard input, a socket, and sends over it one end of each connection that it wants:
there is no address that anybody else could connect to. When that end is closed, as by any death of
its holder, this process ends and leaves nothing.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final, cast

from djq.storage.buffers import SourceError
from djq.storage.channels import Channel
from djq.storage.open import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.storage.bucket import BucketStore
    from djq.storage.client import Client

_LOCK: Final = threading.Lock()
_CLIENTS: Final[dict[bytes, Client]] = {}


def main() -> None:
    """Serve each connection that comes, until nobody can send another."""
    control = socket.socket(fileno=sys.stdin.fileno())
    with suppress(OSError):
        while ends := socket.recv_fds(control, 1, 1)[1]:
            channel = Channel(socket.socket(fileno=ends[0]))
            threading.Thread(target=_serve, args=(channel,), daemon=True).start()
    # Nobody waits for what is under way.
    os._exit(0)


def _serve(channel: Channel) -> None:
    """Answer requests until nobody can send another."""
    with closing(channel), suppress(OSError, EOFError):
        while True:
            channel.send(_answer(channel))


def _answer(channel: Channel) -> tuple[Exception | None, object]:
    """Do what is asked next: a method of a store's client, by name. Nothing of it is kept."""
    store, verb, args = channel.receive()
    try:
        return None, _do(channel, _client(store), verb, args)
    except Exception as error:  # noqa: BLE001 - raised where it was asked for
        return error, None


def _client(store: bytes) -> Client:
    """Return the client of a store, which all connections share."""
    with _LOCK:
        if store not in _CLIENTS:
            name, settings = pickle.loads(store)  # noqa: S301 - from who started this process
            bucket = cast("BucketStore", open_store(name, settings).store)
            _CLIENTS[store] = bucket.client
        return _CLIENTS[store]


def _do(channel: Channel, client: Client, verb: str, args: tuple[Any, ...]) -> object:
    if verb == "put_pieces":
        path, piece_bytes = args
        client.put_pieces(path, _pieces(channel), piece_bytes)
        return None
    if verb == "list":
        for page in client.list(*args):
            channel.send((None, page))
        return None
    return getattr(client, verb)(*args)


def _pieces(channel: Channel) -> Iterator[memoryview]:
    """Ask for one piece after the other, when there is room for it."""
    while True:
        channel.send((None, True))
        piece: memoryview | Exception | None = channel.receive()
        if piece is None:
            return
        if isinstance(piece, Exception):
            raise SourceError(piece)
        yield piece
