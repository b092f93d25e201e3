"""An S3-compatible bucket as a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from obstore.store import S3Store

from djq.errors import ConfigError
from djq.storage.bucket import RETRIES, TIMEOUTS, BucketStore

if TYPE_CHECKING:
    from obstore.store import S3Config

    from djq.settings import StoreSettings

#: What Amazon takes for a bucket whose region is not set; other servers ignore it.
DEFAULT_REGION: Final = "us-east-1"


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
    timeouts = TIMEOUTS.copy()
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
        timeouts["allow_http"] = settings.endpoint.startswith("http://")
    client = S3Store(
        parts.netloc,
        prefix=prefix or None,
        config=config,
        client_options=timeouts,
        retry_config=RETRIES,
    )
    return BucketStore(client, f"s3://{parts.netloc}/{prefix}".rstrip("/"))
