"""What djq adds to Celery's worker: the heartbeat step, and a consumer that never gives up.

This is the one module that touches Celery's inside; it is written against 5.7.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, cast

from celery import bootsteps, signals
from celery.worker import state
from celery.worker.consumer import Consumer

from djq.orchestrator.dispatch import n_waiting, plain_name
from djq.orchestrator.endings import Endings, Sight, Verdict

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection
    from kombu.message import Message

    from djq.orchestrator.endings import Rules
    from djq.orchestrator.workplace import Workplace

logger = logging.getLogger("djq.worker")

#: How often the pool's processes are counted [s].
WATCH_S = 0.5
#: How often a worker asks itself whether it should end [s].
LOOK_S = 5.0
#: Exit status of a worker that is stuck: keys remain, and it does not make them.
STUCK_STATUS = 3
#: First and longest wait between attempts to reach the broker [s]. Celery's own grows to 30.
MIN_RECONNECT_S, MAX_RECONNECT_S = 0.5, 2.0


#: The stubs do not know that a status to end with may stand in it.
_STATE = cast("Any", state)


def workplace_of(app: Celery) -> Workplace:
    """Return the workplace of a worker's app."""
    return cast("Any", app).workplace  # type: ignore[no-any-return] # see `app.FleetApp`


def is_of_users(pool: Any) -> bool:  # noqa: ANN401 - Celery's
    """Tell whether this process runs users' code itself, as with the pools solo and threads.

    A make that holds the GIL keeps it from everything else then.
    """
    return os.getpid() in pool.info.get("processes", [os.getpid()])


class Pulse(bootsteps.StartStopStep):
    """Heartbeat and pool watch, on timers of the worker's event loop.

    Not in a thread: the main process of a pool of processes runs no user code, so nothing keeps it
    from beating; and it must have no thread when it forks. For other pools a helper beats. While
    the broker is away, no timer runs: see `Meanwhile`.
    """

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:  # noqa: ANN401 - Celery's worker
        """Begin to live."""
        queues = tuple(plain_name(parent.app, q) for q in parent.app.amqp.queues.consume_from)
        workplace_of(parent.app).open(int(parent.concurrency), queues)
        if is_of_users(parent.pool):
            workplace_of(parent.app).keep_alive(is_threaded="processes" not in parent.pool.info)
        self._end = End(parent)
        # After the pool has ended; a step's own `stop` comes before that.
        signals.worker_shutdown.connect(self._leave, sender=parent, weak=False)

    def register_with_event_loop(self, parent: Any, hub: Any) -> None:  # noqa: ANN401
        """Set the timers: at the start, and after each reconnection, which cancels them."""
        workplace = workplace_of(parent.app)
        workplace.beat()
        hub.call_repeatedly(workplace.settings.heartbeat_s, workplace.beat)
        hub.call_repeatedly(WATCH_S, watch, parent)
        hub.call_repeatedly(workplace.settings.heartbeat_s, sweep, parent)
        hub.call_repeatedly(self._end.every_s, self._end.look)

    def close(self, parent: Any) -> None:  # noqa: ANN401
        """Shutdown begins: the pool finishes the keys in hand, within the grace period."""
        workplace_of(parent.app).stop()
        self._end.begin()

    def terminate(self, parent: Any) -> None:  # noqa: ANN401
        """Shutdown without waiting: the pool is killed next."""
        workplace_of(parent.app).stop()

    @staticmethod
    def _leave(sender: Any, **_: object) -> None:  # noqa: ANN401
        workplace_of(sender.app).leave()


class End:
    """The end of a worker: when it comes by itself, and that it comes in time.

    Parameters
    ----------
    worker
        Celery's, whose pool has started.
    """

    def __init__(self, worker: Any) -> None:  # noqa: ANN401 - Celery's
        self._worker = worker
        self._workplace = workplace_of(worker.app)
        self._rules: Rules = worker.app.rules
        self._endings = Endings(self._rules, began=time.monotonic())
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._give_up, name="grace", daemon=True)
        #: Remote control may take some away from the worker.
        self._queues = tuple(worker.app.amqp.queues.consume_from)
        if not self._processes:
            # Users' code runs in this process and may keep `close` from being called. No process is
            # forked here, so that a thread does no harm.
            signals.worker_shutting_down.connect(self._hear, weak=False)
            self._thread.start()

    @property
    def _processes(self) -> list[int]:
        """The pool's processes other than this one."""
        pids: list[int] = self._worker.pool.info.get("processes", [])
        return [pid for pid in pids if pid != os.getpid()]

    @property
    def every_s(self) -> float:
        """How often to look [s]."""
        return min(LOOK_S, self._rules.stuck_s / 4, (self._rules.idle_s or inf) / 2)

    def begin(self) -> None:
        """Let the grace period begin: at its end the worker is gone, whatever it does."""
        self._begun.set()
        if not self._thread.is_alive():
            self._thread.start()

    def look(self) -> None:
        """End the worker if its rules say so."""
        if _STATE.should_stop is not None:
            return
        n_busy, n_slots = len(state.reserved_requests), int(self._worker.concurrency)
        sight = Sight(
            n_slots=n_slots,
            n_busy=n_busy,
            n_begun=sum(state.total_count.values()) + self._workplace.n_refused,
            n_waiting=n_waiting(self._worker.app, self._queues) if n_busy < n_slots else None,
        )
        verdict, why = self._endings.decide(time.monotonic(), sight)
        if verdict is Verdict.FAIL:
            logger.error("worker_stuck: %s", why)
            _STATE.should_stop = STUCK_STATUS
        elif verdict is Verdict.DRAIN:
            logger.warning("worker_ends: %s", why)
            _STATE.should_stop = 0

    def _hear(self, **_: object) -> None:
        self._begun.set()

    def _give_up(self) -> None:
        self._begun.wait()
        self._workplace.stop()
        time.sleep(self._rules.grace_s)
        logger.warning("grace_over: after %g s what is in hand goes back", self._rules.grace_s)
        for pid in self._processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._workplace.leave()
        logging.shutdown()
        os._exit(self._worker.exitcode or int(_STATE.should_stop or 0))


def watch(worker: Any) -> None:  # noqa: ANN401
    """Have a worker's pool replace processes that ended, and free what they held."""
    if worker.pool is None:
        return
    # Celery's own look is every 5 s; the pipes that should tell at once sometimes do not.
    worker.pool.maintain_pool()
    processes: list[int] | None = worker.pool.info.get("processes")
    if processes is not None:
        workplace_of(worker.app).watch(processes)


def sweep(worker: Any) -> None:  # noqa: ANN401 - Celery's worker
    """Free what idle processes of the pool hold by Redis's memory.

    They released it; a Redis that was restarted and lost its last second does not know.
    """
    # First: Celery has forgotten what a dead process was at, and its keys are to be counted.
    watch(worker)
    # Accepted, too: those whose acceptance came late are no longer among the reserved.
    requests = {*state.reserved_requests, *state.active_requests}
    pids = {request.worker_pid for request in requests}
    # None: sent to the pool, and the process that has it is not known yet. Holders that are threads
    # cannot be told apart by their process.
    are_processes = worker.pool is not None and "processes" in worker.pool.info
    if None not in pids and (are_processes or not pids):
        workplace_of(worker.app).sweep(pids)


class Meanwhile:
    """Heartbeat and pool watch while the broker is away: no timer runs until it is back.

    Parameters
    ----------
    consumer
        Celery's, which tries to connect.
    """

    def __init__(self, consumer: Any) -> None:  # noqa: ANN401 - the stubs lack what is used here
        self._consumer = consumer
        self._next_beat = 0.0

    def keep(self) -> None:
        """Keep the lease, and free what processes held that ended; between two attempts.

        Raises
        ------
        WorkerShutdown
            The worker was told to end.
        """
        state.maybe_shutdown()
        workplace = workplace_of(self._consumer.app)
        now = time.monotonic()
        if now >= self._next_beat:
            workplace.beat()
            self._next_beat = now + workplace.settings.heartbeat_s
        # At the start the pool has had nothing, and its handlers are not set up.
        if not self._consumer.first_connection_attempt:
            try:
                watch(self._consumer)
            except Exception:  # as in a timer: the next look may do better
                logger.exception("watch_failed")


class FleetConsumer(Consumer):
    """Celery's consumer of messages."""

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect to the broker, again and again, soon after it is back."""

        def report(error: Exception, wait_s: float) -> None:
            address = conn.as_uri()
            logger.warning("broker_unreachable: %s: %s; again in %.1f s", address, error, wait_s)

        # The stubs know whole seconds and bounded retries only.
        cast("Any", conn).ensure_connection(
            report,
            max_retries=None,
            interval_start=MIN_RECONNECT_S,
            interval_step=MIN_RECONNECT_S,
            interval_max=MAX_RECONNECT_S,
            callback=Meanwhile(self).keep,
        )
        self.first_connection_attempt = False
        return conn

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:
        """Refuse a chunk of a table that this worker's modules do not define; it goes back."""
        del body, exc
        headers = cast("dict[str, Any]", message.headers)
        chunk, table = str(headers.get("id", "")), str(headers.get("task", ""))
        consumer = cast("Any", self)  # the stubs lack the attributes used here
        message.reject_log_error(logger, consumer.connection_errors)
        error = workplace_of(self.app).refuse(chunk, table)
        if consumer.event_dispatcher:
            consumer.event_dispatcher.send("task-failed", uuid=chunk, exception=repr(error))
