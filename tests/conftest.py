"""Fixtures that the whole suite shares.

- `connection`, `schema`: where a test declares its tables; once per database.
- `settings`, `schema_name`: what a test needs to declare tables and run workers; once per database.
- `database_url`: SQLite, a private MariaDB, and MySQL where `DJQ_TEST_MYSQL_URL` names one.
  `DJQ_TEST_DATABASES` (`sqlite,mariadb,mysql`) narrows the choice; `DJQ_TEST_DRIVER=mysqldb` runs
  them through mysqlclient.
- `local_settings`: SQLite alone, for tests that need no server.
- `redis_url`, `redis_server`: an empty private Redis.
- `rabbit_url`: a private RabbitMQ, shared by the tests of the session: name queues of your own.
- `start_process`: real workers, schedulers, …

Servers start when the first test asks for them. One that is not installed skips the test, or fails
it where `CI` is set. With `-n auto` several processes share the tests; each has servers and folders
of its own.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING

import hypothesis
import pytest

from djq.settings import PREFIX, Settings, load
from djq.tables.connection import Connection
from djq.tables.schema import Schema
from tests.support import servers
from tests.support.leaks import leaks_since, snapshot
from tests.support.processes import ROOT, Process, close_session, environment, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATABASES = ("sqlite", "mariadb", "mysql")
MYSQL_URL = "DJQ_TEST_MYSQL_URL"
CHOICE = "DJQ_TEST_DATABASES"
DRIVER = "DJQ_TEST_DRIVER"
PROCESSES = pytest.StashKey[list[Process]]()
#: What measures time, or looks at whole servers: nothing else may run beside it.
ALONE = tuple(
    ROOT / "tests" / name
    for name in (
        "perf",
        "soak",
        "faults/test_recovery.py",
        # All schemas of a server, which other tests may share.
        "faults/test_garbage_race.py",
        "integration/test_checking.py",
        "integration/test_garbage.py",
        "integration/test_store_commands.py",
    )
)
#: What kills processes and servers and then waits: only its like may run beside it.
FAULTS = ROOT / "tests" / "faults"
#: Processes of `-n auto` at most: each has servers and workers of its own, up to 1 GB together.
MOST_JOBS = 4

# A slow machine is no counter-example. In CI hypothesis loads its own profile, a repeatable one.
hypothesis.settings.register_profile("local", deadline=None)
if not os.environ.get("CI"):
    hypothesis.settings.load_profile("local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--part` and `--per-database`."""
    parser.addoption(
        "--part",
        choices=("beside", "faults", "alone"),
        help="only tests that others may run beside, those of tests/faults, or what measures time",
    )
    parser.addoption(
        "--per-database",
        action="store_true",
        help="only tests that run once for each database: the others pass or fail alike on all",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for."""
    part, per_database = config.getoption("--part"), config.getoption("--per-database")

    def is_wanted(item: pytest.Item) -> bool:
        has_database = "database_url" in getattr(item, "fixturenames", ())
        return part in {None, part_of(item.path)} and (has_database or not per_database)

    wanted = [item for item in items if is_wanted(item)]
    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    items[:] = wanted


def part_of(path: Path) -> str:
    """Return which part of the suite a module belongs to."""
    if any(path.is_relative_to(alone) for alone in ALONE):
        return "alone"
    return "faults" if path.is_relative_to(FAULTS) else "beside"


def pytest_collection_finish() -> None:
    """Leave what lives as long as the session out of collections: tests that leak ask for many."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` starts."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return min(MOST_JOBS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def chosen_databases() -> tuple[str, ...]:
    """Return the databases of this run."""
    names = tuple(os.environ.get(CHOICE, ",".join(DATABASES)).replace(",", " ").split())
    if not names or not set(names) <= set(DATABASES):
        message = f"{CHOICE} is {os.environ.get(CHOICE)!r}; choose from {','.join(DATABASES)}"
        raise pytest.UsageError(message)
    return names


def by_driver(url: str, driver: str | None = None) -> str:
    """Return a server's URL for the driver of this run, or for another one."""
    driver = driver or os.environ.get(DRIVER)
    return f"mysql+{driver}://{url.partition('://')[2]}" if driver else url


def missing(message: str) -> None:
    """Skip the test, or fail it where every service must be there."""
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's shell or folder reaches a test."""
    for name in os.environ:
        is_ours = name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_")
        if is_ours or name.startswith("DJ_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _nothing_left_behind(tmp_path: Path) -> Iterator[None]:
    """Fail a test that leaves a thread, a process, a connection or an open file behind."""
    before = snapshot(tmp_path)
    yield
    leaks = leaks_since(before, tmp_path)
    assert not leaks, f"the test left behind: {', '.join(sorted(leaks))}"


@pytest.fixture(scope="session")
def _redis() -> Iterator[servers.RedisServer]:
    try:
        server = servers.redis_server()
    except servers.MissingServerError as error:
        missing(str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _mariadb() -> Iterator[servers.MariaDBServer]:
    try:
        server = servers.mariadb_server()
    except servers.MissingServerError as error:
        missing(str(error))
    yield server
    server.stop()


@pytest.fixture
def redis_server(_redis: servers.RedisServer) -> servers.RedisServer:
    """The session's Redis: running and empty, even where the test before killed it."""
    _redis.start()
    _redis.flush()
    return _redis


@pytest.fixture
def redis_url(redis_server: servers.RedisServer) -> str:
    """The URL of an empty Redis."""
    return redis_server.url


@pytest.fixture(scope="session")
def _rabbit() -> Iterator[servers.RabbitServer]:
    try:
        server = servers.rabbit_server()
    except servers.MissingServerError as error:
        missing(str(error))
    yield server
    server.stop()


@pytest.fixture
def rabbit_server(_rabbit: servers.RabbitServer) -> servers.RabbitServer:
    """A RabbitMQ that runs, also after a test that stopped it."""
    _rabbit.start()
    return _rabbit


@pytest.fixture
def rabbit_url(rabbit_server: servers.RabbitServer) -> str:
    """The URL of a RabbitMQ server."""
    return rabbit_server.url


@pytest.fixture
def mariadb_server(_mariadb: servers.MariaDBServer) -> servers.MariaDBServer:
    """The session's MariaDB: running, even where the test before killed it."""
    _mariadb.start()
    return _mariadb


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database; the test runs once for each kind."""
    kind: str = request.param
    if kind not in chosen_databases():
        pytest.skip(f"{CHOICE} leaves {kind} out")
    if kind == "sqlite":
        if mark := request.node.get_closest_marker("needs_row_locks"):
            pytest.skip(f"SQLite locks the whole file {mark.kwargs.get('reason', '')}".strip())
        return f"sqlite:///{tmp_path / 'pipeline.sqlite'}"
    if kind == "mariadb":
        server: servers.MariaDBServer = request.getfixturevalue("mariadb_server")
        return by_driver(server.url)
    if MYSQL_URL not in os.environ:
        # Not `missing`: CI runs the suite without MySQL first, then again with it.
        pytest.skip(f"{MYSQL_URL} is not set")
    return by_driver(os.environ[MYSQL_URL])


@pytest.fixture
def schema_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name nobody else uses; databases whose names begin with it are dropped after the test."""
    name = f"t_{secrets.token_hex(4)}"
    url: str | None = (
        request.getfixturevalue("database_url") if "database_url" in request.fixturenames else None
    )
    yield name
    if url is not None and not url.startswith("sqlite"):
        if "mariadb_server" in request.fixturenames or "_mariadb" in request.fixturenames:
            request.getfixturevalue("mariadb_server").start()
        servers.drop_databases(url, name)


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings for one database and an empty Redis, with a state folder of the test's own."""
    return load(database_url=database_url, redis_url=redis_url, state_dir=tmp_path / ".djq")


@pytest.fixture
def connection(database_url: str, tmp_path: Path) -> Iterator[Connection]:
    """An open connection to one database, with stores in the test's own folder."""
    opened = Connection(load(database_url=database_url, state_dir=tmp_path / ".djq"))
    yield opened
    opened.close()


@pytest.fixture
def schema(schema_name: str, connection: Connection) -> Schema:
    """A schema of the test's own; the connection is closed before its tables are dropped."""
    return Schema(schema_name, connection=connection)


@pytest.fixture
def local_settings(tmp_path: Path) -> Settings:
    """Settings for SQLite without Redis: no server is needed."""
    return load(
        database_url=f"sqlite:///{tmp_path / 'pipeline.sqlite'}", state_dir=tmp_path / ".djq"
    )


@pytest.fixture
def start_process(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., Process]]:
    """Start Python as real processes: `start_process("-m", "celery", …, settings=settings)`.

    `env` adds variables. Each is stopped after the test; its log is shown when the test fails.
    """
    started: list[Process] = request.node.stash.setdefault(PROCESSES, [])

    def start(
        *arguments: str | Path, settings: Settings | None = None, env: dict[str, str] | None = None
    ) -> Process:
        log = tmp_path / f"process-{len(started) + 1}.log"
        argv = [sys.executable, *arguments]
        process = Process(argv, log=log, env=environment(settings, **(env or {})), cwd=tmp_path)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.is_running:
            process.signal(signal.SIGTERM)
    for process in reversed(started):
        process.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of a failed test's processes."""
    report = yield
    if report.failed:
        for process in item.stash.get(PROCESSES, []):
            report.sections.append((f"{process!r}", tail(process.log)))
    return report


def pytest_unconfigure() -> None:
    """Stop whatever is left, however the session ended."""
    close_session()
