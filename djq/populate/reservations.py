"""`Claims`: who makes which key of one `populate` call; the contract, and the in-process one."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.populate.make import Outcome, Status


@dataclass(frozen=True, slots=True)
class Taken:
    """What one process may make now; keys are ids, as of `populate/keys.py`."""

    slot: str
    keys: tuple[str, ...]
    #: Name of whoever makes them, for the rows' provenance.
    worker: str = ""
    #: For keys that were lost with dying processes: how often.
    losses: Mapping[str, int] = field(default_factory=dict[str, int])
    #: The caller has to read the due keys behind this one ("": the first) and `share` them.
    read_after: str | None = None
    #: Nothing is left that was due when the call began.
    is_done: bool = False


@dataclass(slots=True)
class Settlement:
    """What became of the keys of one chunk."""

    taken: Taken
    groups: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    #: Key id -> message.
    failed: dict[str, str] = field(default_factory=dict[str, str])
    #: Key id -> after how long it is tried again [s].
    retries: dict[str, float] = field(default_factory=dict[str, float])
    #: Time spent on keys that were made, failed or empty [s].
    seconds: float = 0.0
    n_tried: int = 0

    def note(self, key: str, outcome: Outcome) -> None:
        """Note one key's outcome."""
        if outcome.status in ("made", "failed", "empty"):
            self.seconds += outcome.seconds
            self.n_tried += 1
        if outcome.status == "failed":
            self.failed[key] = outcome.error.message if outcome.error is not None else ""
            if outcome.error is not None and outcome.error.retry_after_s is not None:
                self.retries[key] = outcome.error.retry_after_s
        else:
            self.groups.setdefault(outcome.status, []).append(key)

    def group(self, status: Status) -> tuple[str, ...]:
        """Return the keys with this outcome."""
        return tuple(self.groups.get(status, ()))

    @property
    def untouched(self) -> tuple[str, ...]:
        """Keys without an outcome: they go back."""
        known = {key for keys in self.groups.values() for key in keys} | self.failed.keys()
        return tuple(key for key in self.taken.keys if key not in known)


class Claims(Protocol):
    """The reservations of one `populate` call; a slot is one of its processes.

    A slot makes one chunk at a time: take, make, release.
    """

    #: Whether others take and read keys, too: there may be more at any time, not just by a release.
    is_shared: ClassVar[bool]

    def take(self, slot: str, wanted: int) -> Taken:
        """Reserve at most `wanted` due keys that nobody else has.

        Raises
        ------
        RedisUnavailableError
            The server does not answer, for long.
        """
        ...

    def share(self, taken: Taken, keys: Sequence[str], *, is_last: bool) -> None:
        """Hand over the due keys that `take` asked to read; is_last: there are no more."""
        ...

    def begin(self, taken: Taken, key: str) -> None:
        """Note that a process begins this key: if it dies, this key may be why."""
        ...

    def holds(self, taken: Taken, key: str) -> bool:
        """Tell whether this key may be committed."""
        ...

    def release(self, settlement: Settlement) -> None:
        """Free the keys of a chunk, and tell others what became of them."""
        ...

    def lose(self, settlement: Settlement, in_hand: str) -> None:
        """Free the keys of a process that died with this one in hand; "": not known."""
        ...

    def close(self) -> None:
        """Give back whatever is still held."""
        ...


class LocalClaims:
    """Claims of one call whose processes compete with nobody else's."""

    is_shared: ClassVar[bool] = False

    def __init__(self) -> None:
        self._ready: deque[str] = deque()
        self._after: str | None = ""
        self._is_reading = False
        self._taken: dict[str, Taken] = {}
        self._losses: Counter[str] = Counter()

    def take(self, slot: str, wanted: int) -> Taken:
        """Take keys; a key that a process died with is taken alone."""
        keys: list[str] = []
        while self._ready and len(keys) < wanted:
            is_suspect = self._ready[0] in self._losses
            if is_suspect and keys:
                break
            keys.append(self._ready.popleft())
            if is_suspect:
                break
        is_low = len(self._ready) < 2 * wanted
        read_after = self._after if is_low and not self._is_reading else None
        self._is_reading = self._is_reading or read_after is not None
        taken = Taken(
            slot,
            tuple(keys),
            losses={key: n for key in keys if (n := self._losses[key])},
            read_after=read_after,
            is_done=not (keys or self._ready or self._taken or self._after is not None),
        )
        if keys:
            self._taken[slot] = taken
        return taken

    def share(self, taken: Taken, keys: Sequence[str], *, is_last: bool) -> None:
        """Add a page of due keys."""
        self._is_reading = False
        self._ready.extend(keys)
        self._after = None if is_last else keys[-1] if keys else taken.read_after

    def begin(self, taken: Taken, key: str) -> None:
        """Nobody else needs to know."""

    def holds(self, taken: Taken, key: str) -> bool:  # noqa: ARG002 - nobody else can have it
        """Tell that the key is ours."""
        return True

    def release(self, settlement: Settlement) -> None:
        """Put what was not touched back."""
        self._put_back(settlement)

    def lose(self, settlement: Settlement, in_hand: str) -> None:
        """Put the keys of a dead process back, as far as nothing became of them."""
        is_known = bool(in_hand) or len(settlement.taken.keys) == 1
        for key in [in_hand] if in_hand else settlement.untouched:
            self._losses[key] += is_known
        self._put_back(settlement)

    def _put_back(self, settlement: Settlement) -> None:
        self._taken.pop(settlement.taken.slot, None)
        self._ready.extendleft(reversed(settlement.untouched))
        self._ready.extendleft(reversed(settlement.group("returned")))

    def close(self) -> None:
        """Hold nothing any more."""
        self._taken.clear()
