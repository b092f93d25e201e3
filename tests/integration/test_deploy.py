"""What `deploy/` configures, on the real programs."""

from __future__ import annotations

import base64
import contextlib
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pymysql
import pytest

from djq.settings import load
from tests.support import servers
from tests.support.processes import ROOT
from tests.support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = ROOT / "deploy/flowerconfig.py"


def status(url: str, *, user: str | None = None, method: str = "GET") -> int | None:
    """The HTTP status; None while nobody listens."""
    request = urllib.request.Request(url, method=method)
    if user is not None:
        request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError:
        return None


FLOWERS = {
    "djq flower": ["-m", "djq.ops.cli", "flower"],
    "celery flower": ["-m", "celery", "-A", "workers", "flower", "--address=127.0.0.1"],
}


@pytest.fixture(params=FLOWERS)
def start_flower(request, redis_url, tmp_path, start_process):
    settings = load(redis_url=redis_url, state_dir=tmp_path, pipeline="examples.blobs.pipeline")

    def start(port: int, **env: str):
        argv = [*FLOWERS[request.param], f"--port={port}"]
        return start_process(*argv, settings=settings, env={"FLOWER_CONF": str(CONFIG), **env})

    return start


def test_flower_asks_for_the_password_and_refuses_control(start_flower):
    port = free_port()
    process = start_flower(port, FLOWER_BASIC_AUTH="djq:right")
    site = f"http://127.0.0.1:{port}"
    process.wait_until(lambda: status(f"{site}/healthcheck"), what="an answer")

    assert status(f"{site}/") == 401
    assert status(f"{site}/", user="djq:wrong") == 401
    assert status(f"{site}/", user="djq:right") == 200
    assert status(f"{site}/api/worker/shutdown/any", user="djq:right", method="POST") == 403


def test_flower_does_not_start_without_a_password(start_flower):
    process = start_flower(free_port())
    assert process.wait(30) != 0
    assert "set FLOWER_BASIC_AUTH=user:password" in process.text()


@pytest.fixture
def root(database_url) -> Iterator[pymysql.cursors.Cursor]:
    """Root on a server that can take rights back, as that of the compose file can."""
    with contextlib.closing(servers.connect(database_url)) as server, server.cursor() as cursor:
        cursor.execute("SET GLOBAL partial_revokes = ON")
        yield cursor
        cursor.execute("SET GLOBAL partial_revokes = OFF")


@pytest.mark.parametrize("database_url", ["mysql"], indirect=True)
def test_the_database_user_creates_schemas_and_administers_nothing(root, database_url, schema_name):
    user = f"'{schema_name}'@'%'"
    root.execute(f"CREATE USER {user} IDENTIFIED BY 'secret'")
    try:
        for statement in rights().replace("'djq'@'%'", user).split(";"):
            root.execute(statement)
        url = f"mysql://{schema_name}:secret@{database_url.rpartition('@')[2]}"
        with contextlib.closing(servers.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{schema_name}`")
            cursor.execute(f"CREATE TABLE `{schema_name}`.a (x INT PRIMARY KEY)")
            cursor.execute(f"INSERT INTO `{schema_name}`.a VALUES (1)")
            for forbidden in ("CREATE USER 'another'@'%'", "SELECT * FROM mysql.user"):
                with pytest.raises(pymysql.err.OperationalError, match="denied"):
                    cursor.execute(forbidden)
    finally:
        root.execute(f"DROP USER {user}")


def rights() -> str:
    lines = (ROOT / "deploy/mysql/10-user.sql").read_text().splitlines()
    return " ".join(line for line in lines if not line.startswith("--")).strip().removesuffix(";")
