"""`populate(reserve_jobs=True)`: the claims of ordinary processes, in the fleet's reservations."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

from djq.errors import RedisUnavailableError
from djq.orchestrator.events import MESSAGE_LENGTH, Released
from djq.orchestrator.holding import Claim, Main, Search, holder_id, new_main_id
from djq.orchestrator.pulse import Heart
from djq.orchestrator.reservations import Reservations
from djq.populate.reservations import Taken
from djq.populate.slots import MAIN_SLOT, Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from djq.populate.reservations import Settlement
    from djq.settings import Settings

logger = logging.getLogger("djq.populate")

#: Runs of `populate` have names that begin like this.
POPULATE_PREFIX = "p-"
#: Redis may be away for so long in the middle of a call, while it restarts [s].
PATIENCE_S = 60.0
#: First and longest wait before it is asked again [s].
MIN_RETRY_S, MAX_RETRY_S = 0.1, 2.0

Answer = TypeVar("Answer")


class FleetClaims:
    """Keeps the contract `djq.populate.reservations.Claims` with the fleet's reservations.

    Parameters
    ----------
    table
        Display name of the table.
    search
        Equal for calls that look for the same keys: they share the search.
    """

    is_shared: ClassVar[bool] = True

    def __init__(self, settings: Settings, table: str, search: str) -> None:
        self._settings = settings
        self._main = Main(new_main_id(), host=socket.gethostname(), pid=os.getpid())
        self._reservations = Reservations.open(settings)
        self._search = Search(search, table, f"{POPULATE_PREFIX}{secrets.token_hex(4)}")
        self._numbers = itertools.count(1)
        #: What was claimed last, by slot.
        self._claims: dict[str, Claim] = {}
        self._heart: Heart | None = None
        self._slot: Slot | None = None
        try:
            self._reservations.server.ping()
        except BaseException:
            self._reservations.server.close()
            raise

    def take(self, slot: str, wanted: int) -> Taken:
        """Claim keys; the first ones start the helper that keeps them."""
        chunk = f"{self._search.run}.{next(self._numbers)}"
        holder = holder_id(self._main.id, slot)
        claim = _patiently(
            lambda: self._reservations.searches.claim(self._search, chunk, holder, wanted),
            "claim keys",
        )
        self._search = claim.search
        self._claims[slot] = claim
        keys = claim.reservation.keys
        if keys:
            self._live()
        return Taken(slot, keys, holder, claim.losses, claim.read_after, claim.is_done)

    def share(self, taken: Taken, keys: Sequence[str], *, is_last: bool) -> None:
        """Add a page of due keys for all who share the search."""
        claim = self._claims[taken.slot]
        _patiently(
            lambda: self._reservations.searches.add_page(claim, keys, is_last=is_last),
            "share due keys",
        )

    def begin(self, taken: Taken, key: str) -> None:
        """Note the key where the helper finds it."""
        if taken.slot == MAIN_SLOT and self._slot is not None:
            self._slot.take(key)

    def holds(self, taken: Taken, key: str) -> bool:
        """Tell whether a key may be committed; yes, if Redis does not answer.

        What is done should not be thrown away, and the table's unique key lets only one result in.
        """
        try:
            return self._reservations.holds(self._claims[taken.slot].reservation, key).is_held
        except RedisUnavailableError as error:
            logger.warning("redis_unavailable: committing by the unique key alone: %s", error)
            return True

    def release(self, settlement: Settlement) -> None:
        """Free a chunk's keys and announce their outcomes, as a worker of the fleet does."""
        if self._slot is not None:
            self._slot.drop()
        s = settlement
        held = self._claims[s.taken.slot].reservation
        outcome = Released(
            held.table,
            held.chunk,
            held.run,
            made=s.group("made"),
            exists=s.group("exists"),
            failed=tuple((key, text[:MESSAGE_LENGTH]) for key, text in s.failed.items()),
            retries=tuple(s.retries.items()),
            empty=s.group("empty"),
            returned=(*s.group("returned"), *s.untouched),
            lost=s.group("lost"),
            seconds=s.seconds,
            worker=held.holder,
        )
        _patiently(lambda: self._reservations.release(held, outcome), "release a chunk")
        if outcome.returned:
            self._look_again()

    def lose(self, settlement: Settlement, in_hand: str) -> None:
        """Free what a dead child held, and count the key that it had in hand."""
        self._look_again()
        dead = settlement.taken.slot
        alive = [slot for slot in self._claims if slot != dead]
        _patiently(
            lambda: self._reservations.holders.prune(
                self._main.id, alive, is_lost=True, in_hand={dead: in_hand or "?"}
            ),
            "free the keys of a process that died",
        )

    def close(self) -> None:
        """Give back whatever is still held, and end the helper."""
        try:
            if self._heart is not None:
                self._heart.stop()
            if self._slot is not None:
                self._slot.close()
            if self._claims:
                self._reservations.holders.leave(self._main.id)
        except RedisUnavailableError as error:
            logger.warning("leave_failed: %s", error)
        finally:
            self._reservations.server.close()

    def _look_again(self) -> None:
        """End with a round that begins from now on: keys are due again that ours has passed."""
        self._search = replace(self._search, last_round=0)

    def _live(self) -> None:
        if self._heart is not None and self._heart.is_running:
            return
        if self._heart is not None:
            self._heart.stop()  # it died; its pipes are open
        if self._slot is None:
            self._slot = Slot(self._main.id, MAIN_SLOT)
        _patiently(lambda: self._reservations.holders.beat(self._main), "beat")
        self._heart = Heart(self._settings, self._reservations.server, self._main)
        self._heart.wait_until_ready()


def open_claims(settings: Settings, table: str, search: str) -> FleetClaims:
    """Return claims for one call of `populate`.

    Raises
    ------
    RedisUnavailableError
        None is configured or it does not answer.
    """
    return FleetClaims(settings, table, search)


def _patiently(ask: Callable[[], Answer], what: str) -> Answer:
    """Ask until Redis answers, within bounds: it may restart in the middle of a long call."""
    wait_s, until = MIN_RETRY_S, time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except RedisUnavailableError as error:
            if time.monotonic() >= until:
                raise
            if wait_s == MIN_RETRY_S:
                logger.warning("redis_unavailable: waiting to %s: %s", what, error)
        time.sleep(wait_s)
        wait_s = min(MAX_RETRY_S, 2 * wait_s)
