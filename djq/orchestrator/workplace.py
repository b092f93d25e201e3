"""One worker in the eyes of reservations: a main process that beats, and the holders of its pool.

Created in the main process before the pool's processes are forked. Connections are opened by each
process for itself, when first used.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from djq.errors import PipelineMissingError, RedisUnavailableError
from djq.orchestrator.holding import NO_UNITS, Main, Standing, holder_id, new_main_id
from djq.orchestrator.pulse import Heart
from djq.orchestrator.reservations import Reservations
from djq.populate import slots
from djq.populate.slots import sweep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djq.orchestrator.events import Released
    from djq.orchestrator.guard import Guard
    from djq.orchestrator.holding import Reservation, Units
    from djq.orchestrator.states import Chunk
    from djq.settings import Settings

logger = logging.getLogger("djq.worker")

#: The main process's identity, for pool processes that are started anew instead of forked. Not a
#: setting, hence not under the settings' prefix.
IDENTITY = "_DJQ_MAIN"
#: First and longest wait before a release is tried again [s].
MIN_RETRY_S, MAX_RETRY_S = 0.1, 2.0
#: A table that the worker does not know is logged this often [s].
SAY_AGAIN_S = 30.0


class Workplace:
    """A worker process and its pool.

    Parameters
    ----------
    tables
        Display names of the tables that it can make.
    """

    def __init__(self, settings: Settings, tables: tuple[str, ...]) -> None:
        self.settings = settings
        self._main = Main(
            id=_inherited_id() or new_main_id(),
            host=socket.gethostname(),
            pid=os.getpid(),
            tables=tables,
        )
        self._opened: tuple[int, Reservations] | None = None
        #: Beats for this process where it runs users' code itself.
        self._heart: Heart | None = None
        #: In a pool's process: its id and its slot.
        self._slot: tuple[int, slots.Slot] | None = None
        #: Chunks of tables that it does not know, so far.
        self.n_refused = 0
        #: Unknown tables, and until when they were said to be.
        self._said_until: dict[str, float] = {}
        #: Keeps the limits of the pool's processes.
        self.guard: Guard | None = None
        #: The pool's processes at the last look that led to something.
        self._pids: set[int] | None = None

    @property
    def id(self) -> str:
        """The identity of its main process."""
        return self._main.id

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that this worker can make."""
        return self._main.tables

    @property
    def reservations(self) -> Reservations:
        """Reservations over this process's own connections."""
        pid = os.getpid()
        if self._opened is None or self._opened[0] != pid:
            self._opened = (pid, Reservations.open(self.settings))
        return self._opened[1]

    @property
    def holder(self) -> str:
        """Who reserves here: this process, or this thread of a pool of threads."""
        pid = os.getpid()
        is_main = threading.current_thread() is threading.main_thread()
        return holder_id(self._main.id, pid if is_main else f"{pid}.{threading.get_native_id()}")

    # In the pool's processes.

    def reserve(self, chunk: Chunk, units: Units = NO_UNITS) -> Reservation:
        """Reserve the keys of a received chunk, and what it takes of what is limited."""
        return self.reservations.reserve(chunk, self.holder, units)

    def give_back(self, chunk: str, reason: str) -> None:
        """Give a received chunk back that is not reserved; whoever sent it hears the reason."""
        try:
            self.reservations.drop([chunk], reason)
        except RedisUnavailableError as error:
            logger.warning("drop_failed: %s", error)

    @property
    def is_pooled(self) -> bool:
        """Whether this is a pool's process, which the main process may kill."""
        return os.getpid() != self._main.pid

    @property
    def is_of_users(self) -> bool:
        """Whether this is a worker's main process that runs users' code: of pool solo, threads."""
        return self._heart is not None and not self.is_pooled

    def say(self, note: str) -> None:
        """Note what the main process should know of the keys that follow."""
        if self.is_pooled:
            self._own_slot().say(note)

    def begin(
        self, key: str, *, time_limit_s: float | None = None, memory_bytes: int | None = None
    ) -> None:
        """Note the key that is begun where the main process finds it: it may be what kills us.

        And what it may take, beyond which the main process kills us.
        """
        # A main process that runs makes itself notes nothing: the helper that outlives it counts a
        # key that was alone in its chunk, and has those of others tried one by one.
        if self.is_pooled:
            self._own_slot().take(key, time_limit_s=time_limit_s, memory_bytes=memory_bytes)

    def _own_slot(self) -> slots.Slot:
        pid = os.getpid()
        if self._slot is None or self._slot[0] != pid:
            self._slot = (pid, slots.Slot(self._main.id, pid))
        return self._slot[1]

    def holds(self, reservation: Reservation, key: str) -> Standing:
        """Tell whether a key may be committed.

        Yes, if Redis does not answer: what is done should not be thrown away, and the table's
        unique key lets only one result in.
        """
        try:
            return self.reservations.holds(reservation, key)
        except RedisUnavailableError as error:
            logger.warning("redis_unavailable: committing by the unique key alone: %s", error)
            return Standing(is_held=True)

    def release(self, reservation: Reservation, outcome: Released) -> None:
        """Release a chunk; wait for Redis as long as it takes.

        This process can start nothing else without Redis, and would otherwise keep the keys for as
        long as it lives.
        """
        if self._slot is not None and self._slot[0] == os.getpid():
            self._slot[1].drop()
        wait_s = MIN_RETRY_S
        while True:
            try:
                self.reservations.release(reservation, outcome)
            except RedisUnavailableError as error:
                if wait_s == MIN_RETRY_S:
                    logger.warning("redis_unavailable: waiting to release a chunk: %s", error)
                time.sleep(wait_s)
                wait_s = min(MAX_RETRY_S, 2 * wait_s)
            else:
                return

    # In the main process. Nothing here may raise: Celery's loop would stop.

    def open(self, slots: int, queues: tuple[str, ...] = ()) -> None:
        """Begin: the main process is alive; its pool has so many slots for these queues."""
        sweep(self._main.host)
        os.environ[IDENTITY] = self._main.id
        self._main = replace(self._main, slots=slots, queues=queues, pid=os.getpid())
        self.beat()

    def keep_alive(self, *, is_threaded: bool = False) -> None:
        """Have a helper process beat: this one runs users' code, which may hold the GIL for long.

        Say which limits are not kept therefore.

        Raises
        ------
        FleetError
            The helper did not start.
        """
        self._heart = Heart(self.settings, self.reservations.server, self._main)
        self._heart.wait_until_ready()
        if self.guard is not None:
            self.guard.say_unguarded(is_threaded=is_threaded)

    def beat(self) -> None:
        """Renew the lease of all holders of this worker."""
        try:
            self.reservations.holders.beat(self._main)
        except RedisUnavailableError as error:
            logger.warning("heartbeat_failed: %s", error)

    def stop(self) -> None:
        """Let the pool know that keys not begun shall go back."""
        self._main = replace(self._main, is_stopping=True)
        if self._heart is not None:
            self._heart.say_stopping()
        self.beat()

    def watch(self, pids: Iterable[int]) -> None:
        """Free what pool processes held that are gone; `pids` are those alive."""
        alive = set(pids)
        if self.guard is not None:
            alive |= self.guard.look(alive)
        if alive == self._pids:
            return
        try:
            is_lost = not self._main.is_stopping
            gone = set(slots.names_of(self._main.id)) - {str(pid) for pid in alive}
            in_hand = self._in_hand(gone)
            n_keys = self.reservations.holders.prune(
                self._main.id, alive, is_lost=is_lost, in_hand=in_hand
            )
        except RedisUnavailableError as error:
            logger.warning("prune_failed: %s", error)
            return
        for slot in gone:
            slots.forget(self._main.id, slot)
        self._pids = alive
        if n_keys:
            logger.warning("process_lost: %s keys are free again", n_keys)

    def _in_hand(self, names: Iterable[str]) -> dict[str, str]:
        """Return the keys that processes had in hand when they died, by slot."""
        found = {slot: slots.in_hand(self._main.id, slot) for slot in names}
        return {slot: hand.key for slot, hand in found.items() if hand is not None}

    def sweep(self, busy: Iterable[int]) -> None:
        """Free what the pool's processes hold that have nothing in hand; `busy` are the others.

        Not while the worker ends: Celery forgets what it has sent to the pool then, and at its end
        everything goes back.
        """
        if self._main.is_stopping:
            return
        settling: set[int] = set() if self.guard is None else self.guard.settling
        try:
            n_keys = self.reservations.holders.prune(
                self._main.id, {*busy, *settling}, is_lost=False
            )
        except RedisUnavailableError as error:
            logger.warning("sweep_failed: %s", error)
            return
        if n_keys:
            logger.warning("release_forgotten: %s keys are free again", n_keys)

    def refuse(self, chunk: str, table: str) -> PipelineMissingError:
        """Give a chunk back whose table this worker does not know; return the error to show."""
        self.n_refused += 1
        message = (
            f"this worker does not know the table {table}; "
            f"its pipeline defines: {', '.join(self.tables) or 'none'}. "
            "Start it with the module that defines the table (djq worker MODULE, or DJQ_PIPELINE), "
            "or restart it after a deployment"
        )
        now = time.monotonic()
        if now >= self._said_until.get(table, 0.0):
            logger.error("unknown_table: %s", message)
            self._said_until[table] = now + SAY_AGAIN_S
        self.give_back(chunk, f"unknown table {table}")
        return PipelineMissingError(message)

    def leave(self) -> None:
        """End in good order: whatever the pool still holds goes back."""
        if self._heart is not None:
            self._heart.stop()
        for slot in slots.names_of(self._main.id):
            slots.forget(self._main.id, slot)
        try:
            self.reservations.holders.leave(self._main.id)
        except RedisUnavailableError as error:
            logger.warning("leave_failed: %s", error)


def _inherited_id() -> str | None:
    """Return the identity of the main process that started this one as part of its pool."""
    identity = os.environ.get(IDENTITY, "")
    is_childs = f":{os.getppid()}:" in identity
    return identity if is_childs else None
