"""The daemon of `djq scheduler`.

Several schedulers may run: daemons, of which one leads at a time, and runs that drive themselves.
They share no state but reservations, which are per key: at worst, a search is made twice.
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
from djq.orchestrator.loop import WAIT_S, Loop, Patience
from djq.orchestrator.states import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.orchestrator.dispatch import Dispatcher
    from djq.orchestrator.loop import Plan
    from djq.orchestrator.reservations import Reservations

logger = logging.getLogger("djq.scheduler")

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._reservations = reservations
        self._dispatcher = dispatcher
        self._clock = clock
        self._limits = Limits(chunk_s=chunk_s, is_endless=True)
        self._stopping = threading.Event()
        self._name = SCHEDULER_PREFIX + (name or secrets.token_hex(4))
        self._loop: Loop | None = None
        self._n_leads = 0
        tables = sorted(place.table for place in plan.places)
        self._candidate = json.dumps({"id": self._name, "tables": tables})

    def stop(self) -> None:
        """End `run_forever` soon; may be called from a signal handler."""
        self._stopping.set()

    def run_forever(self) -> None:
        """Lead or wait to lead, until `stop`. Servers that do not answer are waited for."""
        patience = Patience(self._stopping)
        while not self._stopping.is_set():
            try:
                if not self.turn(WAIT_S):
                    self._stopping.wait(self._reservations.lease_s / 3)
                patience.restore()
            except (FleetError, TransientDatabaseError) as error:
                patience.wait(error)
        try:
            self.resign()
        except RedisUnavailableError:
            logger.warning("resign_failed")

    def turn(self, wait_s: float) -> bool:
        """Do what is to be done, if nobody else leads; return whether we do.

        Raises
        ------
        RedisUnavailableError, TransientDatabaseError
            A server did not answer; the next turn goes on.
        """
        if self._reservations.lead(self._candidate) != self._candidate:
            self._loop = None
            return False
        if self._loop is None:
            self._n_leads += 1
            logger.info("leading", extra={"scheduler": self._name})
            run = f"{self._name}.{self._n_leads}"
            self._loop = Loop(
                run,
                self._plan,
                self._reservations,
                self._dispatcher,
                self._limits,
                clock=self._clock,
            )
        self._loop.turn(min(wait_s, self._reservations.lease_s / 3))
        return True

    @property
    def wakes_at(self) -> float:
        """When time alone gives it something to do; infinite while another leads."""
        return inf if self._loop is None else self._loop.wakes_at

    def resign(self) -> None:
        """Let another lead."""
        self._reservations.resign(self._candidate)
