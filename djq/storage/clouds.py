"""Settings → a bucket: Amazon's S3 and what speaks it, Google's, Azure's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from djq.errors import ConfigError
from djq.storage.bucket import BucketStore
from djq.storage.client import RETRIES, TIMEOUTS, CloudClient
from djq.storage.relayed import RelayClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import ObjectStore as CloudStore

    from djq.settings import StoreSettings

#: What Amazon takes for a bucket whose region is not set; other servers ignore it.
DEFAULT_REGION: Final = "us-east-1"
#: `abfs://container@account.dfs.core.windows.net/prefix`, as other tools write it.
_AZURE_HOST: Final = ".core.windows.net"


def open_s3(name: str, settings: StoreSettings) -> BucketStore:
    """Open the bucket and prefix that `settings.url` names: `s3://bucket/prefix`.

    Raises
    ------
    ConfigError
        The URL or the credentials are incomplete, or an option is unknown.
    """
    bucket, prefix = _place(name, settings)
    config: dict[str, Any] = {"region": settings.region or DEFAULT_REGION}
    if (settings.access_key is None) != (settings.secret_key is None):
        message = (
            f'store "{name}": set both access_key and secret_key, '
            "or neither to use those of the environment"
        )
        raise ConfigError(message)
    if settings.access_key is not None and settings.secret_key is not None:
        config["access_key_id"] = settings.access_key.get_secret_value()
        config["secret_access_key"] = settings.secret_key.get_secret_value()
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    return _open(S3Store, name, settings, (bucket, prefix), config)


def open_google(name: str, settings: StoreSettings) -> BucketStore:
    """Open the bucket and prefix that `settings.url` names: `gs://bucket/prefix`.

    Raises
    ------
    ConfigError
        The URL is incomplete, or an option is unknown.
    """
    _refuse_keys(name, settings, 'service_account or service_account_key in "options"')
    config = {} if settings.endpoint is None else {"base_url": settings.endpoint}
    return _open(GCSStore, name, settings, _place(name, settings), config)


def open_azure(name: str, settings: StoreSettings) -> BucketStore:
    """Open the container and prefix that `settings.url` names: `az://container/prefix`.

    Raises
    ------
    ConfigError
        The URL is incomplete, or an option is unknown.
    """
    _refuse_keys(name, settings, 'account_name and account_key in "options"')
    container, prefix = _place(name, settings)
    config: dict[str, Any] = {}
    if "@" in container:
        container, _, host = container.partition("@")
        config["account_name"] = host.split(".", 1)[0]
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    return _open(AzureStore, name, settings, (container, prefix), config)


def _place(name: str, settings: StoreSettings) -> tuple[str, str]:
    """Return the bucket and the prefix within it."""
    parts = urlsplit(settings.url)
    scheme = parts.scheme.lower()
    is_azure = scheme.startswith("abfs") and parts.netloc.endswith(_AZURE_HOST)
    if not parts.hostname or parts.query or parts.fragment or ("@" in parts.netloc) != is_azure:
        message = f'store "{name}": its URL is not of the form {scheme}://bucket/prefix'
        raise ConfigError(message)
    return parts.netloc, parts.path.strip("/")


def _refuse_keys(name: str, settings: StoreSettings, instead: str) -> None:
    for field in ("access_key", "secret_key", "region"):
        if getattr(settings, field) is not None:
            message = f'store "{name}": {field} is for S3 only; set {instead}'
            raise ConfigError(message)


def _open(
    kind: Callable[..., CloudStore],
    name: str,
    settings: StoreSettings,
    place: tuple[str, str],
    config: dict[str, Any],
) -> BucketStore:
    bucket, prefix = place
    plain = settings.plain_options
    client = TIMEOUTS.copy()
    if settings.endpoint is not None:
        client["allow_http"] = settings.endpoint.startswith("http://")
    try:
        store = kind(
            bucket,
            prefix=prefix or None,
            config=config | plain,
            client_options=client,
            retry_config=RETRIES,
        )
    except (BaseError, ValueError, TypeError) as error:
        # What the client says may show what it was given.
        text = str(error).split("\n", 1)[0]
        for value in plain.values():
            text = text.replace(str(value), "…")
        message = f'store "{name}": {text}'
        raise ConfigError(message) from None
    scheme = settings.url.split(":", 1)[0].lower()
    address = f"{scheme}://{bucket}/{prefix}".rstrip("/")
    return BucketStore(CloudClient(store, address), RelayClient(name, settings, address), address)
