"""The private servers and processes of the suite itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import redis

from tests.support import leaks, servers
from tests.support.processes import ROOT, environment
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from djq.settings import Settings


def test_the_redis_server_answers_and_is_empty_for_each_test(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_what_the_test_before_left_in_redis_is_gone(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_a_killed_redis_server_can_be_started_on_the_same_port(redis_server):
    url = redis_server.url
    redis_server.kill()
    assert not redis_server.is_running
    redis_server.start()
    with redis.Redis.from_url(url) as client:
        assert client.ping()


def test_a_restarted_redis_server_forgets(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("a", 1)
    redis_server.restart()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.get("a") is None


def test_a_persistent_redis_server_remembers_over_a_crash(tmp_path, redis_url):
    server = servers.RedisServer(tmp_path, persistent=True)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("a", 1)
    server.kill()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("a") == b"1"
    server.stop()


def test_a_paused_redis_server_does_not_answer(redis_server):
    with (
        redis_server.paused(),
        redis.Redis.from_url(redis_server.url, socket_timeout=0.2, retry=None) as client,
        pytest.raises(redis.TimeoutError),
    ):
        client.ping()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ping()


def test_the_database_answers_and_its_schemas_are_dropped(settings: Settings, schema_name):
    url = settings.resolved_database_url
    if url.startswith("sqlite"):
        return
    for name in (schema_name, f"{schema_name}_more"):
        with contextlib.closing(servers.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
    servers.drop_databases(url, schema_name)
    assert schemas_like(url, schema_name) == []


def schemas_like(url: str, prefix: str) -> list[str]:
    with contextlib.closing(servers.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        return [name for (name,) in cursor.fetchall() if name.startswith(prefix)]


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_a_killed_mariadb_server_keeps_what_was_committed(
    mariadb_server, database_url, schema_name
):
    with (
        contextlib.closing(servers.connect(database_url)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"CREATE DATABASE `{schema_name}`")
        cursor.execute(f"CREATE TABLE `{schema_name}`.a (x INT PRIMARY KEY) ENGINE=InnoDB")
        cursor.execute(f"INSERT INTO `{schema_name}`.a VALUES (1)")
    mariadb_server.kill()
    mariadb_server.start()
    with (
        contextlib.closing(servers.connect(database_url)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SELECT x FROM `{schema_name}`.a")
        assert cursor.fetchall() == ((1,),)


@pytest.mark.needs_row_locks
def test_a_test_that_needs_row_locks_does_not_run_on_sqlite(database_url):
    assert not database_url.startswith("sqlite")


def test_a_process_gets_the_settings_and_nothing_of_the_shell(
    settings: Settings, start_process, monkeypatch
):
    monkeypatch.setenv("DJQ_LEASE_S", "99")
    program = (
        "from djq.settings import load\n"
        "s = load()\n"
        "print(s.resolved_database_url, s.redis_url, s.lease_s, s.state_dir)\n"
    )
    process = start_process("-c", program, settings=settings)
    assert process.wait() == 0, process.text()
    assert process.text().split() == [
        settings.resolved_database_url,
        str(settings.redis_url),
        str(settings.lease_s),
        str(settings.state_dir),
    ]


def test_stopping_a_process_kills_its_children(start_process):
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('started', child.pid)\n"
        "time.sleep(600)\n"
    )
    process = start_process("-c", program)
    process.wait_for("started")
    child = int(process.text().split()[1])
    assert [found.pid for found in process.children()] == [child]
    assert process.stop() == -signal.SIGTERM
    wait_until(lambda: not runs(child), what="the child to end")


def test_waiting_for_a_word_fails_at_once_when_the_process_ends(start_process):
    process = start_process("-c", "raise SystemExit('no such table')")
    with pytest.raises(AssertionError, match="no such table"):
        process.wait_for("ready")


def test_a_forgotten_process_counts_as_leaked():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    assert [child.pid for child in leaks.leaked_processes()] == [process.pid]
    process.kill()
    process.wait()


def test_what_is_held_counts_as_leaked(monkeypatch, tmp_path, redis_server):
    monkeypatch.setattr(leaks, "GRACE_S", 0.1)
    before = leaks.snapshot(tmp_path)
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait, name="forgotten")
    thread.start()
    with (
        (tmp_path / "a").open("w"),
        socket.create_connection(("127.0.0.1", redis_server.port)),
    ):
        found = leaks.leaks_since(before, tmp_path)
    go_on.set()
    thread.join()
    assert sorted(found) == [
        str(tmp_path / "a"),
        f"connection to port {redis_server.port}",
        "thread forgotten",
    ]
    assert leaks.leaks_since(before, tmp_path) == []


def test_a_killed_session_leaves_no_server_and_no_folder(tmp_path):
    program = (
        "import time\n"
        "from tests.support.processes import session\n"
        "from tests.support.servers import RedisServer\n"
        "server = RedisServer(session().folder)\n"
        "server.start()\n"
        "print(server.pid, session().folder, flush=True)\n"
        "time.sleep(600)\n"
    )
    servers.find(servers.REDIS_COMMANDS)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=ROOT,
    ) as doomed:
        assert doomed.stdout is not None
        pid, folder = doomed.stdout.readline().split()
        assert runs(int(pid))
        doomed.kill()
    wait_until(lambda: not runs(int(pid)), what="the server to be killed")
    wait_until(lambda: not Path(folder).exists(), what="the folder to be removed")


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_no_setting_of_the_shell_reaches_a_test(tmp_path):
    assert [
        name for name in os.environ if name.startswith("DJQ_") and not name.startswith("DJQ_TEST_")
    ] == []
    assert Path.cwd() == tmp_path
