"""`djq run`, `djq status`: having what is due made, and how far it is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from djq.errors import RedisUnavailableError
from djq.ops import logs, progress
from djq.ops.output import confirm, show_grid, show_json, show_key
from djq.ops.selection import select
from djq.ops.status import Status
from djq.orchestrator.namespace import namespace_of
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.server import open_server
from djq.orchestrator.submission import submit
from djq.populate.options import PopulateOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from djq.settings import Settings

#: Errors that `run` lists; the rest is in `djq errors`.
SHOWN_ERRORS = 5

_names = click.argument("names", nargs=-1, metavar="[MODULE]... [TABLE]...")
_where = click.option("--where", "condition", metavar="SQL", help="Only these keys: image_id = 1")
_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@click.command()
@_names
@_where
@click.option("--continuous", "is_continuous", is_flag=True, help="Go on until it is cancelled.")
@click.option(
    "--priority", type=int, metavar="N", help="Among runs: higher goes first.  [default: 0]"
)
@click.option(
    "--queue", metavar="NAME", help="Whose workers make the keys.  [default: as tables say]"
)
@click.option("--max-retries", type=int, metavar="N", help="Of a key.  [default: as tables say]")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@_json
def run(
    names: tuple[str, ...],
    condition: str | None,
    *,
    is_continuous: bool,
    is_agreed: bool,
    as_json: bool,
    **given: str | int | None,
) -> int:
    """Have the fleet make what is due, and what becomes due by it; watch until it is done.

    Ctrl-C leaves: what is queued will be made; djq watch goes on, djq cancel ends it.
    """
    selection, restrictions, options = select(names), _restrictions(condition), _options(given)
    with contextlib.closing(open_server(selection.settings)) as server:
        server.ping()
    before = progress.count(selection.tables, restrictions)
    if not as_json:
        progress.show(before)
    n_due = sum(counts.due for counts in before.values())
    if n_due and not confirm(f"Make {n_due:,} keys?", is_agreed=is_agreed):
        return Status.WORK_REMAINS
    logs.configure("warning")
    work = submit(
        *selection.tables, restrictions=restrictions, options=options, continuous=is_continuous
    )
    _watch(work.wait if as_json else work.watch, work.id)
    after = progress.count(selection.tables, restrictions)
    errors = [{"table": t, "key": key, "message": text} for t, key, text in work.errors()]
    if as_json:
        show_json({"made": work.n_made, "errors": errors, "tables": progress.as_rows(after)})
    else:
        _conclude(work.n_made, errors, " ".join(selection.settings.pipeline))
    return progress.status_of(after)


@click.command()
@_names
@_json
def status(names: tuple[str, ...], *, as_json: bool) -> int:
    """Show the fleet, and the keys of each table by state."""
    selection = select(names)
    counts = progress.count(selection.tables)
    fleet = _fleet(selection.settings)
    if as_json:
        show_json({"fleet": fleet, "tables": progress.as_rows(counts)})
        return progress.status_of(counts)
    progress.show(counts)
    click.echo()
    if "problem" in fleet:
        click.echo(f"no fleet: {fleet['problem']}")
        return progress.status_of(counts)
    if fleet["workers"]:
        columns = ("host", "process", "slots", "state")
        show_grid(columns, [[str(worker[c]) for c in columns] for worker in fleet["workers"]])
    else:
        modules = " ".join(selection.settings.pipeline)
        click.echo(f'no worker: start some with "djq worker {modules}" or "djq up {modules}"')
    click.echo(f"scheduler: {'leads' if fleet['has_scheduler'] else 'none'}")
    click.echo(f"namespace in Redis: {fleet['namespace']}")
    click.echo(f"chunks: {fleet['n_running']:,} in hand, {fleet['n_waiting']:,} waiting")
    return progress.status_of(counts)


def _restrictions(condition: str | None) -> tuple[str, ...]:
    return (condition,) if condition else ()


def _options(given: Mapping[str, str | int | None]) -> PopulateOptions | None:
    """Return the options of a run; None if it has none, so that schedulers do its work."""
    named = {name: value for name, value in given.items() if value is not None}
    return PopulateOptions.from_json(named) if named else None


def _watch(until_done: Callable[[], object], run_id: str) -> None:
    try:
        until_done()
    except KeyboardInterrupt:
        click.echo(
            f'left; what is queued will be made. "djq watch {run_id}" goes on, '
            f'"djq cancel {run_id}" ends it.',
            err=True,
        )
        raise


def _conclude(n_made: int, errors: list[dict[str, Any]], modules: str) -> None:
    click.echo(f"made {n_made:,} keys, {len(errors):,} failed")
    for error in errors[:SHOWN_ERRORS]:
        click.secho(f"    {error['table']} {show_key(error['key'])}: ", nl=False)
        click.secho(str(error["message"]).partition("\n")[0], fg="red")
    if errors:
        click.echo(
            f'All of them, grouped: "djq errors {modules}". '
            f'After the cause is mended: "djq retry {modules}".'
        )


def _fleet(settings: Settings) -> dict[str, Any]:
    """Return who is there and what they have in hand; `problem` if Redis cannot be asked."""
    try:
        reservations = Reservations.open(settings)
        with contextlib.closing(reservations.server):
            census, chunks = reservations.holders.look(), reservations.chunks()
            leader = reservations.leads.leader()
    except RedisUnavailableError as error:
        return {"problem": str(error)}
    n_running = sum(chunk.is_reserved and chunk.main not in census.silent for chunk in chunks)
    return {
        "namespace": namespace_of(settings),
        "workers": [
            {
                "host": main.host,
                "process": main.pid,
                "slots": main.slots,
                "state": "stopping" if main.is_stopping else "ready",
                "tables": main.tables,
            }
            for main in census.mains
        ],
        "has_scheduler": leader is not None,
        "n_running": n_running,
        "n_waiting": len(chunks) - n_running,
    }
