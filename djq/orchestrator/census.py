"""The fleet in the eyes of those who plan: slots, and keys that are being made."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from djq.errors import RedisUnavailableError
from djq.orchestrator.reservations import Reservations
from djq.populate.census import Census

if TYPE_CHECKING:
    from djq.settings import Settings


def look(settings: Settings) -> Census:
    """Return what Redis knows; nothing where none is configured or it does not answer."""
    try:
        reservations = Reservations.open(settings)
        with contextlib.closing(reservations.server):
            slots, chunks = reservations.holders.reap().slots, reservations.chunks()
    except RedisUnavailableError:
        return Census()
    reserved: dict[str, tuple[str, ...]] = {}
    for chunk in chunks:
        if chunk.is_reserved:
            reserved[chunk.table] = (*reserved.get(chunk.table, ()), *chunk.keys)
    return Census(slots, reserved, is_there=True)
