"""How fast rows come in: the bare driver, djq and DataJoint, interleaved, medians and ratios.

    python benchmarks/insert.py --datajoint /path/to/python/with/datajoint

The driver's rows go into a table that djq declared, so that keys and types are the same. Figures
of one table of the output were measured in one run, and only those compare.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import djq as dj
from djq.settings import load
from djq.tables.connection import Connection
from tests.support import servers

N_ROWS = 100_000
N_RUNS = 7
NAMES = ("id", "session", "name", "value", "flag")
DEFINITION = """
id : int32
---
session : int16
name : varchar(32)
value : float64
flag : int8
"""
#: What the other Python runs: one line asks for one insert, the answer is its seconds.
DATAJOINT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import datajoint as dj
host, port, schema_name, n_rows = json.loads(sys.argv[1])
dj.config["database.host"], dj.config["database.port"] = host, port
dj.config["database.user"], dj.config["database.password"] = "root", ""
dj.config["database.use_tls"] = False
dj.config["safemode"] = False
dj.logger.setLevel("ERROR")
schema = dj.Schema(schema_name)
@schema
class Narrow(dj.Manual):
    definition = \"\"\"%s\"\"\"
rows = [(i, i %% 500, f"name {i %% 1000}", i * 0.5, i %% 2) for i in range(n_rows)]
dicts = [dict(zip(%r, row)) for row in rows]
print("ready", flush=True)
for line in sys.stdin:
    Narrow.delete_quick()
    given = dicts if "dicts" in line else rows
    started = time.perf_counter()
    Narrow.insert(given)
    print(time.perf_counter() - started, flush=True)
""" % (DEFINITION, NAMES)  # noqa: UP031 - the text is full of braces

Run = Callable[[], float]


def make_rows(n_rows: int) -> list[tuple[Any, ...]]:
    """Return narrow rows."""
    return [(i, i % 500, f"name {i % 1000}", i * 0.5, i % 2) for i in range(n_rows)]


@contextlib.contextmanager
def contestants(url: str, folder: Path, n_rows: int) -> Iterator[dict[str, Run]]:
    """Yield what each contestant measures, on one database: seconds of one insert of all rows."""
    connection = Connection(load(database_url=url, state_dir=folder / ".djq"))
    schema = dj.Schema("bench_insert", connection=connection)
    narrow = schema(type("Narrow", (dj.Manual,), {"definition": DEFINITION}))
    rows = make_rows(n_rows)
    dicts = [dict(zip(NAMES, row, strict=True)) for row in rows]
    is_sqlite = url.startswith("sqlite")
    raw: Any = _sqlite(url) if is_sqlite else servers.connect(url)
    table = '"bench_insert.narrow"' if is_sqlite else "bench_insert.narrow"

    def timed(insert: Callable[[], object]) -> float:
        cursor = raw.cursor()
        cursor.execute(f"DELETE FROM {table}")
        raw.commit()
        started = time.perf_counter()
        insert()
        return time.perf_counter() - started

    def bare(given: list[Any], marks: str) -> Run:
        text = f"INSERT INTO {table} ({', '.join(NAMES)}) VALUES ({marks})"

        def insert() -> None:
            if is_sqlite:
                raw.execute("BEGIN IMMEDIATE")
            raw.cursor().executemany(text, given)
            raw.commit()

        return lambda: timed(insert)

    named = ":{}" if is_sqlite else "%({})s"
    try:
        yield {
            "driver, tuples": bare(rows, ", ".join(["?" if is_sqlite else "%s"] * len(NAMES))),
            "djq, tuples": lambda: timed(lambda: narrow.insert(rows)),
            "driver, dicts": bare(dicts, ", ".join(named.format(n) for n in NAMES)),
            "djq, dicts": lambda: timed(lambda: narrow.insert(dicts)),
        }
    finally:
        raw.close()
        connection.close()
        if not is_sqlite:
            servers.drop_databases(url, "bench_insert")


def _sqlite(url: str) -> sqlite3.Connection:
    """Open the file as djq does."""
    raw = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute("PRAGMA synchronous=FULL")
    return raw


@contextlib.contextmanager
def datajoint(python: str, url: str, n_rows: int) -> Iterator[dict[str, Run]]:
    """Yield what DataJoint measures, in a process of its own."""
    host, port = _address(url)
    arguments = json.dumps([host, port, "bench_insert_datajoint", n_rows])
    process = subprocess.Popen(
        [python, "-c", DATAJOINT, arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def ask(what: str) -> float:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{what}\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    try:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "ready":
            if process.poll() is not None:
                message = f"{python} cannot run DataJoint"
                raise SystemExit(message)
        yield {
            "DataJoint, tuples": lambda: ask("tuples"),
            "DataJoint, dicts": lambda: ask("dicts"),
        }
    finally:
        process.communicate()
        servers.drop_databases(url, "bench_insert_datajoint")


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.rsplit("@", 1)[-1].split("/", 1)[0].partition(":")
    return host, int(port or 3306)


def measure(runs: dict[str, Run], n_runs: int) -> dict[str, list[float]]:
    """Return the seconds of each contestant, interleaved, after one run that does not count."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(n_runs + 1):
        for name, run in runs.items():
            seconds = run()
            if i:
                found[name].append(seconds)
    return found


def ratio(found: dict[str, list[float]], name: str, base: str) -> float:
    """Return how much longer one contestant takes than another: the ratio of medians."""
    return statistics.median(found[name]) / statistics.median(found[base])


def _print(title: str, found: dict[str, list[float]], n_rows: int) -> None:
    print(f"\n{title}: {n_rows:,} rows of {len(NAMES)} columns, one call")
    for name, seconds in found.items():
        middle = statistics.median(seconds)
        form = name.split(", ")[1]
        print(
            f"  {name:20} {middle:7.3f} s ({min(seconds):.3f}-{max(seconds):.3f})"
            f"  {n_rows / middle / 1000:7.0f}k rows/s"
            f"  {ratio(found, name, f'driver, {form}'):5.2f}x the driver"
        )


def main() -> None:
    """Measure on MariaDB and SQLite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datajoint", metavar="PYTHON", help="a Python that has DataJoint")
    parser.add_argument("--rows", type=int, default=N_ROWS)
    parser.add_argument("--runs", type=int, default=N_RUNS)
    parser.add_argument("--url", help="a running MySQL or MariaDB, instead of one of its own")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = options.url
        if url is None:
            server = servers.mariadb_server()
            stack.callback(server.stop)
            server.start()
            url = server.url
        runs = stack.enter_context(contestants(url, folder, options.rows))
        if options.datajoint:
            runs |= stack.enter_context(datajoint(options.datajoint, url, options.rows))
        _print("server", measure(runs, options.runs), options.rows)
        sqlite = stack.enter_context(
            contestants(f"sqlite:///{folder / 'x.sqlite'}", folder, options.rows)
        )
        _print("SQLite", measure(sqlite, options.runs), options.rows)


if __name__ == "__main__":
    sys.exit(main())
