from __future__ import annotations

import subprocess
import sys

import click
import pytest

from djq.errors import ConfigError, FleetError
from djq.ops import cli
from djq.ops.status import Status
from tests.support.processes import environment

HEAVY = "celery kombu redis sqlalchemy sqlglot blosc2 obstore rich pandas numpy pymysql"


def end_with(monkeypatch, error: BaseException | int | None) -> int:
    """Return the status of a verb that raises or returns `error`."""

    @click.command()
    def verb():
        if isinstance(error, BaseException):
            raise error
        return error

    monkeypatch.setitem(cli.VERBS, "verb", cli.Verb("builtins:verb", "A test's own."))
    monkeypatch.setattr("pkgutil.resolve_name", lambda _: verb)
    return cli.run(["verb"])


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from djq.ops.cli import run\n"
        "assert run(['--help']) == 0\n"
        f"heavy = set('{HEAVY}'.split()) & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.VERBS)


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_verb_explains_itself(name, capsys):
    assert cli.run([name, "--help"]) == 0
    assert f"Usage: djq {name}" in capsys.readouterr().out


def test_a_misspelt_verb_gets_a_suggestion(capsys):
    assert cli.run(["wroker"]) == Status.USAGE
    assert 'Did you mean "worker"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("DJQ_REDIS_URL: no"), Status.USAGE),
        (FleetError("nobody there"), Status.ERRORS),
    ],
)
def test_our_errors_are_one_message_and_no_traceback(monkeypatch, capsys, error, status):
    assert end_with(monkeypatch, error) == status

    text = capsys.readouterr().err
    assert text == f"{type(error).__name__}: {error}\n"


@pytest.mark.parametrize("status", [None, Status.ERRORS, Status.WORK_REMAINS])
def test_a_verb_ends_with_the_status_it_returns(monkeypatch, status):
    assert end_with(monkeypatch, status) == (status or 0)


def test_an_interrupt_ends_as_shells_expect(monkeypatch, capsys):
    assert end_with(monkeypatch, KeyboardInterrupt()) == Status.INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


def test_our_own_mistakes_keep_their_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        end_with(monkeypatch, ZeroDivisionError())


def test_a_misspelt_setting_is_refused_before_anything_starts(monkeypatch, capsys):
    monkeypatch.setenv("DJQ_REDDIS_URL", "redis://localhost")

    assert cli.run(["doctor"]) == Status.USAGE
    assert "Did you mean DJQ_REDIS_URL?" in capsys.readouterr().err
