"""Is everything there that a pipeline needs? One check per noun, one line per check."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from djq.errors import DjqError, RedisUnavailableError
from djq.orchestrator.app import producer_app
from djq.orchestrator.dispatch import n_waiting, wire_name
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.namespace import namespace_of
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.routing import route
from djq.orchestrator.server import masked, open_server, resolve_url
from djq.orchestrator.states import DEFAULT_QUEUE
from djq.populate.pipeline import load_pipeline
from djq.settings import Settings, find_file
from djq.tables.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from djq.populate.pipeline import Pipeline


class Health(Enum):
    """How a check ended."""

    OK = "ok"
    #: Works for some purposes: the text says for which not.
    PARTLY = "partly"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    subject: str
    health: Health
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Check one thing after the other; a failure of one does not hide the others."""
    checks: list[tuple[str, Callable[[Settings], Iterator[Finding]]]] = [
        ("settings", _settings),
        ("database", _database),
        ("pipeline", _pipeline),
        ("redis", _redis),
        ("broker", _broker),
        ("fleet", _fleet),
        ("stores", _stores),
    ]
    for subject, check in checks:
        try:
            yield from check(settings)
        except DjqError as error:
            yield Finding(subject, Health.BROKEN, str(error))


def _settings(settings: Settings) -> Iterator[Finding]:
    source = find_file() or "no djq.toml; the environment and defaults"
    yield Finding("settings", Health.OK, f"from {source}")
    folder = settings.state_dir
    nearest = next(f for f in (folder, *folder.parents) if f.exists())
    if os.access(nearest, os.W_OK):
        yield Finding("settings", Health.OK, f"state folder {folder}")
    else:
        text = f"cannot write to {nearest}: set DJQ_STATE_DIR to a folder that you may write to"
        yield Finding("settings", Health.BROKEN, text)


def _database(settings: Settings) -> Iterator[Finding]:
    with contextlib.closing(Connection(settings)) as connection:
        connection.database.connect()
        yield Finding("database", Health.OK, connection.database.address)


def _pipeline(settings: Settings) -> Iterator[Finding]:
    if not settings.pipeline:
        text = "no modules named: set DJQ_PIPELINE, or name them behind the verb"
        yield Finding("pipeline", Health.PARTLY, text)
        return
    pipeline = load_pipeline(settings.pipeline)
    yield Finding("pipeline", Health.OK, ", ".join(pipeline.tables) or "no computed tables")


def _redis(settings: Settings) -> Iterator[Finding]:
    try:
        url = resolve_url(settings)
    except RedisUnavailableError as error:
        # Tables and populate() here work without.
        yield Finding("redis", Health.PARTLY, str(error))
        return
    with contextlib.closing(open_server(settings)) as server:
        server.ping()
    namespace = namespace_of(settings)
    source = "DJQ_NAMESPACE" if settings.namespace else "of the database"
    yield Finding("redis", Health.OK, f"{masked(url)}, namespace {namespace} ({source})")


def _broker(settings: Settings) -> Iterator[Finding]:
    if settings.broker_url is None:
        return
    address = masked(settings.broker_url.get_secret_value())
    app = producer_app(settings)
    if n_waiting(app, [wire_name(app, DEFAULT_QUEUE)]) is None:
        text = (
            f"{address} did not answer. "
            "Check that the server runs there, and the address in DJQ_BROKER_URL"
        )
        yield Finding("broker", Health.BROKEN, text)
    else:
        yield Finding("broker", Health.OK, address)


def _fleet(settings: Settings) -> Iterator[Finding]:
    try:
        resolve_url(settings)
    except RedisUnavailableError:
        return
    reservations = Reservations.open(settings)
    with contextlib.closing(reservations.server):
        mains = reservations.holders.look().mains
        leader = reservations.leads.leader()
    if mains:
        for main in mains:
            yield Finding(
                "workers",
                Health.OK,
                f"{main.host} process {main.pid}: {main.slots} slots for {', '.join(main.queues)}",
            )
    else:
        text = 'none: start some with "djq worker MODULE" or "djq up MODULE"'
        yield Finding("workers", Health.PARTLY, text)
    yield from _missing(settings, [set(main.tables) for main in mains])
    if mains:
        yield from _unserved(settings, {queue for main in mains for queue in main.queues})
    text = "one leads" if leader else 'none: runs are driven by whoever calls; or "djq scheduler"'
    yield Finding("scheduler", Health.OK if leader else Health.PARTLY, text)


def _missing(settings: Settings, known: list[set[str]]) -> Iterator[Finding]:
    pipeline: Pipeline | None = None
    with contextlib.suppress(DjqError):
        pipeline = load_pipeline(settings.pipeline)
    if pipeline is None or not known:
        return
    for table in pipeline.tables:
        if not any(table in tables for tables in known):
            text = f"no worker knows {table}: start one with the module that defines it"
            yield Finding("workers", Health.BROKEN, text)


def _unserved(settings: Settings, served: set[str]) -> Iterator[Finding]:
    fleet = load_fleet(settings)
    with contextlib.suppress(DjqError):
        for name, table in load_pipeline(settings.pipeline).tables.items():
            queue = route(name, table.populate_options, fleet).queue
            if queue not in served:
                text = f"none takes from {queue}, where {name} goes: djq worker --queue {queue}"
                yield Finding("workers", Health.BROKEN, text)


def _stores(settings: Settings) -> Iterator[Finding]:
    with contextlib.closing(Connection(settings)) as connection:
        for name in settings.stores:
            try:
                store = connection.store(name)
                store.get(store.put(b"djq doctor"))
            except DjqError as error:
                yield Finding("stores", Health.BROKEN, f"{name}: {error}")
            else:
                yield Finding("stores", Health.OK, f"{name}: {settings.store(name).url}")
