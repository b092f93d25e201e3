"""Sending chunks to workers: one Celery message each, named after the table, with its keys."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

from djq.errors import RedisUnavailableError
from djq.orchestrator.server import masked
from djq.orchestrator.states import DEFAULT_QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from celery import Celery
    from kombu import Connection

    from djq.orchestrator.states import Chunk
    from djq.populate.options import PopulateOptions

#: Name of the set of queues in use.
QUEUES = "djq.queues"
#: It is written again after so long, since Redis may have forgotten it [s].
KNOWN_S = 3.0
#: Keys that Flower shows of one chunk.
SHOWN_KEYS = 5


class Dispatcher(Protocol):
    """Takes chunks to workers. A message is a hint: it may get lost, be doubled or come late."""

    def send(self, chunks: Sequence[Chunk]) -> None:
        """Send one message per chunk.

        Raises
        ------
        RedisUnavailableError
            Some may not have been sent.
        """
        ...

    def waiting(self) -> frozenset[str]:
        """Return the chunks whose messages no worker has taken yet."""
        ...


class CeleryDispatcher:
    """Chunks as Celery messages, each on its queue.

    Parameters
    ----------
    app
        Knows the broker; need not know the tables' tasks.
    show
        Table and key id -> the key by its attributes' names, for Flower.
    queues
        Queues that others may send to; those that this one sends to need not be named.
    options
        Of the run, for the workers; None: they go by those of the tables.
    """

    def __init__(
        self,
        app: Celery,
        show: Callable[[str, str], Mapping[str, Any]],
        queues: Iterable[str] = (),
        options: PopulateOptions | None = None,
    ) -> None:
        self._app = app
        self._show = show
        self._extra = {} if options is None else {"options": options.to_json()}
        #: Queues that this process sends to, and until when that is known to others.
        self._known: dict[str, float] = dict.fromkeys((DEFAULT_QUEUE, *queues), 0.0)
        self._is_redis = is_redis(app)
        # Our own, not one of kombu's pools: those are shared by all apps with this address, and
        # nobody may close them. One connection also bounds what a busy scheduler opens.
        self._connection: Connection | None = None

    def send(self, chunks: Sequence[Chunk]) -> None:
        """Send one message per chunk, in one round trip."""
        if not chunks:
            return
        with self._connected() as connection:
            self._make_known(connection, {chunk.queue for chunk in chunks})
            # The stubs lack `batch`, which is new in kombu 5.7.
            producer = cast("Any", self._app.amqp.Producer(connection, auto_declare=False))
            with producer.batch():
                for chunk in chunks:
                    self._app.send_task(
                        chunk.table,
                        task_id=chunk.id,
                        kwargs=payload(chunk) | self._extra,
                        argsrepr="()",
                        kwargsrepr=self._shown(chunk),
                        queue=wire_name(self._app, chunk.queue),
                        producer=producer,
                        ignore_result=True,
                        retry=False,
                    )

    def waiting(self) -> frozenset[str]:
        """Return the chunks in the broker's lists; schedulers keep them short."""
        with self._connected() as connection:
            if not self._is_redis:
                return frozenset(n for its in self._known for n in self._peek(connection, its))
            client = _client(connection)
            queues = {text.decode() for text in client.smembers(self._prefix + QUEUES)}
            with client.pipeline(transaction=False) as pipeline:
                for queue in sorted(queues | set(self._known)):
                    pipeline.lrange(self._prefix + queue, 0, -1)
                lists: list[list[bytes]] = pipeline.execute()
        return frozenset(str(json.loads(t)["headers"]["id"]) for texts in lists for t in texts)

    def _make_known(self, connection: Connection, queues: set[str]) -> None:
        """Tell other schedulers, which look for lost messages, of queues that no file names."""
        now = time.monotonic()
        new = sorted(queue for queue in queues if self._known.get(queue, 0.0) <= now)
        if new:
            if self._is_redis:
                _client(connection).sadd(self._prefix + QUEUES, *new)
            self._known.update(dict.fromkeys(new, now + KNOWN_S))

    def _peek(self, connection: Connection, queue: str) -> frozenset[str]:
        """Look at a queue of RabbitMQ: its messages go back in order when the channel is closed."""
        found: set[str] = set()
        channel = cast("Any", connection.channel())
        try:
            while (message := channel.basic_get(wire_name(self._app, queue))) is not None:
                found.add(str(message.headers["id"]))
        except connection.channel_errors:
            return frozenset()  # there is no such queue; it closed the channel
        channel.close()
        return frozenset(found)

    @property
    def _prefix(self) -> str:
        return str(self._app.conf.broker_transport_options["global_keyprefix"])

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        if self._connection is not None:
            self._connection.release()
            self._connection = None

    @contextmanager
    def _connected(self) -> Generator[Connection]:
        if self._connection is None:
            self._connection = self._app.connection_for_write()
        try:
            yield self._connection
        except broker_errors(self._connection) as error:
            self.close()
            raise self._unavailable(error) from error

    def _shown(self, chunk: Chunk) -> str:
        """Return the text of a dict that Flower shows and can search."""
        keys: list[Any] = [self._show(chunk.table, key) for key in chunk.keys[:SHOWN_KEYS]]
        if len(chunk.keys) > SHOWN_KEYS:
            keys.append(f"… {len(chunk.keys) - SHOWN_KEYS} more")
        return repr({"table": chunk.table, "keys": keys, "run": chunk.run})

    def _unavailable(self, error: Exception) -> RedisUnavailableError:
        address = masked(str(self._app.conf.broker_url))
        setting = "DJQ_REDIS_URL" if self._is_redis else "DJQ_BROKER_URL"
        message = (
            f"the queue at {address} did not answer: {error}. "
            f"Check that the server runs there, and the address in {setting}"
        )
        return RedisUnavailableError(message)


def is_redis(app: Celery) -> bool:
    """Tell whether Redis carries the messages."""
    return not str(app.conf.broker_url).startswith("amqp")


def wire_name(app: Celery, queue: str) -> str:
    """Return a queue's name at the broker; Redis has a prefix for all of its names already."""
    return str(app.conf.task_default_queue).removesuffix(DEFAULT_QUEUE) + queue


def plain_name(app: Celery, name: str) -> str:
    """Return the queue that a name at the broker belongs to."""
    return name.removeprefix(wire_name(app, ""))


def n_waiting(app: Celery, names: Sequence[str]) -> int | None:
    """Return how many messages wait under some names at the broker; None: it does not answer."""
    # A connection of its own: a worker's may be what is stuck.
    with app.connection_for_read() as connection:
        try:
            if not is_redis(app):
                return sum(_depth(connection, name) for name in names)
            client = _client(connection)
            prefix = str(app.conf.broker_transport_options["global_keyprefix"])
            return sum(int(client.llen(prefix + name)) for name in names)
        except broker_errors(connection):
            return None


def broker_errors(connection: Connection) -> tuple[type[Exception], ...]:
    """Return what says that the broker does not answer, whichever it is."""
    its = cast("Any", (*connection.connection_errors, *connection.channel_errors))
    return (KombuError, RedisError, OSError, *its)


def _depth(connection: Connection, name: str) -> int:
    channel = cast("Any", connection.channel())
    try:
        return int(channel.queue_declare(name, passive=True).message_count)
    except connection.channel_errors:
        return 0  # there is no such queue


def _client(connection: Connection) -> Any:  # noqa: ANN401 - redis-py types both of its kinds together
    # kombu has no public way to look at a list without taking from it. A client of our own over its
    # connections, since its own adds the prefix to some commands and not to others.
    return Redis(connection_pool=cast("Any", connection.default_channel).client.connection_pool)


def payload(chunk: Chunk) -> dict[str, Any]:
    """Return the body of a chunk's message."""
    keys = json.loads(f"[{','.join(chunk.keys)}]")
    return {"run": chunk.run, "table": chunk.table, "chunk": chunk.id, "keys": keys}
