"""The `djq` command as a person uses it: real stack, real shells, what they say and return."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys

import pytest

from tests.support.processes import environment
from tests.support.servers import free_port
from tests.support.waiting import wait_until

PIPELINE = '''
import pathlib
import djq as dj

schema = dj.Schema("lab")

@schema
class Number(dj.Lookup):
    definition = """
    number : int32
    """
    contents = [(i,) for i in range(20)]

@schema
class Square(dj.Computed):
    definition = """
    -> Number
    ---
    square : int64
    """

    def make(self, key):
        if key["number"] == 7 and not pathlib.Path("mended").exists():
            raise ValueError("seven is broken")
        self.insert1({**key, "square": key["number"] ** 2})
'''
DJQ = ("-m", "djq.ops.cli")
BIN = [sys.executable, *DJQ]


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "lab.py").write_text(PIPELINE)
    return tmp_path


def call(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BIN, *arguments],
        env=environment(None, **env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def counts(*arguments: str, **env: str) -> dict[str, int]:
    [found] = json.loads(call("plan", *arguments, "--json", **env).stdout)["tables"]
    return found


def running() -> list[str]:
    """Return the ids of the runs that go on."""
    return [run["run"] for run in json.loads(call("runs", "--status", "running", "--json").stdout)]


def test_a_pipeline_from_the_first_plan_to_the_mended_error(lab, start_process):
    # Before anything runs: all is due, and nobody is there to do it.
    plan = call("plan", "lab")
    assert plan.returncode == 3, plan.stderr
    assert "lab.Square" in plan.stdout
    alone = call("run", "lab", "--yes")
    assert alone.returncode == 1
    assert "djq up" in alone.stderr
    assert "Traceback" not in alone.stderr

    # With the stack up, other shells find its server.
    stack = start_process(*DJQ, "up", "lab", "-c", "1")
    stack.wait_for("Ctrl-C", timeout_s=60)
    assert stat.S_IMODE((lab / ".djq/redis.url").stat().st_mode) == 0o600
    run = call("run", "lab", "Square", "--yes")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "lab.Square [100%] 19/20  1 failed" in run.stdout
    assert counts("lab") == {
        "table": "lab.Square",
        "total": 20,
        "made": 19,
        "due": 0,
        "errors": 1,
        "empty": 0,
        "ignored": 0,
        "level": 0,
        "running": 0,
        "retrying": 0,
        "blocked": {},
        "n_blocked": 0,
        "seconds_per_key": None,
        "eta_s": 0.0,
    }
    status = json.loads(call("status", "lab", "--json").stdout)
    assert [worker["slots"] for worker in status["fleet"]["workers"]] == [1]
    assert status["fleet"]["has_scheduler"]

    # A run with options of its own goes on until somebody cancels it.
    options = ("--priority", "5", "--queue", "djq.default", "--max-retries", "1")
    endless = start_process(*DJQ, "run", "lab", "--continuous", *options, "--yes")
    [name] = wait_until(running, what="the run", timeout_s=60)
    script = f"import lab; print(lab.dj.Run.of({name!r}).options)"
    shown = subprocess.check_output([sys.executable, "-c", script], env=environment(), text=True)
    assert shown == "PopulateOptions(queue='djq.default', priority=5, max_retries=1)\n"
    assert call("cancel", name).returncode == 0
    assert endless.wait(60) == 1, endless.text()
    assert running() == []
    doctor = call("doctor", "lab")
    assert doctor.returncode == 0, doctor.stdout
    script = "import lab; print(lab.Square.populate('number = 3', distributed=True))"
    shell = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, check=False
    )
    assert b"'success_count': 0" in shell.stdout, shell.stderr

    # The error waits in the inbox.
    errors = call("errors", "lab", "--traceback")
    assert errors.returncode == 1
    for words in ("lab.Square  1 key", "seven is broken", "as in number=7", "lab.py"):
        assert words in errors.stdout

    # Ctrl-C ends all; the tables stay.
    stack.signal(signal.SIGINT)
    assert stack.wait(60) == 0
    assert not (lab / ".djq/redis.url").exists()
    (lab / "mended").touch()
    assert call("retry", "lab").returncode == 2
    retry = call("retry", "lab", "--yes")
    assert (retry.returncode, "due again: 1" in retry.stdout) == (0, True)
    assert call("plan", "lab").returncode == 3
    subprocess.run(
        [sys.executable, "-c", "import lab; lab.Square.populate()"], env=environment(), check=True
    )
    assert call("plan", "lab").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["up"], 2, "DJQ_PIPELINE"),
        (["worker", "nowhere"], 2, 'cannot find the module "nowhere"'),
        (["plan", "lab", "Sqare"], 2, 'Did you mean "Square"?'),
        (["plan", "lab", "--where", "nubmer = 1"], 2, "nubmer"),
        (["worker", "lab", "-c", "none"], 2, "auto"),
        (["worker", "lab"], 1, "djq up"),
        (["scheduler", "lab"], 1, "djq up"),
        (["run", "lab", "--priority", "5000"], 2, "PopulateOptions(priority=5000): it must be"),
    ],
)
def test_what_is_called_wrongly_is_told_in_one_message(lab, arguments, status, words):
    done = call(*arguments)

    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == status


@pytest.mark.parametrize("verb", ["plan", "run", "up", "worker", "scheduler", "doctor"])
def test_a_database_that_is_not_there_is_told_in_one_message(lab, verb):
    port = free_port()

    done = call(
        verb,
        "lab",
        DJQ_DATABASE_URL=f"mysql://someone:secret@127.0.0.1:{port}",
        DJQ_REDIS_URL=f"redis://127.0.0.1:{port}",
    )

    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in said
    assert "secret" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", ["run", "up", "doctor"])
def test_a_redis_that_is_not_there_is_told_in_one_message(lab, verb):
    port = free_port()

    done = call(verb, "lab", DJQ_REDIS_URL=f"redis://:secret@127.0.0.1:{port}/0")

    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in said
    assert "DJQ_REDIS_URL" in said
    assert "secret" not in said
    assert "Traceback" not in said


def test_a_typo_in_a_definition_is_told_with_its_line(lab):
    (lab / "lab.py").write_text(PIPELINE.replace("square : int64", "square : imt64"))

    done = call("up", "lab")

    assert done.returncode == 2
    assert "imt64" in done.stderr
    assert "Square" in done.stderr
    assert "Traceback" not in done.stderr
