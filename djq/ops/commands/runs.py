"""`djq runs`, `djq watch`, `djq cancel`: requests that are stored in the database."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from djq.errors import RedisUnavailableError
from djq.ops import logs
from djq.ops.output import show_grid, show_json
from djq.ops.status import Status
from djq.orchestrator.driving import lead_name
from djq.orchestrator.run import Run
from djq.orchestrator.submission import runs as stored_runs
from djq.orchestrator.work import opened
from djq.populate.runs import STATUSES
from djq.settings import load
from djq.tables.connection import Connection, using

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from djq.settings import Settings

#: A lease is over a little later than it seems [s].
MARGIN_S = 1.0
COLUMNS = ("run", "status", "driven", "created", "by", "made", "failed", "tables")

_id = click.argument("run_id", metavar="ID")


@click.command()
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def runs(status: Any, *, as_json: bool) -> int:  # noqa: ANN401 - checked by click
    """List the runs that are stored in the database, newest first.

    "driven" tells whether a process finds and queues what is due for the run. If none does, djq
    watch ID does, and so does a scheduler of its tables.
    """
    with _connected() as settings:
        rows = _rows(stored_runs(status), settings)
    if as_json:
        show_json(rows)
    elif rows:
        show_grid(COLUMNS, [[_shown(row[c]) for c in COLUMNS] for row in rows])
    else:
        click.echo('no runs: "djq run" or dj.submit(schema) begins one')
    return Status.DONE


@click.command()
@_id
def watch(run_id: str) -> int:
    """Watch a run until it is over, and drive it if nobody else does; Ctrl-C leaves it."""
    logs.configure("warning")
    with _connected():
        found = Run.of(run_id)
        found.watch()
        click.echo(repr(found))
        return Status.ERRORS if found.status == "failed" else Status.DONE


@click.command()
@_id
def cancel(run_id: str) -> int:
    """End a run: nothing more is queued, keys in hand are finished.

    Waits for the end as long as a driver that was killed may still seem alive.
    """
    with _connected() as settings:
        found = Run.of(run_id)
        found.cancel(settings.lease_s + MARGIN_S)
        click.echo(f"{run_id} is {found.status}")
    return Status.DONE


@contextlib.contextmanager
def _connected() -> Generator[Settings]:
    settings = load()
    with using(Connection(settings)) as connection, connection:
        yield settings


def _rows(found: Sequence[Run], settings: Settings) -> list[dict[str, Any]]:
    led: frozenset[str] = frozenset()
    # Without Redis nobody drives anything, and what is stored can be told all the same.
    with contextlib.suppress(RedisUnavailableError), opened(settings) as reservations:
        led = frozenset(reservations.leads.leaders([lead_name(run.id) for run in found]))
    return [run.summary() | {"driven": lead_name(run.id) in led} for run in found]


def _shown(value: Any) -> object:  # noqa: ANN401 - as JSON holds it
    if isinstance(value, bool):
        return "yes" if value else "-"
    if isinstance(value, tuple):
        return ", ".join(value)  # pyright: ignore[reportUnknownArgumentType] # names
    return value
