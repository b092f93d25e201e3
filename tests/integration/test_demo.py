"""The demo and its pipeline on real processes: every row is what a plain populate computes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from djq.settings import load
from tests.support import servers
from tests.support.processes import environment
from tests.support.waiting import wait_until

MODULE = "examples.blobs.pipeline"
ROWS = Path(__file__).parent / "pipelines" / "blobs_rows.py"
#: Enough work for two kills in the middle, and no more.
PICTURES = ("immunohistochemistry", "cell", "moon")
DJQ = ("-m", "djq.ops.cli")

#: Whole demos, and one by a plain populate to compare them with: a slow machine takes its time.
pytestmark = pytest.mark.timeout(600)


def rows(settings, *arguments: str) -> dict[str, list]:
    """What is in the example's tables, after doing what the arguments say."""
    done = subprocess.run(
        [sys.executable, ROWS, *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, list]:
    """All rows, computed by a plain local populate."""
    folder = tmp_path_factory.mktemp("plain")
    settings = load(database_url=f"sqlite:///{folder / 'plain.sqlite'}", state_dir=folder)
    return rows(settings, "populate")


def of(pictures: tuple[str, ...], expected: dict[str, list]) -> dict[str, list]:
    """The rows of some pictures; the first attribute of every table is the picture's number."""
    numbers = {row[0] for row in expected["blobs.Image"] if row[1] in pictures}
    return {table: [r for r in found if r[0] in numbers] for table, found in expected.items()}


def n_tiles(settings) -> int:
    """How many tiles are in the store: a measure of how far the run is."""
    folder = Path(urlsplit(settings.store("tiles").url).path)
    return sum(path.is_file() for path in folder.rglob("*"))


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def _no_blobs_left(request, database_url):
    yield
    if not database_url.startswith("sqlite"):
        servers.drop_databases(database_url, "blobs")


def test_the_demo_runs_from_nothing_to_a_picture(start_process, tmp_path, expected):
    demo = start_process(*DJQ, "demo")
    wait_until(lambda: len(demo.children()) >= 4, what="the stack's processes", timeout_s=60)
    processes = demo.children()

    assert demo.wait(150) == 0, demo.text()

    text = demo.text()
    for line in ("blobs.Tile [100%] 165/165", "blobs.Detection [100%] 495/495", "report.png"):
        assert line in text
    assert (tmp_path / "demo/report.png").stat().st_size > 100_000
    assert all(map(is_gone, processes))
    state = tmp_path / "demo/.djq"
    assert not (state / "redis.url").exists()
    stored = load(database_url=f"sqlite:///{state / 'pipeline.sqlite'}", state_dir=state)
    assert rows(stored, "dump") == expected


def test_a_killed_demo_takes_its_processes_along_and_can_be_run_again(start_process, tmp_path):
    demo = start_process(*DJQ, "demo")
    demo.wait_for("blobs.Tile", timeout_s=90)
    # Redis, scheduler, worker with its pool of two, Flower.
    wait_until(lambda: len(demo.children()) == 6, what="the whole stack", timeout_s=60)
    processes = demo.children()

    os.kill(demo.pid, signal.SIGKILL)

    wait_until(lambda: all(map(is_gone, processes)), what="every process gone", timeout_s=15)
    again = start_process(*DJQ, "demo")
    again.wait_for("blobs.Tile", timeout_s=90)
    assert "starting afresh" in again.text()
    again.signal(signal.SIGINT)
    assert again.wait(60) == 130
    assert "Traceback" not in again.text()


@pytest.mark.usefixtures("_no_blobs_left")
def test_killed_processes_and_workers_change_no_row(settings, start_process, expected):
    # given a stack with two workers, and work for both
    settings = settings.model_copy(update={"pipeline": (MODULE,)})
    rows(settings, "insert", *PICTURES)
    stack = start_process(*DJQ, "up", "--no-flower", "-w", "2", "-c", "1", settings=settings)
    stack.wait_for("Ctrl-C", timeout_s=60)
    run = start_process(*DJQ, "run", "--yes", settings=settings)

    # when a pool process and then a whole worker are killed in the middle
    wait_until(lambda: n_tiles(settings) >= 5, what="the first tiles", timeout_s=60)
    pool_process(stack).kill()
    wait_until(lambda: n_tiles(settings) >= 30, what="more tiles", timeout_s=60)
    worker = pool_process(stack).parent()
    assert n_tiles(settings) < 80, "killed too late to prove anything"
    worker.kill()

    # then it ends by itself, with the same rows
    assert run.wait(150) == 0, run.text() + stack.text()
    assert "signal 9" in stack.text()
    assert rows(settings, "dump") == of(PICTURES, expected)
    stack.signal(signal.SIGINT)
    assert stack.wait(60) == 0, stack.text()


def pool_process(stack) -> psutil.Process:
    """A process in which a worker computes: one below a worker's main process."""
    mains = {p.pid for p in stack.children() if p.ppid() == stack.pid}
    return next(p for p in stack.children() if p.ppid() in mains and not is_gone(p))
