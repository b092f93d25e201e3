"""Errors of stores, with the store's name: a store itself does not know how settings call it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from djq.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def naming(store: str) -> Generator[None]:
    """Let errors say of which store they are; "": as they are."""
    try:
        yield
    except StorageError as error:
        if not store:
            raise
        message = f'store "{store}": {error}'
        raise type(error)(message) from error
