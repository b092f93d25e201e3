"""`djq demo`: everything once, on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from djq.ops import demo as demos
from djq.ops import logs
from djq.ops.interrupt import as_interrupt
from djq.ops.output import show_grid
from djq.ops.progress import count, show, status_of
from djq.ops.stack import Plan, running
from djq.orchestrator.submission import submit
from djq.populate.pipeline import collect
from djq.tables.connection import Connection, using

if TYPE_CHECKING:
    from djq.ops.demo import Example
    from djq.ops.stack import Stack
    from djq.populate.plan import Progress


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo",
    show_default=True,
    help="Gets the report; database, objects and logs are in .djq in it.",
)
def demo(folder: Path) -> int:
    """Compute a real pipeline with everything embedded, from nothing to a picture.

    Photographs and micrographs are cut into tiles, and blobs (stars, nuclei, craters) are found in
    each tile, by two worker processes. Whatever is configured elsewhere is left alone.
    """
    started = time.monotonic()
    settings = demos.settings(folder)
    if demos.make_empty(settings.state_dir):
        click.echo(f"starting afresh: removed an earlier demo's {settings.state_dir}")
    with as_interrupt(), using(Connection(settings)) as connection:
        example = demos.Example.load()
        example.insert_images()
        connection.close()
        with running(settings, Plan(concurrency=2), _report) as stack:
            logs.configure("warning", stack.logs / "demo.log")
            _compute(stack, example)
        counts = count(collect([example.schema]).values())
        _show(example, counts)
        example.write(folder / "report.png")
        connection.close()
    n_keys = sum(progress.made for progress in counts.values())
    click.echo(f"{n_keys} keys in {time.monotonic() - started:.0f} s; they are in {folder}/.djq")
    click.echo(f"the picture: {folder}/report.png")
    click.echo("to look further, with Flower on http://127.0.0.1:5555 until Ctrl-C:")
    click.echo(f"    DJQ_STATE_DIR={folder}/.djq {_command()} up {demos.MODULE}")
    return status_of(counts)


def _compute(stack: Stack, example: Example) -> None:
    click.echo("running here: Redis, scheduler, two worker processes, Flower")
    click.echo(f"Flower meanwhile: {stack.flower_url}\n")
    try:
        submit(example.schema).watch()
    except KeyboardInterrupt:
        # Ours, or the supervisor's, because a program cannot run.
        stack.supervisor.check()
        raise


def _show(example: Example, counts: dict[str, Progress]) -> None:
    click.echo()
    show(counts)
    click.echo()
    rows = example.summary().to_dicts(order_by="KEY")
    show_grid(
        list(rows[0]),
        [[round(v, 1) if isinstance(v, float) else v for v in row.values()] for row in rows],
    )
    click.echo()


def _command() -> str:
    """Return how `djq` is called here: in `make demo` it is not on the PATH."""
    return "djq" if shutil.which("djq") else os.path.relpath(sys.argv[0])


def _report(restart: object) -> None:
    click.echo(str(restart), err=True)
