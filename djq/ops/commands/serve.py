"""`djq worker`, `djq scheduler`, `djq flower`: the fleet's programs, each in the foreground."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
from typing import TYPE_CHECKING

import click
from celery.signals import setup_logging

from djq.errors import UsageError
from djq.ops import logs
from djq.ops.selection import read_settings
from djq.ops.status import Status
from djq.orchestrator.adoption import Adoption
from djq.orchestrator.app import pool_configuration, producer_app, worker_app
from djq.orchestrator.dispatch import CeleryDispatcher, wire_name
from djq.orchestrator.endings import Rules, read_duration
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.planning import DatabasePlan
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.scans import BackgroundScans
from djq.orchestrator.scheduler import Scheduler
from djq.orchestrator.server import open_server
from djq.populate.pipeline import load_pipeline
from djq.settings import load

if TYPE_CHECKING:
    from types import FrameType

    from djq.settings import Settings

#: Tasks that Flower remembers: one per chunk; what was made longer ago is in the tables.
FLOWER_TASKS = 20_000
#: Flower forgets workers that are gone this long [s].
FLOWER_FORGETS_S = 600
#: What `--exit-when-idle` means without a value.
IDLE = "60s"
FLOWER_COLUMNS = "name,uuid,state,kwargs,result,received,runtime,worker"


def _read_concurrency(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> int | str | None:
    del ctx, param
    if value is None or value == "auto":
        return value
    if not value.isdecimal() or int(value) < 1:
        message = f'"{value}" is neither a whole number above 0 nor "auto"'
        raise click.BadParameter(message)
    return int(value)


def _read_queues(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    del ctx, param
    return tuple(name for value in values for name in value.replace(",", " ").split())


def _read_time(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    del ctx, param
    try:
        return None if value is None else read_duration(value)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error


def _ask_redis(settings: Settings) -> None:
    """Fail now and in one message if Redis is not there; later on, its absence is waited out."""
    with contextlib.closing(open_server(settings)) as server:
        server.ping()


_modules = click.argument("modules", nargs=-1, metavar="[MODULE]...")
_level = click.option(
    "-l",
    "--loglevel",
    "level",
    type=click.Choice(list(logs.LEVELS)),
    default="info",
    show_default=True,
)


@click.command()
@_modules
@_level
@click.option(
    "-c",
    "--concurrency",
    envvar="CELERY_WORKER_CONCURRENCY",
    callback=_read_concurrency,
    help="Slots; auto: one per processor that this container may use.  [default: fleet.toml, auto]",
)
@click.option(
    "-Q",
    "--queue",
    "--queues",
    "queues",
    multiple=True,
    callback=_read_queues,
    help="Queue of fleet.toml to take from; several: repeated, or with commas; the pool "
    "and grace_s of the first one count.  [default: djq.default, else the first]",
)
@click.option("-n", "--name", default="worker", show_default=True, help="Its name in Flower.")
@click.option(
    "--exit-when-idle",
    "idle_s",
    metavar="[TIME]",
    is_flag=False,
    flag_value=IDLE,
    callback=_read_time,
    help=f"End after so long without work; without a value {IDLE}.",
)
@click.option(
    "--max-time",
    "max_time_s",
    metavar="TIME",
    callback=_read_time,
    help="End before so long is over, as in 4h or 1-12:00:00: on batch systems.",
)
def worker(
    modules: tuple[str, ...],
    level: str,
    concurrency: int | str | None,
    queues: tuple[str, ...],
    name: str,
    idle_s: float | None,
    max_time_s: float | None,
) -> int:
    """Run a Celery worker for the tables of MODULE (or DJQ_PIPELINE).

    SIGTERM lets the keys in hand finish within the grace period of fleet.toml; the rest goes back.
    Exit status: 0 ended in good order, 3 stuck (messages wait, and it begins none of them).
    """
    settings = read_settings(modules)
    fleet = load_fleet(settings)
    queues = queues or (fleet.default_queue,)
    plans = [fleet.queue(queue) for queue in queues]
    its = plans[0]
    rules = Rules(idle_s=idle_s, max_time_s=max_time_s, grace_s=its.grace_s)
    app = worker_app(settings)
    app.rules = rules
    app.conf.update(pool_configuration(its))
    _ask_redis(settings)

    def set_up_logging(**_: object) -> None:
        logs.configure(level)

    setup_logging.connect(set_up_logging)
    # Celery's own command would lose the exit status.
    process = app.Worker(
        hostname=f"{name}@{platform.node()}",
        pool=its.pool,
        concurrency=concurrency or its.concurrency or "auto",
        queues=",".join(wire_name(app, queue) for queue in queues),
        loglevel=level.upper(),
        # Workers say nothing to each other: who is alive is in Redis.
        without_gossip=True,
        without_mingle=True,
    )
    process.start()
    return int(process.exitcode or Status.DONE)


@click.command()
@_modules
@_level
def scheduler(modules: tuple[str, ...], level: str) -> int:
    """Run a scheduler for the tables of MODULE (or DJQ_PIPELINE).

    Several may run; one leads, and another takes over when it ends. It also goes on with stored
    runs of these tables whose process is gone.
    """
    settings = read_settings(modules)
    logs.configure(level)
    _ask_redis(settings)
    tables = load_pipeline(settings.pipeline).tables
    fleet = load_fleet(settings)
    plan = DatabasePlan(tables, fleet=fleet)
    dispatcher = CeleryDispatcher(producer_app(settings), plan.show, fleet.queues)

    def disconnect() -> None:
        for table in plan.tables.values():
            table.schema.connection.database.close()

    scans = BackgroundScans(disconnect)
    reservations = Reservations.open(settings)
    daemon = Scheduler(plan, reservations, dispatcher, chunk_s=settings.chunk_s, scans=scans)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with contextlib.closing(scans), contextlib.closing(Adoption(tables)) as adoption:
        adoption.start()
        daemon.run_forever()
    return Status.DONE


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 5555 or DJQ_FLOWER_PORT]")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--basic-auth",
    envvar="FLOWER_BASIC_AUTH",
    metavar="USER:PASSWORD",
    help="Ask for a password; better given as FLOWER_BASIC_AUTH, which nobody else can read.",
)
@click.option("--control", is_flag=True, help="Let the page's visitors stop and change workers.")
def flower(port: int | None, address: str, basic_auth: str | None, *, control: bool) -> None:
    """Run Flower: what the workers do now, chunk by chunk.

    It listens on this machine only and changes nothing, unless told otherwise.
    """
    settings = load()
    _ask_redis(settings)
    if basic_auth:
        os.environ["FLOWER_BASIC_AUTH"] = basic_auth
    argv = ["flower", f"--address={address}", f"--port={port or settings.flower_port}"]
    argv += [f"--max_tasks={FLOWER_TASKS}", f"--purge_offline_workers={FLOWER_FORGETS_S}"]
    argv += [f"--tasks_columns={FLOWER_COLUMNS}", *([] if control else ["--read_only"])]
    producer_app(settings).start(argv)
