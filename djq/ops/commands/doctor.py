"""`djq doctor`: what is there, what is not, and what to do."""

from __future__ import annotations

import click

from djq.ops.doctor import Finding, Health, examine
from djq.ops.output import show_json
from djq.ops.selection import split
from djq.ops.status import Status
from djq.settings import load

MARKS = {Health.OK: ("ok", "green"), Health.PARTLY: ("--", "yellow"), Health.BROKEN: ("!!", "red")}


@click.command()
@click.argument("names", nargs=-1, metavar="[MODULE]...")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def doctor(names: tuple[str, ...], *, as_json: bool) -> int:
    """Check settings, database, pipeline, Redis, workers and stores.

    Exit status 1 if something is broken; what is merely absent (no worker yet) does not count.
    """
    modules, _ = split(names)
    findings: list[Finding] = []
    for finding in examine(load(pipeline=modules) if modules else load()):
        findings.append(finding)
        if not as_json:
            mark, colour = MARKS[finding.health]
            click.secho(f"{mark}  ", fg=colour, nl=False)
            click.echo(f"{finding.subject}: {finding.text}")
    if as_json:
        show_json(
            [{"subject": f.subject, "health": f.health.value, "text": f.text} for f in findings]
        )
    is_broken = any(finding.health is Health.BROKEN for finding in findings)
    return Status.ERRORS if is_broken else Status.DONE
