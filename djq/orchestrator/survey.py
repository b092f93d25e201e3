"""Looking at the fleet: who is alive, which chunks are known, which messages were lost."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from djq.orchestrator.dispatch import Dispatcher
    from djq.orchestrator.holding import Census, ChunkRecord
    from djq.orchestrator.reservations import Reservations
    from djq.orchestrator.states import Rival

logger = logging.getLogger("djq.scheduler")

#: A chunk that is neither waiting in the queue nor begun for this long has lost its message [s].
GRACE_S = 5.0
#: A message that left the queue is begun within this time, if a worker has it [s].
AWAY_S = 2.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at the fleet showed."""

    census: Census
    #: Chunks that Redis knows.
    chunks: frozenset[str]
    #: Tables that a daemon leads.
    led: frozenset[str]
    #: Queue -> the other runs that have something for it.
    rivals: Mapping[str, tuple[Rival, ...]]
    #: Redis forgot everything since the last look.
    is_forgotten: bool = False
    #: Table -> keys that dying workers took along, and how often; None: no news.
    losses: Mapping[str, Mapping[str, int]] | None = None

    @property
    def queues(self) -> Mapping[str, int]:
        """Slots of each queue that workers name."""
        counts: Counter[str] = Counter()
        for main in self.census.mains:
            if not main.is_stopping:
                counts.update(dict.fromkeys(main.queues, main.slots))
        return counts


class Survey:
    """Looks at the fleet, for one run.

    Parameters
    ----------
    run, priority
        Its name and its priority among runs.
    tables
        Those of the run.
    """

    def __init__(
        self,
        run: str,
        priority: int,
        tables: Collection[str],
        reservations: Reservations,
        dispatcher: Dispatcher,
    ) -> None:
        self._run = run
        self._priority = priority
        self._reservations = reservations
        self._dispatcher = dispatcher
        self._tables = sorted(tables)
        self._epoch: str | None = None
        #: Chunk -> since when it was neither begun nor seen waiting in the queue.
        self._unseen: dict[str, float] = {}
        #: Of these, chunk -> since when its message was away from the queue.
        self._away: dict[str, float] = {}

    def look(self, now: float, wants: Mapping[str, int]) -> Sight:
        """Free what the dead have, find messages that were lost, and tell what is there.

        wants: how many chunks of each queue the run wants, which other runs are told.
        """
        census = self._reservations.holders.reap()
        for main in census.silent:
            logger.warning("worker_lost", extra={"main": main})
        is_forgotten = self._epoch is not None and census.epoch != self._epoch
        losses = None
        if census.epoch != self._epoch:
            losses = {table: self._reservations.holders.losses(table) for table in self._tables}
        records = self._reservations.chunks()
        self._drop_unseen(records, now)
        rivals = self._reservations.leads.want(self._run, self._priority, wants)
        led = frozenset(self._reservations.leads.leaders(self._tables))
        if is_forgotten:
            logger.warning("redis_lost")
        # Last: a look that fails is made again.
        self._epoch = census.epoch
        chunks = frozenset(record.id for record in records)
        return Sight(census, chunks, led, rivals, is_forgotten=is_forgotten, losses=losses)

    def end(self) -> None:
        """Tell other runs that this one wants nothing any more."""
        self._reservations.leads.want(self._run, self._priority, {})

    def _drop_unseen(self, records: Sequence[ChunkRecord], now: float) -> None:
        """Find chunks whose message was lost, and free their keys."""
        unbegun = {record.id for record in records if not record.is_reserved}
        self._unseen = {chunk: self._unseen.get(chunk, now) for chunk in unbegun}
        suspects = {chunk for chunk, since in self._unseen.items() if now - since >= GRACE_S}
        if not suspects:
            return
        waiting = self._dispatcher.waiting()
        self._unseen.update(dict.fromkeys(suspects & waiting, now))
        # A message may have been taken from the queue this moment, and is not begun yet: it is
        # lost only if it stays away.
        away = suspects - waiting
        self._away = {chunk: self._away.get(chunk, now) for chunk in away}
        lost = sorted(chunk for chunk, since in self._away.items() if now - since >= AWAY_S)
        if lost:
            logger.warning("messages_lost", extra={"chunks": lost})
            self._reservations.drop(lost, "message lost")
