"""An S3-compatible bucket as a store."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, GenericError
from obstore.store import S3Store

from djq.errors import ConfigError, ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage.base import check_path

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from obstore.store import ClientConfig, RetryConfig, S3Config

    from djq.settings import StoreSettings

#: What Amazon takes for a bucket whose region is not set; other servers ignore it.
DEFAULT_REGION: Final = "us-east-1"
#: A server that restarts is back by then, and a lost one is reported soon enough.
_RETRIES: Final[RetryConfig] = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=3),
        "base": 2,
    },
}
#: The whole transfer may take long, silence in it may not.
_TIMEOUTS: Final[ClientConfig] = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(hours=1),
}


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
                "this process was forked from one that had used an S3 store, which its client does "
                'not survive: start it by "spawn", or use the store only after the fork'
            )
            raise StorageError(message)


_client: Final = _Client()


class BucketStore:
    """Objects in a bucket below one prefix.

    Parameters
    ----------
    client
        The bucket, prefix included.
    address
        How messages call it.
    """

    def __init__(self, client: S3Store, address: str) -> None:
        self._client = client
        self._address = address

    def __repr__(self) -> str:
        """Return the bucket and prefix."""
        return f"BucketStore({self._address!r})"

    def put(self, path: str, data: bytes) -> None:
        """Upload the object; large ones in parts that become one object at the end."""
        with self._our_errors("put", path):
            obstore.put(self._client, check_path(path), data)

    def get(self, path: str) -> bytes:
        """Return the object at `path`."""
        with self._our_errors("get", path):
            return bytes(obstore.get(self._client, check_path(path)).bytes())

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes from `start` on."""
        size = self.size(path)
        stop = min(size, start + length)
        if start >= stop:
            # Servers differ in what they answer to an empty range.
            return b""
        with self._our_errors("get", path):
            return bytes(obstore.get_range(self._client, path, start=start, end=stop))

    def exists(self, path: str) -> bool:
        """Return whether an object lies at `path`."""
        try:
            self.size(path)
        except ObjectMissingError:
            return False
        return True

    def size(self, path: str) -> int:
        """Return the object's size [bytes]."""
        with self._our_errors("size", path):
            return obstore.head(self._client, check_path(path))["size"]

    def delete(self, path: str) -> None:
        """Remove the object at `path`, if there is one."""
        try:
            with self._our_errors("delete", path):
                obstore.delete(self._client, check_path(path))
        except ObjectMissingError:
            return

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the paths of all objects in the folder `prefix`."""
        with self._our_errors("list", prefix):
            # Its other overloads need an optional library.
            pages = obstore.list(  # pyright: ignore[reportUnknownMemberType]
                self._client, check_path(prefix) if prefix else None
            )
            for page in pages:
                for item in page:
                    yield item["path"]

    @contextmanager
    def _our_errors(self, verb: str, path: str) -> Generator[None]:
        where = f"{verb} {path!r} in {self._address}"
        _client.check()
        try:
            yield
        except FileNotFoundError as error:
            if verb == "put":
                message = f"{where}: the bucket does not exist"
                raise StorageError(message) from error
            message = f"no object at {path!r} in {self._address}"
            raise ObjectMissingError(message) from error
        except GenericError as error:
            message = f"{where}: the store did not answer, also after retries: {error}"
            raise StoreUnavailableError(message) from error
        except (BaseError, PermissionError, ValueError, OSError) as error:
            message = f"{where}: {error}"
            raise StorageError(message) from error


def open_bucket(name: str, settings: StoreSettings) -> BucketStore:
    """Open the bucket and prefix that `settings.url` names: `s3://bucket/prefix`.

    Raises
    ------
    ConfigError
        The URL or the credentials are incomplete.
    """
    parts = urlsplit(settings.url)
    prefix = parts.path.strip("/")
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        message = f'store "{name}": its URL is not of the form s3://bucket/prefix'
        raise ConfigError(message)
    config: S3Config = {"region": settings.region or DEFAULT_REGION}
    if (settings.access_key is None) != (settings.secret_key is None):
        message = (
            f'store "{name}": set both access_key and secret_key, '
            "or neither to use those of the environment"
        )
        raise ConfigError(message)
    if settings.access_key is not None and settings.secret_key is not None:
        config["access_key_id"] = settings.access_key.get_secret_value()
        config["secret_access_key"] = settings.secret_key.get_secret_value()
    timeouts = _TIMEOUTS.copy()
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
        timeouts["allow_http"] = settings.endpoint.startswith("http://")
    client = S3Store(
        parts.netloc,
        prefix=prefix or None,
        config=config,
        client_options=timeouts,
        retry_config=_RETRIES,
    )
    return BucketStore(client, f"s3://{parts.netloc}/{prefix}".rstrip("/"))
