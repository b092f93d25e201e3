"""The daemon of `djq scheduler`.

Several schedulers may run: daemons, of which one leads each table at a time, and runs that drive
themselves. They share no state but reservations, which are per key: at worst, a search is made
twice.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from math import inf
from typing import TYPE_CHECKING

from djq.errors import FleetError, RedisUnavailableError, TransientDatabaseError
from djq.orchestrator.leads import EVERYTHING
from djq.orchestrator.loop import WAIT_S, Loop, Patience
from djq.orchestrator.states import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.dispatch import Dispatcher
    from djq.orchestrator.loop import Plan
    from djq.orchestrator.reservations import Reservations
    from djq.orchestrator.scans import BackgroundScans

logger = logging.getLogger("djq.scheduler")

#: The lead is renewed so often; two renewals may be lost.
RENEWALS_PER_LEASE = 3
#: Whoever stands by asks more often: the lease of one that died is over first.
LOOKS_PER_LEASE = 15
#: Runs of the daemon have names that begin like this.
SCHEDULER_PREFIX = "s-"


class Scheduler:
    """The daemon: makes whatever becomes due in its tables, as long as it leads.

    Parameters
    ----------
    plan
        The tables.
    chunk_s
        A chunk should take about this long [s].
    name
        Unique; None: one is made up.
    scans
        Searches whole tables.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        plan: Plan,
        reservations: Reservations,
        dispatcher: Dispatcher,
        *,
        chunk_s: float = 1.0,
        name: str | None = None,
        scans: BackgroundScans | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._reservations = reservations
        self._dispatcher = dispatcher
        self._scans = scans
        self._clock = clock
        self._limits = Limits(chunk_s=chunk_s, is_endless=True)
        self._stopping = threading.Event()
        self._name = SCHEDULER_PREFIX + (name or secrets.token_hex(4))
        self._loop: Loop | None = None
        self._n_leads = 0
        self._led: frozenset[str] = frozenset()
        self._next_renewal = 0.0
        self._tables = sorted(place.table for place in plan.places)
        self._candidate = json.dumps({"id": self._name, "tables": self._tables})

    def stop(self) -> None:
        """End `run_forever` soon; may be called from a signal handler."""
        self._stopping.set()

    def run_forever(self) -> None:
        """Lead or wait to lead, until `stop`. Servers that do not answer are waited for."""
        patience = Patience(self._stopping)
        while not self._stopping.is_set():
            try:
                if not self.turn(WAIT_S):
                    self._stopping.wait(self._reservations.lease_s / LOOKS_PER_LEASE)
                patience.restore()
            except (FleetError, TransientDatabaseError) as error:
                patience.wait(error)
        try:
            self.resign()
        except RedisUnavailableError:
            logger.warning("resign_failed")

    def turn(self, wait_s: float) -> bool:
        """Do what is to be done in the tables that nobody else leads; return whether there are any.

        Raises
        ------
        RedisUnavailableError, TransientDatabaseError
            A server did not answer; the next turn goes on.
        """
        if self._clock() >= self._next_renewal:
            self._renew()
        if self._loop is None:
            return False
        soonest = self._next_renewal - self._clock()
        self._loop.turn(max(0.0, min(wait_s, soonest)))
        return True

    @property
    def wakes_at(self) -> float:
        """When time alone gives it something to do."""
        return min(self._next_renewal, inf if self._loop is None else self._loop.wakes_at)

    def resign(self) -> None:
        """Let another lead."""
        self._reservations.leads.resign(self._candidate, self._wanted)

    @property
    def _wanted(self) -> list[str]:
        # Whoever has the lead of everything is the one that people are shown.
        return [*self._tables, EVERYTHING]

    def _renew(self) -> None:
        led = self._reservations.leads.take(self._candidate, self._wanted) - {EVERYTHING}
        per_lease = RENEWALS_PER_LEASE if len(led) == len(self._tables) else LOOKS_PER_LEASE
        self._next_renewal = self._clock() + self._reservations.lease_s / per_lease
        if led == self._led and (led or not self._tables):
            return
        self._led = led
        if not led:
            self._loop = None
            return
        if self._loop is None:
            self._n_leads += 1
            logger.info("leading", extra={"scheduler": self._name})
            self._loop = self._new_loop()
        self._loop.lead(led)

    def _new_loop(self) -> Loop:
        return Loop(
            f"{self._name}.{self._n_leads}",
            self._plan,
            self._reservations,
            self._dispatcher,
            self._limits,
            scans=self._scans,
            clock=self._clock,
        )
