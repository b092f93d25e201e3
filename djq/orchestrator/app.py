"""The Celery app from `Settings`: broker, queue, and what a worker needs besides.

Celery's part is transport, processes and what Flower shows. Nothing depends on its results,
retries, acknowledgements or countdowns: liveness is the lease, and the database is the truth. With
RabbitMQ messages are acknowledged late, which bounds how many a worker takes, and nothing else.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from celery import Celery

from djq.orchestrator.endings import Rules
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.guard import Guard
from djq.orchestrator.namespace import namespace_of
from djq.orchestrator.routing import route
from djq.orchestrator.server import broker_url, resolve_url
from djq.orchestrator.states import DEFAULT_QUEUE
from djq.orchestrator.tasks import add_tasks
from djq.orchestrator.worker import Pulse
from djq.orchestrator.workplace import Workplace
from djq.populate.child import preload
from djq.populate.pipeline import load_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from djq.orchestrator.fleet import QueuePlan
    from djq.populate.autopopulate import AutoPopulate
    from djq.settings import Settings

CONSUMER = "djq.orchestrator.worker:FleetConsumer"
#: Bound of one answer of the broker [s]; longer than its blocking reads.
BROKER_TIMEOUT_S = 30.0


def producer_app(settings: Settings) -> Celery:
    """Return an app that can send messages; it knows no table and touches no global state.

    Raises
    ------
    RedisUnavailableError
        No server is configured.
    """
    return Celery("djq", set_as_current=False, config_source=configuration(settings))


def worker_app(settings: Settings) -> FleetApp:
    """Return the app of a worker: one task per auto-populated table of the pipeline.

    Raises
    ------
    ConfigError
        No pipeline is set, or a module of it cannot be loaded.
    RedisUnavailableError
        No server is configured.
    """
    tables = load_pipeline(settings.pipeline).tables
    return app_for_tables(settings, tables)


def app_for_tables(settings: Settings, tables: Mapping[str, type[AutoPopulate]]) -> FleetApp:
    """Return the app of a worker for these tables.

    Raises
    ------
    ConfigError
        A table asks for what no queue has.
    """
    preload(tables.values())
    fleet = load_fleet(settings)
    routes = {name: route(name, its.populate_options, fleet) for name, its in tables.items()}
    app = FleetApp(settings, tuple(tables))
    add_tasks(app, tables, app.workplace, {name: its.units for name, its in routes.items()})
    workplace = app.workplace
    workplace.guard = Guard(workplace.id, tables, lambda: workplace.reservations)
    return app


class FleetApp(Celery):
    """The app of a worker: its tasks reserve as its workplace."""

    def __init__(self, settings: Settings, tables: tuple[str, ...]) -> None:
        super().__init__("djq", config_source=configuration(settings))
        self.workplace = Workplace(settings, tables)
        #: When it ends by itself.
        self.rules = Rules()
        self.steps["worker"].add(Pulse)

    def __reduce__(self) -> tuple[Callable[[Settings], FleetApp], tuple[Settings]]:
        """Build it anew in pool processes that start as fresh interpreters (macOS)."""
        return worker_app, (self.workplace.settings,)


def pool_configuration(queue: QueuePlan) -> dict[str, Any]:
    """Return Celery's configuration of the pool of a queue's workers."""
    found: dict[str, Any] = {}
    if queue.max_tasks is not None:
        found["worker_max_tasks_per_child"] = queue.max_tasks
    if queue.max_memory is not None:
        found["worker_max_memory_per_child"] = max(1, queue.max_memory // 1024)  # [KiB]
    return found


def configuration(settings: Settings) -> dict[str, Any]:
    """Return Celery's configuration.

    Raises
    ------
    RedisUnavailableError
        No server is configured.
    """
    common: dict[str, Any] = {
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        # A slot that is busy for an hour must not sit on a chunk that another could take.
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "worker_consumer": CONSUMER,
        "worker_hijack_root_logger": False,
        "worker_proc_alive_timeout": 60.0,
    }
    if settings.broker_url is not None:
        url = settings.broker_url.get_secret_value()
        return common | _by_rabbitmq(url, namespace_of(settings))
    return common | _by_redis(resolve_url(settings), namespace_of(settings))


def _by_rabbitmq(url: str, namespace: str) -> dict[str, Any]:
    """Return what is RabbitMQ's own: names of queues and exchanges keep installations apart."""
    found: dict[str, Any] = {
        "broker_url": url,
        "broker_transport_options": {"confirm_publish": True, "connect_timeout": 5},
        "broker_connection_timeout": 5,
        "broker_heartbeat": 30,
        "control_exchange": f"{namespace}.pidbox",
        "event_exchange": f"{namespace}.celeryev",
        "task_default_queue": f"{namespace}.{DEFAULT_QUEUE}",
        # Late, so that a worker has no more messages than slots. One that is delivered again finds
        # its keys made or in other hands.
        "task_acks_late": True,
    }
    if url.startswith("amqps:"):
        found["broker_use_ssl"] = {"cert_reqs": ssl.CERT_REQUIRED}
    return found


def _by_redis(url: str, namespace: str) -> dict[str, Any]:
    """Return what is Redis's own."""
    transport: dict[str, Any] = {
        # Messages are hints: none is kept until it was worked on, none is delivered again after a
        # timeout. What a killed worker had taken is found by its lease and by the scheduler.
        "ack_emulation": False,
        "global_keyprefix": f"djq:{{{namespace}}}:celery:",
        "socket_timeout": BROKER_TIMEOUT_S,
        "socket_connect_timeout": 5,
        "health_check_interval": 25,
        "max_connections": 50,
        "client_name": "djq",
    }
    if not url.startswith("unix:"):
        transport["socket_keepalive"] = True
    found: dict[str, Any] = {
        "broker_url": broker_url(url),
        "broker_transport_options": transport,
        "task_default_queue": DEFAULT_QUEUE,
        "task_acks_late": False,
        "worker_disable_prefetch": True,
    }
    if url.startswith("rediss:"):
        found["broker_use_ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return found
