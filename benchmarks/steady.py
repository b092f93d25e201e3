"""How soon a fleet makes what is inserted: one row on an idle fleet, a hundred beside 10⁶ made.

    python benchmarks/steady.py
    python benchmarks/steady.py --made 100000 --rows 50 --slots 2

A worker of Celery, `djq scheduler` and this process, which inserts, share the machine. The clock
runs from the call of `insert1` (`insert`) until another connection, which asks every millisecond,
sees the row (the last row). Waits between two inserts are random, so that they meet every phase of
the fleet's own rounds. Without `--url` a private MariaDB is started; Redis is private in any case.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.processes import close_session  # noqa: E402 - found beside this file
from tests.support.servers import (  # noqa: E402
    connect,
    drop_databases,
    mariadb_server,
    redis_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = "bench_steady"
#: Rows of the second question.
N_NEW = 100
#: The sight of a row is looked for this often [s].
LOOK_S = 0.001
#: Nothing takes so long, or it never comes [s].
NEVER_S = 60.0

#: Told to insert rows by a line "<first> <number>", says when it began.
CLIENT = """
import sys, time
from benchmarks.doubling import Sample
print("ready", flush=True)
for line in sys.stdin:
    first, n = map(int, line.split())
    began = time.monotonic()
    if n == 1:
        Sample.insert1((first, 1.0))
    else:
        Sample.insert((i, 1.0) for i in range(first, first + n))
    print(began, time.monotonic(), flush=True)
"""


@dataclass
class Bench:
    """A fleet, a client that inserts, and a connection that looks."""

    raw: Any
    client: subprocess.Popen[str]
    next: int

    def insert(self, n: int) -> tuple[float, float]:
        """Insert rows; return how long until the last of them was made, and the insert alone."""
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        first, self.next = self.next, self.next + n
        self.client.stdin.write(f"{first} {n}\n")
        self.client.stdin.flush()
        with self.raw.cursor() as cursor:
            made = 0
            while made < n:
                time.sleep(LOOK_S)
                cursor.execute(f"SELECT COUNT(*) FROM {SCHEMA}.__doubled WHERE sample >= {first}")
                (made,) = cursor.fetchone()
                seen = time.monotonic()
        began, inserted = map(float, self.client.stdout.readline().split())
        return seen - began, inserted - began


def prepare(url: str, variables: dict[str, str], n_made: int) -> None:
    """Declare the tables; insert keys and their results."""
    code = "from benchmarks.doubling import Doubled; len(Doubled()); Doubled().jobs.errors"
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)
    with connect(url) as raw, raw.cursor() as cursor:
        for first in range(0, n_made, 50_000):
            rows = ",".join(f"({i},0)" for i in range(first, min(n_made, first + 50_000)))
            cursor.execute(f"INSERT INTO {SCHEMA}.sample VALUES {rows}")
        cursor.execute(
            f"INSERT INTO {SCHEMA}.__doubled (sample, doubled) "
            f"SELECT sample, 0 FROM {SCHEMA}.sample"
        )
        cursor.execute(f"ANALYZE TABLE {SCHEMA}.sample, {SCHEMA}.__doubled")
        cursor.fetchall()


@contextlib.contextmanager
def opened(url: str, redis: str, n_made: int, slots: int) -> Iterator[Bench]:
    """Prepare the tables, and run a fleet and a client."""
    drop_databases(url, SCHEMA)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.callback(drop_databases, url, SCHEMA)
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "BENCH_SCHEMA": SCHEMA,
            "DJQ_DATABASE_URL": url,
            "DJQ_REDIS_URL": redis,
            "DJQ_STATE_DIR": str(Path(folder) / ".djq"),
            "DJQ_PIPELINE": "benchmarks.doubling",
        }
        prepare(url, variables, n_made)
        for arguments in (["worker", "-c", str(slots)], ["scheduler"]):
            log = stack.enter_context((Path(folder) / f"{arguments[0]}.log").open("w"))
            process = subprocess.Popen(
                [sys.executable, "-m", "djq.ops.cli", *arguments],
                env=variables,
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(client.communicate)
        assert client.stdout is not None
        client.stdout.readline()
        raw = stack.enter_context(connect(url))
        raw.autocommit(True)
        bench = Bench(raw, client, n_made)
        bench.insert(1)  # until the fleet is up
        for _ in range(3):
            bench.insert(10)
        time.sleep(3.0)
        yield bench


def latencies(bench: Bench, n_rows: int) -> list[float]:
    """Return how long single rows took, at random moments."""
    found = []
    for _ in range(n_rows):
        time.sleep(random.uniform(0.05, 0.25))
        found.append(bench.insert(1)[0])
    return found


def bursts(bench: Bench, n_bursts: int) -> list[float]:
    """Return how long `N_NEW` rows at once took."""
    found = []
    for _ in range(n_bursts):
        time.sleep(random.uniform(0.5, 1.5))
        found.append(bench.insert(N_NEW)[0])
    return found


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a server of MySQL or MariaDB; schemas are made and dropped")
    parser.add_argument("--made", type=int, default=1_000_000, help="keys that are made already")
    parser.add_argument("--rows", type=int, default=200, help="single rows")
    parser.add_argument("--bursts", type=int, default=5)
    parser.add_argument("--slots", type=int, default=2)
    options = parser.parse_args()
    url = options.url or mariadb_server().url
    try:
        for n_made in (0, options.made):
            with opened(url, redis_server().url, n_made, options.slots) as bench:
                took = latencies(bench, options.rows)
                many = bursts(bench, options.bursts)
            print(
                f"{n_made:,} made: one row p50 {percentile(took, 50) * 1e3:.0f} ms, "
                f"p99 {percentile(took, 99) * 1e3:.0f} ms, longest {max(took) * 1e3:.0f} ms; "
                f"{N_NEW} rows {statistics.median(many):.2f} s, longest {max(many):.2f} s",
                flush=True,
            )
    finally:
        close_session()


if __name__ == "__main__":
    main()
