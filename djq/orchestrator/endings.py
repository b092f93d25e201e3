"""When a worker ends by itself: nothing to do, out of time, or stuck; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from djq.errors import UsageError

#: Messages wait, slots are free, and nothing was begun for so long: the worker is stuck [s].
STUCK_S = 120.0

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> float:
    """Return the seconds of "90", "90s", "30m", "4h", "2d" or of Slurm's "1-12:00:00".

    Raises
    ------
    UsageError
        It is none of these.
    """
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip()):
        return float(found[1]) * _SECONDS[found[2]]
    if found := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d{2}):(\d{2})", text.strip()):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    message = f'"{text}" is no duration: write 90s, 30m, 4h, 2d or 1-12:00:00'
    raise UsageError(message)


class Verdict(Enum):
    """What a worker is to do."""

    STAY = "stay"
    #: End in good order: nothing new is begun.
    DRAIN = "drain"
    #: The same, and say that something is wrong, so that a supervisor starts it again.
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Rules:
    """When a worker ends by itself.

    Raises
    ------
    UsageError
        The time is too short for the grace period.
    """

    #: After so long without work; None: never [s].
    idle_s: float | None = None
    #: After so long in all, the grace period included; None: never [s].
    max_time_s: float | None = None
    #: A key that runs may go on for so long when the worker ends, then it goes back [s].
    grace_s: float = 30.0
    stuck_s: float = STUCK_S

    def __post_init__(self) -> None:
        """Check that there is time to work."""
        if self.max_time_s is not None and self.max_time_s <= self.grace_s:
            message = (
                f"a worker with {self.max_time_s:g} s in all would never begin: its keys may go on "
                f"for {self.grace_s:g} s when it ends (grace_s of its queue in fleet.toml)"
            )
            raise UsageError(message)


@dataclass(frozen=True, slots=True)
class Sight:
    """A worker at one moment."""

    n_slots: int
    n_busy: int
    #: Chunks begun or refused so far.
    n_begun: int
    #: Messages in its queues; None: the broker did not answer.
    n_waiting: int | None


@dataclass(slots=True)
class Endings:
    """What a worker's rules say, look by look; `now` are seconds that never go back."""

    rules: Rules
    began: float
    _n_begun: int = 0
    #: Last time that there was anything to do.
    _active: float = field(init=False)
    #: Since when messages wait beside free slots.
    _stuck_since: float | None = None

    def __post_init__(self) -> None:
        """Count the beginning as activity."""
        self._active = self.began

    def decide(self, now: float, sight: Sight) -> tuple[Verdict, str]:
        """Return what to do, and why in words."""
        has_begun = sight.n_begun != self._n_begun
        self._n_begun = sight.n_begun
        if has_begun or sight.n_busy or sight.n_waiting != 0:
            self._active = now
        if has_begun or not sight.n_waiting or sight.n_busy >= sight.n_slots:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        return self._verdict(now, sight)

    def _verdict(self, now: float, sight: Sight) -> tuple[Verdict, str]:
        rules = self.rules
        if self._stuck_since is not None and now - self._stuck_since >= rules.stuck_s:
            why = (
                f"{sight.n_waiting} messages wait, {sight.n_slots - sight.n_busy} slots are free, "
                f"and nothing was begun for {now - self._stuck_since:.0f} s"
            )
            return Verdict.FAIL, why
        last_s = inf if rules.max_time_s is None else rules.max_time_s - rules.grace_s
        if now - self.began >= last_s:
            return Verdict.DRAIN, f"its {rules.max_time_s:g} s are over but for the grace period"
        if rules.idle_s is not None and now - self._active >= rules.idle_s:
            return Verdict.DRAIN, f"nothing to do for {now - self._active:.0f} s"
        return Verdict.STAY, ""
