"""The `djq` command: its verbs, and how every one of them ends.

A verb's module is imported when the verb is used, so that `djq --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import pkgutil
import sys
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from djq.errors import DjqError, UsageError
from djq.hints import suggest
from djq.ops.status import Status

if TYPE_CHECKING:
    from collections.abc import Sequence


class Verb(NamedTuple):
    """Where a verb is, and what it does in one line."""

    command: str
    help: str


_HERE = "djq.ops.commands"
VERBS = {
    "demo": Verb(f"{_HERE}.demo:demo", "Compute a real pipeline on this machine, and draw it."),
    "up": Verb(f"{_HERE}.up:up", "Run the whole local stack: Redis, scheduler, workers, Flower."),
    "plan": Verb(f"{_HERE}.plan:plan", "Show what is due in each table; changes nothing."),
    "run": Verb(f"{_HERE}.work:run", "Compute what is due on the fleet, and watch."),
    "runs": Verb(f"{_HERE}.runs:runs", "List what was asked for, and how it stands."),
    "watch": Verb(f"{_HERE}.runs:watch", "Watch a run, and go on with it if nobody else does."),
    "cancel": Verb(f"{_HERE}.runs:cancel", "End a run."),
    "status": Verb(f"{_HERE}.work:status", "Show the fleet, and what is done and due."),
    "errors": Verb(f"{_HERE}.inbox:errors", "Show the errors that wait, in groups."),
    "retry": Verb(f"{_HERE}.inbox:retry", "Make keys with errors due again."),
    "worker": Verb(f"{_HERE}.serve:worker", "Run a worker."),
    "scheduler": Verb(f"{_HERE}.serve:scheduler", "Run a scheduler."),
    "flower": Verb(f"{_HERE}.serve:flower", "Run Flower, the monitoring page."),
    "gc": Verb(f"{_HERE}.stores:gc", "Find, and remove, objects that no row refers to."),
    "fsck": Verb(f"{_HERE}.stores:fsck", "Check that every reference has its object."),
    "doctor": Verb(f"{_HERE}.doctor:doctor", "Check settings, database, Redis, workers, stores."),
}


class _Verbs(click.Group):
    """A group whose commands are found by name when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in VERBS:
            return None
        command = pkgutil.resolve_name(VERBS[cmd_name].command)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f'No such command "{args[0]}". {suggest(args[0], VERBS)}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 errors, 2 wrong usage or settings, 3 work remains.",
)
@click.version_option(package_name="djq", message="djq %(version)s")
def cli() -> None:
    """Scientific data pipelines as tables, computed by a fleet.

    Settings come from DJQ_* variables and djq.toml; without any, everything is kept in ./.djq.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    # As `python -m` does: the pipeline's modules lie in the working directory.
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its status; errors of djq are one message, no traceback."""
    try:
        return int(cli.main(args, prog_name="djq", standalone_mode=False) or Status.DONE)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return Status.INTERRUPTED
    except DjqError as error:
        click.secho(f"{type(error).__name__}: ", fg="red", bold=True, nl=False, err=True)
        click.echo(str(error), err=True)
        return Status.USAGE if isinstance(error, UsageError) else Status.ERRORS
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python would complain once more at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.DONE


if __name__ == "__main__":
    main()
