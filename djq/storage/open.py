"""A store's settings → the store; the only place that knows which schemes there are."""

from __future__ import annotations

import pkgutil
import re
from typing import TYPE_CHECKING, Final

from djq.errors import ConfigError
from djq.storage.content import ContentStore
from djq.storage.transfers import N_THREADS

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.settings import StoreSettings
    from djq.storage.base import ObjectStore

#: A disk has no way to wait for that more threads would fill.
FOLDER_THREADS: Final = 4
#: By name, so that a store's client loads only where such a store is used.
_SCHEMES: Final = {
    "file": "djq.storage.filesystem:open_folder",
    "s3": "djq.storage.clouds:open_s3",
    "gs": "djq.storage.clouds:open_google",
    "az": "djq.storage.clouds:open_azure",
    "abfs": "djq.storage.clouds:open_azure",
    "abfss": "djq.storage.clouds:open_azure",
}
#: Any other scheme.
_OTHERS: Final = "djq.storage.fsspec:open_filesystem"
#: The extra that brings the client of each.
_EXTRAS: Final = {"djq.storage.clouds": "djq[s3]", "djq.storage.fsspec": "djq[fsspec]"}


def open_store(name: str, settings: StoreSettings) -> ContentStore:
    """Open the store `name`; nothing is asked of it yet.

    Raises
    ------
    ConfigError
        The URL or another setting is wrong, or an extra is not installed.
    """
    match = re.match(r"([a-z][a-z0-9+.-]*)://", settings.url, re.IGNORECASE)
    scheme = match[1].lower() if match else "file"
    door = _SCHEMES.get(scheme, _OTHERS)
    try:
        opener: Callable[[str, StoreSettings], ObjectStore] = pkgutil.resolve_name(door)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(door.split(":")[0], "djq")
        message = f"store \"{name}\" ({scheme}://) needs {error.name}: pip install '{extra}'"
        if door == _OTHERS:
            message += f"; without it there are {', '.join(f'{each}://' for each in _SCHEMES)}"
        raise ConfigError(message) from error
    n_threads = FOLDER_THREADS if scheme == "file" else N_THREADS
    return ContentStore(name, opener(name, settings), n_threads)
