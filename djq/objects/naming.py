"""Errors of stores, with the row and the store's name: a store itself knows neither."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from djq.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def naming(where: str) -> Generator[None]:
    """Let errors say of which row and store they are; "": as they are."""
    try:
        yield
    except StorageError as error:
        if not where:
            raise
        message = f"{where}: {error}"
        raise type(error)(message) from error
