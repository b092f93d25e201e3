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
            fleet, chunks = reservations.holders.look(), reservations.chunks()
    except RedisUnavailableError:
        return Census()
    reserved: dict[str, list[str]] = {}
    for chunk in chunks:
        if chunk.is_reserved and chunk.main not in fleet.silent:
            reserved.setdefault(chunk.table, []).extend(chunk.keys)
    return Census(fleet.slots, reserved)
