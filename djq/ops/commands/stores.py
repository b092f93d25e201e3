"""`djq gc` and `djq fsck`: what lies in stores, and what rows say of it."""

from __future__ import annotations

import importlib
import re
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from djq.errors import ConfigError
from djq.ops.meter import Meter
from djq.ops.output import confirm, show_json
from djq.ops.status import Status
from djq.settings import load
from djq.storage.collecting import GRACE, in_words
from djq.tables.checking import Damage
from djq.tables.checking import fsck as check
from djq.tables.connection import Connection
from djq.tables.garbage import Garbage, GarbageCollector

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)")

_store = click.argument("store", required=False)
_schemas = click.option(
    "--schema", "schemas", multiple=True, metavar="NAME", help="A schema that uses stores."
)
_modules = click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Where a codec is defined."
)
_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


class Span(click.ParamType[timedelta]):
    """A duration: `90m`, `24h`, `7d`."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the duration."""
        if isinstance(value, timedelta):
            return value
        match = _SPAN.fullmatch(str(value).strip())
        if match is None:
            self.fail(f'"{value}" is not a duration: write 90m, 24h or 7d', param, ctx)
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


@click.command()
@_store
@click.option("--delete", "is_meant", is_flag=True, help="Delete it; otherwise it is only counted.")
@click.option(
    "--grace",
    type=Span(),
    default=GRACE,
    show_default="24h",
    help="Leave alone what is younger; longer than any insert takes.",
)
@click.option("--claim", is_flag=True, help="Note that no other database uses the store.")
@click.option("--also", "urls", multiple=True, metavar="URL", help="Another database that does.")
@_schemas
@_modules
@click.option("--list", "is_listed", is_flag=True, help="Write the path of each object.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@_json
def gc(store: str | None, **options: Any) -> int:  # noqa: ANN401 - checked by click
    """Find, and with --delete remove, the objects of a store that no row refers to.

    Rows of all schemas count. What rows of other databases refer to would be lost: the store is
    claimed once, by --claim, and shared only with databases that --also names. Exit status: 0 done,
    1 something could not be read, 2 it would not be safe; nothing was deleted then.
    """
    _import(options["modules"])
    with _connected(options["urls"]) as (connection, *also):
        collector = GarbageCollector(
            *options["schemas"], store=store, connection=connection, also=also
        )
        is_asked = options["is_meant"] and not options["is_agreed"] and connection.settings.safemode
        found = _collect(collector, options, dry_run=is_asked or not options["is_meant"])
        if is_asked and found.n_garbage:
            question = f"Delete {found.n_garbage:,} objects ({found.n_garbage_bytes:,} bytes)?"
            if not options["as_json"]:
                click.echo(str(found))
            if not confirm(question, is_agreed=False):
                return Status.DONE
            found = _collect(collector, options, dry_run=False)
    if options["as_json"]:
        show_json(found.to_dict())
    else:
        click.echo(str(found))
        if found.is_dry_run and found.n_garbage:
            click.echo(f"nothing was deleted; older than {in_words(options['grace'])}: --delete")
    return Status.DONE


@click.command()
@_store
@click.option("--verify", is_flag=True, help="Read every object, and compare its hash.")
@_schemas
@_modules
@_json
def fsck(store: str | None, *, verify: bool, as_json: bool, **options: Any) -> int:  # noqa: ANN401 - checked by click
    """Check that every reference of every row has its object, of the right size.

    Exit status: 0 all is there, 1 objects are missing or damaged.
    """
    _import(options["modules"])

    meter = Meter(is_wanted=not as_json)

    def tell(damage: Damage) -> None:
        if not as_json:
            meter.clear()
            click.secho(str(damage), fg="red")

    with _connected(()) as (connection, *_), meter:
        found = check(
            *options["schemas"],
            store=store,
            verify=verify,
            connection=connection,
            each=tell,
            progress=meter.tell,
        )
    if as_json:
        show_json(found.to_dict())
    else:
        click.echo(str(found))
    return Status.ERRORS if found.n_damages else Status.DONE


def _collect(collector: GarbageCollector, options: dict[str, Any], *, dry_run: bool) -> Garbage:
    is_shown = options["is_listed"] and not options["as_json"]
    meter = Meter(is_wanted=not options["as_json"])

    def tell(path: str) -> None:
        meter.clear()
        click.echo(path)

    with meter:
        return collector.collect(
            dry_run,
            grace=options["grace"],
            claim=options["claim"],
            each=tell if is_shown else None,
            progress=meter.tell,
        )


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            message = f"--import {module}: {error}"
            raise ConfigError(message) from error


@contextmanager
def _connected(urls: Sequence[str]) -> Generator[list[Connection]]:
    """Open the database of the settings, and more of them by their URLs."""
    with ExitStack() as stack:
        settings = [load(), *(load(database_url=url) for url in urls)]
        yield [stack.enter_context(Connection(each)) for each in settings]
