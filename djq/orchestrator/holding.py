"""What reservations are about: holders, chunks in flight, claims; values."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

NO_UNITS: Mapping[str, tuple[int, int]] = MappingProxyType({})
NOTHING_IN_HAND: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reservation:
    """The keys of a chunk that one holder may make, and the proof of it."""

    chunk: str
    run: str
    table: str
    keys: tuple[str, ...]
    holder: str
    #: Grows with every reservation, as long as Redis remembers; compared for equality only.
    token: int
    #: Which memory of Redis the token belongs to.
    epoch: str
    #: What is limited and used up, if that is why there are no keys.
    short_of: str = ""


#: What a chunk needs of what is limited across the fleet: name -> (units, limit).
Units: TypeAlias = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Search:
    """A search for due keys that several processes share, as one of them sees it."""

    #: Equal for those that share it: the table and a digest of the restrictions.
    id: str
    table: str
    run: str
    #: The round to end with; 0 before the first claim.
    last_round: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a process got of a search."""

    reservation: Reservation
    #: The search, to claim with next.
    search: Search
    #: For keys that were lost with dying workers: how often.
    losses: Mapping[str, int]
    #: The caller has to read the page behind this key ("": the first) and `add_page` it.
    read_after: str | None
    #: Of the page.
    round: int
    #: Nothing is left that was due when the process first asked.
    is_done: bool


@dataclass(frozen=True, slots=True)
class Main:
    """What a main process says of itself with each heartbeat."""

    id: str
    host: str = ""
    pid: int = 0
    #: Chunks that its pool works on at the same time.
    slots: int = 0
    tables: tuple[str, ...] = ()
    #: The queues that it takes messages from.
    queues: tuple[str, ...] = ()
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Census:
    """One look at the fleet."""

    epoch: str
    mains: tuple[Main, ...]
    #: Main processes whose heartbeat ended; `reap` has freed their keys.
    silent: tuple[str, ...] = ()

    @property
    def slots(self) -> int:
        """Chunks that the fleet works on at the same time."""
        return sum(main.slots for main in self.mains if not main.is_stopping)


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """What Redis knows of a chunk in flight."""

    id: str
    table: str
    run: str
    keys: tuple[str, ...]
    is_reserved: bool
    #: The main process of its holder.
    main: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer to "is this key still mine?"."""

    is_held: bool
    #: The worker is shutting down: finish this key, give the others back.
    is_stopping: bool = False


def new_main_id() -> str:
    """Return an identity for this process that no other process ever had."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def holder_id(main: str, slot: int | str) -> str:
    """Return the identity of one pool process of a main process."""
    return f"{main}/{slot}"


def main_of(holder: str) -> str:
    """Return the main process of one of its pool processes."""
    return holder.rpartition("/")[0]
