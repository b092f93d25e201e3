"""`djq plan`: what there is to do, and what waits for what; nothing is changed."""

from __future__ import annotations

import click

from djq.ops.output import show_json
from djq.ops.progress import status_of
from djq.ops.selection import select
from djq.populate.planning import plan_of


@click.command()
@click.argument("names", nargs=-1, metavar="[MODULE]... [TABLE]...")
@click.option("--where", "condition", metavar="SQL", help="Only these keys: image_id = 1")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def plan(names: tuple[str, ...], condition: str | None, *, as_json: bool) -> int:
    """Count the keys of each table by state, and those that wait for other tables.

    Exit status: 0 all is made, 1 errors wait, 3 keys are due.
    """
    found = plan_of(select(names).tables, (condition,) if condition else ())
    if as_json:
        show_json({"tables": found.to_dicts(), "slots": found.slots})
    else:
        click.echo(str(found))
    return status_of({table.table: table for table in found})
