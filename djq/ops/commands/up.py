"""`djq up`: the whole local stack in one terminal."""

from __future__ import annotations

import click

from djq.ops.interrupt import as_interrupt
from djq.ops.selection import read_settings
from djq.ops.stack import Plan, Stack, running
from djq.ops.status import Status
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.routing import route
from djq.orchestrator.server import masked, resolve_url
from djq.populate.pipeline import load_pipeline
from djq.tables.connection import Connection, using


@click.command()
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.option(
    "-w",
    "--workers",
    "n_workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Workers per queue of fleet.toml.",
)
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1),
    help="Slots per worker.  [default: fleet.toml, else one per processor]",
)
@click.option("--flower/--no-flower", "has_flower", default=True, help="Run Flower, too.")
def up(
    modules: tuple[str, ...], n_workers: int, concurrency: int | None, *, has_flower: bool
) -> int:
    """Run Redis (unless one is configured), a scheduler, workers and Flower until Ctrl-C.

    MODULE defines the pipeline's tables; DJQ_PIPELINE names it, too.
    """
    settings = read_settings(modules)
    with using(Connection(settings)) as connection:
        # A mistake in a definition is told here and once, not by every process in its log.
        pipeline = load_pipeline(settings.pipeline)
        connection.close()
    fleet = load_fleet(settings)
    for name, table in pipeline.tables.items():
        route(name, table.populate_options, fleet)
    queues = {name: queue.grace_s for name, queue in fleet.queues.items()}
    plan = Plan(n_workers, concurrency, has_flower=has_flower, queues=queues)
    try:
        with as_interrupt(), running(settings, plan, click.echo) as stack:
            _introduce(stack, list(pipeline.tables))
            try:
                stack.supervisor.wait()
            except KeyboardInterrupt:
                stack.supervisor.check()
                click.echo("stopping; running keys finish first (Ctrl-C again: at once)")
    except KeyboardInterrupt:
        click.echo("stopped at once")
    return Status.DONE


def _introduce(stack: Stack, tables: list[str]) -> None:
    click.echo(f"tables    {', '.join(tables)}")
    click.echo(f"database  {Connection(stack.settings).database.address}")
    click.echo(f"redis     {masked(resolve_url(stack.settings))}")
    if stack.flower_url is not None:
        click.echo(f"flower    {stack.flower_url}")
    click.echo(f"logs      {stack.logs}")
    names = ", ".join(f"{name} ({pid})" for name, pid in stack.supervisor.pids().items())
    click.echo(f"running   {names}")
    modules = " ".join(stack.settings.pipeline)
    click.echo(
        f"Ctrl-C stops all. In another shell here: djq status {modules}, populate(distributed=True)"
    )
