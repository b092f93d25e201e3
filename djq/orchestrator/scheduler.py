"""The daemon of `djq scheduler`.

Several schedulers may run: daemons, of which one leads at a time, and runs that drive themselves.
They share no state but reservations, which are per key: at worst, a search is made twice.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from typing import TYPE_CHECKING

from djq.errors import FleetError, RedisUnavailableError, TransientDatabaseError
from djq.orchestrator.loop import WAIT_S, Loop, Patience
from djq.orchestrator.states import Limits

if TYPE_CHECKING:
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
    """

    def __init__(
        self,
        plan: Plan,
        reservations: Reservations,
        dispatcher: Dispatcher,
        *,
        chunk_s: float = 1.0,
    ) -> None:
        self._plan = plan
        self._reservations = reservations
        self._dispatcher = dispatcher
        self._limits = Limits(chunk_s=chunk_s, is_endless=True)
        self._stopping = threading.Event()
        self._name = f"{SCHEDULER_PREFIX}{secrets.token_hex(4)}"
        tables = sorted(place.table for place in plan.places)
        self._candidate = json.dumps({"id": self._name, "tables": tables})

    def stop(self) -> None:
        """End `run_forever` soon; may be called from a signal handler."""
        self._stopping.set()

    def run_forever(self) -> None:
        """Lead or wait to lead, until `stop`. Servers that do not answer are waited for."""
        loop: Loop | None = None
        n_leads = 0
        patience = Patience(self._stopping)
        while not self._stopping.is_set():
            try:
                is_leading = self._reservations.lead(self._candidate) == self._candidate
                if not is_leading:
                    loop = None
                    self._stopping.wait(self._reservations.lease_s / 3)
                    continue
                if loop is None:
                    n_leads += 1
                    logger.info("leading", extra={"scheduler": self._name})
                    run = f"{self._name}.{n_leads}"
                    loop = Loop(run, self._plan, self._reservations, self._dispatcher, self._limits)
                loop.turn(min(WAIT_S, self._reservations.lease_s / 3))
                patience.restore()
            except (FleetError, TransientDatabaseError) as error:
                patience.wait(error)
        try:
            self._reservations.resign(self._candidate)
        except RedisUnavailableError:
            logger.warning("resign_failed")
