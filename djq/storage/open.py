"""A store's settings → the store; the only place that knows which schemes there are."""

from __future__ import annotations

import pkgutil
import re
from typing import TYPE_CHECKING, Final

from djq.errors import ConfigError
from djq.storage.content import ContentStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.settings import StoreSettings
    from djq.storage.base import ObjectStore

#: By name, so that a store's client loads only where such a store is used.
_SCHEMES: Final = {"file": "djq.storage.filesystem:open_folder", "s3": "djq.storage.s3:open_bucket"}
#: The extra that brings the client of each scheme.
_EXTRAS: Final = {"s3": "djq[s3]"}


def open_store(name: str, settings: StoreSettings) -> ContentStore:
    """Open the store `name`; nothing is asked of it yet.

    Raises
    ------
    ConfigError
        The URL or another setting is wrong, or an extra is not installed.
    """
    match = re.match(r"([a-z][a-z0-9+.-]*)://", settings.url, re.IGNORECASE)
    scheme = match[1].lower() if match else "file"
    if scheme not in _SCHEMES:
        known = ", ".join(f"{each}://" for each in _SCHEMES)
        message = (
            f'store "{name}": unknown scheme "{scheme}" in its URL; known: {known}, or a plain path'
        )
        raise ConfigError(message)
    try:
        opener: Callable[[str, StoreSettings], ObjectStore] = pkgutil.resolve_name(_SCHEMES[scheme])
    except ModuleNotFoundError as error:
        message = f"store \"{name}\" needs {error.name}: pip install '{_EXTRAS.get(scheme, 'djq')}'"
        raise ConfigError(message) from error
    return ContentStore(name, opener(name, settings))
