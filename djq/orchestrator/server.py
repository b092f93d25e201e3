"""The one door to Redis: address, connection, scripts, and its errors as ours."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import RedisError
from redis.retry import Retry

from djq.errors import RedisUnavailableError
from djq.orchestrator.namespace import namespace_of
from djq.settings import REDIS_FILE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from redis.client import Pipeline

    from djq.settings import Settings

SCRIPTS = Path(__file__).parent / "scripts"
#: Bound of one answer and of one connection attempt [s]; blocking reads stay below it.
TIMEOUT_S = 5.0
#: About so many entries of a stream are kept; as in common.lua.
ENTRIES_KEPT = 20_000


def resolve_url(settings: Settings) -> str:
    """Return the address of the Redis server, password included: never log it.

    Raises
    ------
    RedisUnavailableError
        None is configured and `djq up` is not running here.
    """
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    announcement = settings.state_dir / REDIS_FILE
    try:
        return announcement.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        message = (
            "the fleet needs Redis, and none is configured: set DJQ_REDIS_URL=redis://host:6379/0, "
            f'or start the local stack with "djq up" (which announces its server in {announcement})'
        )
        raise RedisUnavailableError(message) from error


def broker_url(url: str) -> str:
    """Return the address as kombu spells it: unix sockets have another scheme there."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    # Spelled out: urlunsplit leaves out the slashes of an empty host, and kombu wants them.
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"


def masked(url: str) -> str:
    """Return the address without its password, for messages and logs."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    netloc = f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))


def _keepalive(url: str) -> dict[str, bool]:
    """Notice a peer that vanished; a unix socket knows without asking, and takes no such option."""
    return {} if urlsplit(url).scheme == "unix" else {"socket_keepalive": True}


#: What the server is told of its client: otherwise each connection searches the packages for it.
_DRIVER = DriverInfo(lib_version=redis.__version__)


@cache
def _scripts() -> dict[str, str]:
    """Return the texts of the scripts, each with what they share in front."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in SCRIPTS.glob("*.lua")}
    common = texts.pop("common")
    return {name: common + text for name, text in texts.items()}


class Server:
    """A Redis server as one installation sees it: its own keys, its scripts, bounded waiting.

    Connections are opened when first used; an instance belongs to one process and must not be used
    across a fork.
    """

    def __init__(self, url: str, namespace: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        #: The braces are a hash tag: on a cluster all keys live on one node, where
        #: scripts can use them together.
        self.prefix = f"djq:{{{namespace}}}:"
        # One immediate retry: after a restart of the server the first use of a pooled
        # connection fails.
        self._client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - redis-py leaves parameters untyped
            url,
            decode_responses=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            **_keepalive(url),
            retry=Retry(NoBackoff(), 1),
            client_name="djq",
            driver_info=_DRIVER,
        )
        register = self._client.register_script
        self._scripts = {name: register(text) for name, text in _scripts().items()}

    def __repr__(self) -> str:
        """Return the address without its password."""
        return f"Server({masked(self.url)!r})"

    def key(self, *parts: str) -> str:
        """Return the full name of one of this installation's keys."""
        return self.prefix + ":".join(parts)

    def call(self, script: str, *arguments: str | int) -> Any:  # noqa: ANN401 - each script has its own answer
        """Run one script."""
        with self._door():
            return self._scripts[script](keys=[self.prefix], args=arguments)

    def call_many(self, script: str, calls: Iterable[Sequence[str | int]]) -> list[Any]:
        """Run one script many times in one round trip, not as one transaction."""
        with self._door(), self._pipeline() as pipeline:
            for arguments in calls:
                self._scripts[script](keys=[self.prefix], args=arguments, client=pipeline)
            return pipeline.execute()

    def read_text(self, *name: str) -> str | None:
        """Return the text under a name; None if there is none."""
        with self._door():
            return cast("str | None", self._client.get(self.key(*name)))

    def read_texts(self, names: Sequence[Sequence[str]]) -> list[str | None]:
        """Return the texts under several names; None where there is none."""
        if not names:
            return []
        with self._door():
            return cast("list[str | None]", self._client.mget([self.key(*n) for n in names]))

    def read_hash(self, *name: str) -> dict[str, str]:
        """Return all fields of a hash."""
        with self._door():
            return cast("dict[str, str]", self._client.hgetall(self.key(*name)))

    def remove_fields(self, *name: str, fields: Sequence[str]) -> None:
        """Remove fields of a hash."""
        with self._door():
            self._client.hdel(self.key(*name), *fields)

    def read_stream(
        self, name: str, after: str, *, wait_s: float, limit: int
    ) -> list[tuple[str, dict[str, str]]]:
        """Return entries of a stream after an id; wait for the first one, at most `wait_s`."""
        block = min(max(1, int(wait_s * 1000)), int(TIMEOUT_S * 500)) if wait_s > 0 else None
        with self._door():
            answer = self._client.xread({self.key(name): after}, count=limit, block=block)
        # redis-py types the answer of both protocol versions and of the asynchronous
        # client together.
        entries = cast("list[tuple[str, list[tuple[str, dict[str, str]]]]]", answer or [])
        return [entry for _, stream in entries for entry in stream]

    def add_entries(self, name: str, texts: Iterable[str]) -> None:
        """Add entries to a stream, each a text, in one round trip."""
        with self._door(), self._pipeline() as pipeline:
            for text in texts:
                pipeline.xadd(self.key(name), {"e": text}, maxlen=ENTRIES_KEPT)
            pipeline.execute()

    def last_id(self, name: str) -> str:
        """Return the id of a stream's newest entry; "0-0" if there is none."""
        with self._door():
            answer = cast(
                "list[tuple[str, dict[str, str]]]", self._client.xrevrange(self.key(name), count=1)
            )
        return answer[0][0] if answer else "0-0"

    def ping(self) -> None:
        """Check that the server answers.

        Raises
        ------
        RedisUnavailableError
            It does not; the message names the address and says what to do.
        """
        with self._door():
            self._client.ping()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves parameters untyped

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _pipeline(self) -> Pipeline:
        return self._client.pipeline(transaction=False)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves parameters untyped

    @contextmanager
    def _door(self) -> Generator[None]:
        try:
            yield
        except RedisError as error:
            message = (
                f"Redis at {masked(self.url)} did not answer: {str(error).rstrip('.')}. "
                "Check that the server runs there, and the address in DJQ_REDIS_URL"
            )
            raise RedisUnavailableError(message) from error


def open_server(settings: Settings) -> Server:
    """Return the server that the settings name; nothing is connected to it yet.

    Raises
    ------
    RedisUnavailableError
        None is configured.
    DatabaseError
        No namespace is set, and the database, which would say one, does not answer.
    """
    return Server(resolve_url(settings), namespace_of(settings))
