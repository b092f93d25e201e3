"""What djq adds to Celery's worker: the heartbeat step, and a consumer that never gives up.

This is the one module that touches Celery's inside; it is written against 5.7.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, cast

from celery import bootsteps, signals
from celery.worker import state
from celery.worker.consumer import Consumer

if TYPE_CHECKING:
    from celery import Celery
    from kombu import Connection
    from kombu.message import Message

    from djq.orchestrator.workplace import Workplace

logger = logging.getLogger("djq.worker")

#: How often the pool's processes are counted [s].
WATCH_S = 0.5
#: First and longest wait between attempts to reach the broker [s]. Celery's own grows to 30.
MIN_RECONNECT_S, MAX_RECONNECT_S = 0.5, 2.0


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
    from beating; and it must have no thread when it forks. For other pools a helper beats.
    """

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:  # noqa: ANN401 - Celery's worker
        """Begin to live."""
        queues = tuple(parent.app.amqp.queues.consume_from)
        workplace_of(parent.app).open(int(parent.concurrency), queues)
        if is_of_users(parent.pool):
            workplace_of(parent.app).keep_alive()
        # After the pool has ended; a step's own `stop` comes before that.
        signals.worker_shutdown.connect(self._leave, sender=parent, weak=False)

    def register_with_event_loop(self, parent: Any, hub: Any) -> None:  # noqa: ANN401
        """Set the timers: at the start, and after each reconnection, which cancels them."""
        workplace = workplace_of(parent.app)
        workplace.beat()
        hub.call_repeatedly(workplace.settings.heartbeat_s, workplace.beat)
        hub.call_repeatedly(WATCH_S, watch, parent)
        hub.call_repeatedly(workplace.settings.heartbeat_s, sweep, parent)

    def close(self, parent: Any) -> None:  # noqa: ANN401
        """Shutdown begins: the pool finishes the keys in hand."""
        workplace_of(parent.app).stop()

    def terminate(self, parent: Any) -> None:  # noqa: ANN401
        """Shutdown without waiting: the pool is killed next."""
        workplace_of(parent.app).stop()

    @staticmethod
    def _leave(sender: Any, **_: object) -> None:  # noqa: ANN401
        workplace_of(sender.app).leave()


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
    pids = {request.worker_pid for request in state.reserved_requests}
    # None: sent to the pool, and the process that has it is not known yet. Holders that are threads
    # cannot be told apart by their process.
    are_processes = worker.pool is not None and "processes" in worker.pool.info
    if None not in pids and (are_processes or not pids):
        workplace_of(worker.app).sweep(pids)


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
            callback=state.maybe_shutdown,
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
