"""Processes that take more than their keys may: found by another process, and killed."""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from djq.errors import OutOfMemoryError, TimeLimitError
from djq.populate import slots

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djq.errors import MakeError
    from djq.populate.slots import InHand

logger = logging.getLogger("djq.limits")

#: Processes are looked at this often [s].
LOOK_S = 0.5

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Overrun:
    """A key whose process was killed for what it took."""

    key: str
    #: As of `InHand`: tells whether the process went on to another key before it died.
    begun: float
    #: How long the key had taken [s].
    seconds: float
    #: Why, in words that go behind "its process was killed".
    reason: str
    is_memory: bool = False

    def error(self, place: str) -> MakeError:
        """Return the error of the key; `place` says of which table and key."""
        message = f"{place}: its process was killed {self.reason}"
        return OutOfMemoryError(message) if self.is_memory else TimeLimitError(message)


@dataclass(slots=True)
class Watch:
    """What a process knows of the children that make keys for it.

    Parameters
    ----------
    owner
        Identity under which their slots are found.
    """

    owner: str
    #: By slot: what was killed, and what each process held when it was last looked at [bytes].
    _overruns: dict[str, Overrun] = field(default_factory=dict[str, Overrun])
    _held: dict[str, int] = field(default_factory=dict[str, int])
    #: The kernel's count at the last two looks: a process that died is seen by the next one.
    _n_kills: tuple[int | None, int | None] = field(
        default_factory=lambda: (n_kernel_kills(), n_kernel_kills())
    )

    def look(self, pids: Iterable[tuple[str, int]]) -> None:
        """Kill those of the processes, named by slot and id, that take more than they may."""
        for slot, pid in pids:
            hand = slots.in_hand(self.owner, slot)
            if hand is None or slot in self._overruns:
                continue
            held = self._held[slot] = resident_bytes(pid) or 0
            overrun = _judge(hand, held, time.monotonic())
            # It may have gone on to the next key meanwhile.
            if overrun is None or slots.in_hand(self.owner, slot) != hand:
                continue
            logger.warning("killed: process %d, with %s in hand, %s", pid, hand.key, overrun.reason)
            self._overruns[slot] = overrun
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._n_kills = self._n_kills[1], n_kernel_kills()

    def autopsy(self, dead: Iterable[str]) -> dict[str, tuple[Overrun | None, InHand | None]]:
        """Return of dead processes, by slot, those that did not just die, and what was in hand.

        None for an overrun: the key was done before its process was killed.
        """
        found: dict[str, tuple[Overrun | None, InHand | None]] = {}
        unexplained: dict[str, InHand] = {}
        for slot in dead:
            hand, overrun = slots.in_hand(self.owner, slot), self._overruns.pop(slot, None)
            if overrun is not None:
                is_same = hand is not None and hand.begun == overrun.begun
                found[slot] = overrun if is_same else None, hand
            elif hand is not None:
                unexplained[slot] = hand
        if unexplained and self._is_kernels_work(len(unexplained)):
            found |= {s: (self._starved(s, hand), hand) for s, hand in unexplained.items()}
        for slot in dead:
            self._held.pop(slot, None)
        return found

    def _is_kernels_work(self, n_dead: int) -> bool:
        """Tell whether the kernel killed so many for memory since the last looks."""
        before, now = self._n_kills[0], n_kernel_kills()
        return before is not None and now is not None and now - before >= n_dead

    def _starved(self, slot: str, hand: InHand) -> Overrun:
        held = self._held.get(slot, 0)
        reason = (
            "by the kernel, since there was no memory left"
            f"{f'; it held {shown(held)} when last looked at' if held else ''}"
            f"{f', and may hold {shown(hand.memory_bytes)}' if hand.memory_bytes else ''}"
        )
        seconds = time.monotonic() - hand.begun
        return Overrun(hand.key, hand.begun, seconds, reason, is_memory=True)


def _judge(hand: InHand, held: int, now: float) -> Overrun | None:
    """Return what a key takes too much of, None if nothing."""
    seconds = now - hand.begun
    if hand.memory_bytes and held > hand.memory_bytes:
        reason = f"when it held {shown(held)} of memory: the limit is {shown(hand.memory_bytes)}"
        return Overrun(hand.key, hand.begun, seconds, reason, is_memory=True)
    if hand.deadline and now > hand.deadline:
        limit_s = hand.deadline - hand.begun
        reason = f"after {seconds:.1f} s: the limit is {limit_s:g} s (time_limit_s)"
        return Overrun(hand.key, hand.begun, seconds, reason)
    return None


def resident_bytes(pid: int) -> int | None:
    """Return the memory that a process holds; None where the system does not tell, or it ended."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def n_kernel_kills() -> int | None:
    """Return how many processes of our control group the kernel killed for memory, if known."""
    for path in _counters():
        with suppress(OSError):
            found = _KILLS.search(path.read_text(encoding="ascii"))
            if found is not None:
                return int(found[1])
    return None


def _counters() -> list[Path]:
    """Return the files that may count them, of both versions; a container's are at the top."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        inside = group.lstrip("/")
        if not controllers:
            found += [_CGROUPS / inside / "memory.events", _CGROUPS / "memory.events"]
        elif "memory" in controllers.split(","):
            top = _CGROUPS / "memory"
            found += [top / inside / "memory.oom_control", top / "memory.oom_control"]
    return found


def shown(n_bytes: int) -> str:
    """Return a size for people."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes:,} bytes"
