"""How fast a scheduler finds and queues a million due keys, and the memory that takes.

    python benchmarks/queuing.py
    python benchmarks/queuing.py --keys 100000 --profile

The scheduler is a process of its own; so is a worker that reserves each chunk it receives and
releases it at once as made, without making anything: as in life, the chunks in flight are bounded.
The clock runs from the first search until the last key was released. Beside it: the bare driver
streaming the same antijoin. Without `--url` a private MariaDB is started; Redis is private in any
case.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pymysql.cursors  # noqa: E402 - found beside this file

from tests.support.processes import close_session  # noqa: E402
from tests.support.servers import (  # noqa: E402
    connect,
    drop_databases,
    mariadb_server,
    redis_server,
)

SCHEMA = "bench_queue"
SLOTS = 8

WORKER = """
import base64, json, os
import redis
from djq.orchestrator.app import producer_app
from djq.orchestrator.events import Released
from djq.orchestrator.holding import Main
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.server import resolve_url
from djq.orchestrator.states import Chunk
from djq.populate.keys import wire_ids
from djq.settings import load
settings = load()
reservations = Reservations.open(settings)
main = Main("null", slots=int(os.environ["BENCH_SLOTS"]))
conf = producer_app(settings).conf
queue = conf.broker_transport_options["global_keyprefix"] + conf.task_default_queue
client = redis.Redis.from_url(resolve_url(settings))
reservations.holders.beat(main)
print("ready", flush=True)
n = 0
while True:
    answer = client.brpop(queue, timeout=2)
    n += 1
    if answer is None or n % 200 == 0:
        reservations.holders.beat(main)
    if answer is None:
        continue
    body = json.loads(base64.b64decode(json.loads(answer[1])["body"]))[1]
    chunk = Chunk(body["chunk"], body["run"], body["table"], tuple(wire_ids(body["keys"])))
    held = reservations.reserve(chunk, f"null/{n % main.slots}")
    done = Released(
        chunk.table, chunk.id, chunk.run, made=held.keys, seconds=0.0002 * len(held.keys)
    )
    reservations.release(held, done)
"""
SCHEDULER = """
import cProfile, json, os, resource, time
from benchmarks.doubling import Doubled
from djq.orchestrator.app import producer_app
from djq.orchestrator.dispatch import CeleryDispatcher
from djq.orchestrator.loop import Loop
from djq.orchestrator.planning import DatabasePlan
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.scans import BackgroundScans
from djq.orchestrator.states import Limits
n_keys, n_made = int(os.environ["BENCH_KEYS"]), 0
settings = Doubled.schema.connection.settings
plan = DatabasePlan({Doubled.spec.display_name: Doubled})
dispatcher = CeleryDispatcher(producer_app(settings), plan.show)
def observe(event):
    global n_made
    n_made += len(getattr(event, "made", ()))
scans = BackgroundScans(Doubled.schema.connection.close)
loop = Loop("bench", plan, Reservations.open(settings), dispatcher, Limits(is_endless=True),
            scans=scans, observe=observe)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started, cpu = time.perf_counter(), time.process_time()
profile = cProfile.Profile(time.process_time)  # of all threads together
if os.environ["BENCH_PROFILE"] == "True":
    profile.enable()
while n_made < n_keys:
    loop.turn(0.5)
profile.disable()
taken = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": taken, "cpu": time.process_time() - cpu, "peak_mb": peak / 1024,
                  "grown_mb": (peak - before) / 1024}), flush=True)
if os.environ["BENCH_PROFILE"] == "True":
    import pstats
    import sys
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(28)
scans.close()
dispatcher.close()
"""


def environment(url: str, redis: str, folder: Path, **more: object) -> dict[str, str]:
    """Return the variables of a process."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "BENCH_SCHEMA": SCHEMA,
        "DJQ_DATABASE_URL": url,
        "DJQ_REDIS_URL": redis,
        "DJQ_NAMESPACE": SCHEMA,
        "DJQ_STATE_DIR": str(folder / ".djq"),
        "DJQ_PIPELINE": "benchmarks.doubling",
    } | {f"BENCH_{name}": str(value) for name, value in more.items()}


def prepare(url: str, variables: dict[str, str], n_keys: int) -> None:
    """Declare the tables and insert the keys."""
    code = "from benchmarks.doubling import Doubled, Sample; len(Doubled()); Doubled().jobs.errors"
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)
    with connect(url) as raw, raw.cursor() as cursor:
        for first in range(0, n_keys, 50_000):
            rows = ",".join(f"({i},0)" for i in range(first, min(n_keys, first + 50_000)))
            cursor.execute(f"INSERT INTO {SCHEMA}.sample VALUES {rows}")
        cursor.execute(f"ANALYZE TABLE {SCHEMA}.sample")


def bare(url: str) -> float:
    """Return the seconds in which the driver streams the antijoin."""
    with connect(url) as raw, raw.cursor(pymysql.cursors.SSCursor) as cursor:
        started = time.perf_counter()
        cursor.execute(
            f"SELECT s.sample FROM {SCHEMA}.sample s LEFT JOIN {SCHEMA}.__doubled d "
            "USING (sample) WHERE d.sample IS NULL"
        )
        for _ in cursor:
            pass
        return time.perf_counter() - started


def queue(variables: dict[str, str]) -> dict[str, float]:
    """Run a scheduler until everything was released; return what it says."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], env=variables, stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None
        worker.stdout.readline()
        scheduler = subprocess.run(
            [sys.executable, "-c", SCHEDULER],
            env=variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    finally:
        worker.kill()
        worker.communicate()
    found: dict[str, float] = json.loads(scheduler.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a server of MySQL or MariaDB; schemas are made and dropped")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="of the scheduler, to stderr")
    options = parser.parse_args()
    url = options.url or mariadb_server().url
    try:
        with tempfile.TemporaryDirectory() as folder:
            redis = redis_server()
            more = {"KEYS": options.keys, "SLOTS": SLOTS, "PROFILE": options.profile}
            variables = environment(url, redis.url, Path(folder), **more)
            drop_databases(url, SCHEMA)
            prepare(url, variables, options.keys)
            driver = statistics.median(bare(url) for _ in range(options.runs))
            print(f"{options.keys:,} keys; the driver streams them in {driver:.2f} s")
            for _ in range(options.runs):
                found = queue(variables)
                print(
                    f"found and queued in {found['seconds']:.1f} s, {found['cpu']:.1f} s of CPU; "
                    f"memory {found['peak_mb']:.0f} MB, grown by {found['grown_mb']:.0f} MB",
                    flush=True,
                )
    finally:
        drop_databases(url, SCHEMA)
        close_session()


if __name__ == "__main__":
    main()
