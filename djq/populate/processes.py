"""`populate(processes=N)`: children that make chunks of keys, which their parent hands out.

Errors come back as texts, and whatever kills a child is found out by its pipe.
"""

from __future__ import annotations

import logging
import os
import secrets
import selectors
import time
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any, cast

from djq.errors import DatabaseError, FleetError, MakeError
from djq.populate import child, slots
from djq.populate.children import Child
from djq.populate.display import open_display
from djq.populate.failures import JobError
from djq.populate.here import (
    WAIT_S,
    Pace,
    alone,
    bury,
    claims_of,
    count,
    ended_by_sigterm,
    losses_bearable,
    share_page,
    shared,
)
from djq.populate.keys import from_key_id, from_key_ids, key_id
from djq.populate.make import Assignment, Outcome, blame
from djq.populate.overruns import LOOK_S, Watch
from djq.populate.plan import made_keys
from djq.populate.reservations import LocalClaims, Settlement

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from djq.populate.here import Call
    from djq.populate.overruns import Overrun
    from djq.populate.reservations import Claims, Taken

logger = logging.getLogger("djq.populate")

#: A child that is asked to end has this long; then it is killed [s].
END_S = 5.0


def in_processes(call: Call, claims: Claims, n_processes: int) -> Generator[Outcome]:
    """Make keys in child processes; each key comes up once, whatever becomes of it."""
    pool = _Pool(call, claims, n_processes)
    try:
        yield from pool.run()
    finally:
        pool.close()


class _Pool:
    """The children of one call."""

    def __init__(self, call: Call, claims: Claims, n_processes: int) -> None:
        self._call = call
        self._claims = claims
        self._n_processes = n_processes
        self._owner = f"{os.getpid()}.{secrets.token_hex(4)}"
        self._children: list[Child] = []
        self._n_started = 0
        self._n_tried = 0
        #: Nothing was left when last asked; what comes back from a child has to be asked for again.
        self._is_done = False
        self._pace = Pace(call.table.schema.connection.settings.chunk_s)
        self._selector = selectors.DefaultSelector()
        self._watch = Watch(self._owner)
        self._next_look = 0.0

    def run(self) -> Iterator[Outcome]:
        """Hand out chunks until nothing is left."""
        child.preload([self._call.table])
        while True:
            is_waiting = False
            while not self._is_done and not is_waiting and (slot := self._idle()) is not None:
                wanted = self._wanted()
                if wanted < 1:
                    break
                taken = self._claims.take(slot, wanted)
                share_page(self._call, self._claims, taken)
                if taken.keys:
                    yield from self._hand_out(taken)
                is_waiting = not taken.keys and taken.read_after is None
                self._is_done = taken.is_done
            if not self._busy and (self._is_done or self._wanted() < 1):
                return
            # What a child says ends the wait in any case.
            yield from self._listen(WAIT_S if is_waiting and self._claims.is_shared else LOOK_S)

    @property
    def _busy(self) -> list[Child]:
        return [c for c in self._children if not c.is_idle]

    def _idle(self) -> str | None:
        """Return a slot with nothing to make; its child is started with its first keys."""
        for one in self._children:
            if one.is_idle:
                return one.slot
        if len(self._children) < self._n_processes:
            return f"{self._n_started + 1}"
        return None

    def _wanted(self) -> int:
        most = self._call.max_calls
        if most is None:
            return self._pace.n_keys
        in_hand = sum(len(c.settlement.taken.keys) for c in self._children if c.settlement)
        return min(self._pace.n_keys, most - self._n_tried - in_hand)

    def _hand_out(self, taken: Taken) -> Iterator[Outcome]:
        one = next((c for c in self._children if c.slot == taken.slot), None)
        if one is None:
            self._n_started += 1
            one = Child(self._call, taken.slot, self._owner, self._children)
            self._children.append(one)
            self._selector.register(one.from_child, selectors.EVENT_READ, one)
        one.settlement = settlement = Settlement(taken)
        for key, outcome in bury(self._call, taken):
            settlement.note(key, outcome)
            yield outcome
        keys, is_shared = losses_bearable(taken), self._claims.is_shared
        one.send({"keys": keys, "worker": taken.worker, "is_shared": is_shared})

    def _listen(self, wait_s: float) -> Iterator[Outcome]:
        if not self._children:
            time.sleep(wait_s)
            return
        if time.monotonic() >= self._next_look:
            self._watch.look((one.slot, one.pid) for one in self._children)
            self._next_look = time.monotonic() + LOOK_S
        for event, _ in self._selector.select(wait_s):
            one = cast("Child", event.data)
            messages = one.read()
            if messages is None:
                yield from self._lose(one)
                continue
            for message in messages:
                yield from self._hear(one, message)

    def _hear(self, one: Child, message: Mapping[str, Any]) -> Iterator[Outcome]:
        settlement = one.settlement
        if "is_ready" in message:
            one.is_ready = True
            return
        if settlement is None:
            return
        if "holds" in message:
            one.send({"is_held": self._claims.holds(settlement.taken, message["holds"])})
            return
        for key, status, seconds, error in message["outcomes"]:
            found = from_key_id(self._call.table.job_heading, key)
            told = None
            if error is not None:
                text, trace, fingerprint, wait_s = error
                told = JobError(text, trace, fingerprint, retry_after_s=wait_s)
            outcome = Outcome(found, status, seconds, told)
            settlement.note(key, outcome)
            yield outcome
        if message["is_last"]:
            one.settlement = None
            self._is_done = False
            self._n_tried += settlement.n_tried
            self._claims.release(settlement)
            self._pace.learn(settlement)

    def _lose(self, one: Child) -> Iterator[Outcome]:
        """Replace a child that died: its keys are free, and the one in hand is counted."""
        found = slots.in_hand(self._owner, one.slot)
        autopsies = self._watch.autopsy([one.slot])
        self._drop(one, 0.0)
        settlement = one.settlement
        if not one.is_ready:
            message = (
                f"a child process of {self._call.table.spec.display_name}.populate(processes=…) "
                "could not start; what it printed is on standard error"
            )
            raise MakeError(message)
        if settlement is None:
            return
        yield from self._untold(settlement)
        in_hand = found.key if found is not None and found.key in settlement.untouched else ""
        overrun, _ = autopsies.get(one.slot, (None, None))
        if overrun is not None and in_hand:
            yield self._blame(settlement, in_hand, overrun)
        self._is_done = False
        self._n_tried += settlement.n_tried
        if one.slot in autopsies and (in_hand or overrun is None):
            self._claims.release(settlement)
        else:
            self._claims.lose(settlement, in_hand)

    def _untold(self, settlement: Settlement) -> Iterator[Outcome]:
        """Note what a dead child committed and did not tell: nobody else can have made its keys."""
        heading = self._call.table.job_heading
        for key in made_keys(self._call.table, from_key_ids(heading, settlement.untouched)):
            outcome = Outcome(key, "made")
            settlement.note(key_id(heading, key), outcome)
            yield outcome

    def _blame(self, settlement: Settlement, in_hand: str, overrun: Overrun) -> Outcome:
        """Record a key whose process was killed for it."""
        table = self._call.table
        outcome = blame(Assignment(table), from_key_id(table.job_heading, in_hand), overrun)
        settlement.note(in_hand, outcome)
        return outcome

    def _drop(self, one: Child, wait_s: float) -> None:
        self._selector.unregister(one.from_child)
        self._children.remove(one)
        one.join(time.monotonic() + wait_s)

    def close(self) -> None:
        """End all children, then give back what they had."""
        ended = list(self._children)
        for one in ended:
            one.end()
        until = time.monotonic() + END_S
        with closing(self._selector):
            for one in ended:
                self._drop(one, max(0.0, until - time.monotonic()))
            self._give_back([one.settlement for one in ended if one.settlement is not None])

    def _give_back(self, settlements: Sequence[Settlement]) -> None:
        """Release chunks whose children ended; the call ends, and what ended it is not hidden."""
        try:
            for settlement in settlements:
                with suppress(DatabaseError):
                    list(self._untold(settlement))
                self._claims.release(settlement)
        except FleetError as error:
            # The end of the claims frees the rest, or of their lease: asking on would take as long.
            logger.warning("release_failed: %s", error)


def populate_here(
    call: Call, *, reserve_jobs: bool, processes: int, display_progress: bool
) -> dict[str, Any]:
    """Make due keys in this process or in children of it; return what `populate` returns."""
    with ExitStack() as stack:
        display = stack.enter_context(open_display(wanted=display_progress))
        shown = display if display_progress else None
        if not reserve_jobs and processes == 1:
            return count(call, alone(call), shown)
        stack.enter_context(ended_by_sigterm())
        claims = stack.enter_context(claims_of(call) if reserve_jobs else closing(LocalClaims()))
        if processes == 1:
            return count(call, shared(call, claims), shown)
        return count(call, in_processes(call, claims, processes), shown)
