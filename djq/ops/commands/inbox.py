"""`djq errors` and `djq retry`: what failed, in groups, and how it becomes due again."""

from __future__ import annotations

from typing import Any

import click

from djq.ops.output import confirm, show_json, show_key
from djq.ops.selection import select
from djq.ops.status import Status
from djq.populate import inbox

#: Records that a person can make due again; ignored keys were put aside on purpose.
FAILED = ["error", "empty"]


@click.command()
@click.argument("names", nargs=-1, metavar="[MODULE]... [TABLE]...")
@click.option("--where", "condition", metavar="SQL", help="Only these keys: image_id = 1")
@click.option("--traceback", "has_traceback", is_flag=True, help="Show a traceback per group.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def errors(
    names: tuple[str, ...], condition: str | None, *, has_traceback: bool, as_json: bool
) -> int:
    """Show the errors that wait, grouped by their cause."""
    selection = select(names)
    where = [condition] if condition else []
    groups = [g for table in selection.tables for g in inbox.groups(table().jobs, *where)]
    if as_json:
        show_json(groups)
    elif groups:
        _show(groups, " ".join(selection.settings.pipeline), has_traceback=has_traceback)
    else:
        click.echo("no errors")
    return Status.ERRORS if groups else Status.DONE


@click.command()
@click.argument("names", nargs=-1, metavar="[MODULE]... [TABLE]...")
@click.option("--where", "condition", metavar="SQL", help="Only these keys: image_id = 1")
@click.option("--fingerprint", metavar="TEXT", help="Only this cause, as `djq errors` shows it.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def retry(
    names: tuple[str, ...],
    condition: str | None,
    fingerprint: str | None,
    *,
    is_agreed: bool,
    as_json: bool,
) -> int:
    """Forget errors, so that their keys are due again."""
    wanted: list[Any] = [{"status": FAILED}]
    wanted += [condition] if condition else []
    wanted += [{"fingerprint": fingerprint}] if fingerprint else []
    counts = {table: len(table.jobs.restrict(*wanted)) for table in select(names).tables}
    total = sum(counts.values())
    if not as_json:
        for table, count in counts.items():
            if count:
                click.echo(f"{table.spec.display_name}: {count:,} keys")
    if total and not confirm(f"Make {total:,} keys due again?", is_agreed=is_agreed):
        return Status.DONE
    done = {t.spec.display_name: t.jobs.retry(*wanted) for t, count in counts.items() if count}
    if as_json:
        show_json({"due_again": done})
    else:
        click.echo(f"due again: {sum(done.values()):,}" if done else "nothing to retry")
    return Status.DONE


def _show(groups: list[dict[str, Any]], modules: str, *, has_traceback: bool) -> None:
    for group in groups:
        count = f"{group['count']:,} {'keys' if group['count'] > 1 else 'key'}"
        click.secho(f"{group['table']}  {count}  ", bold=True, nl=False)
        click.echo(group["fingerprint"])
        for line in str(group["message"] or "").splitlines()[:3]:
            click.secho(f"    {line}", fg="red")
        click.echo(f"    as in {show_key(group['example'])}, last at {group['last']:%F %T} UTC")
        if group["retry_at"] is not None:
            click.echo(f"    tried again at {group['retry_at']:%F %T} UTC")
        if has_traceback and group["traceback"]:
            click.echo("".join(f"    {line}\n" for line in str(group["traceback"]).splitlines()))
            if group["log"]:
                click.echo("    what it wrote last:")
                click.echo("".join(f"    | {line}\n" for line in group["log"].splitlines()))
    click.echo(
        f'Show where: "djq errors {modules} --traceback". '
        f'After the cause is mended: "djq retry {modules}".'
    )
