"""How fast queries and their rows are: the bare drivers, djq by each of them, and DataJoint.

    python benchmarks/fetch.py --datajoint /path/to/python/with/datajoint

All ask one MariaDB for the same rows, one after the other in turn; figures of one run compare, and
no others. What is not installed (mysqlclient, DataJoint) is left out, which the output says.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import djq as dj
from djq.settings import load
from djq.tables.connection import Connection
from tests.support import servers

#: Sessions and trials of each: 100,000 rows.
N_SESSIONS, N_TRIALS = 500, 200
N_RUNS = 7
#: Small questions that one run asks, to take the median of.
N_QUESTIONS = 200
SCHEMA = "bench_fetch"
SESSION = """
session_id : int32
---
subject : varchar(32)
day : date
"""
TRIAL = """
-> Session
trial : int32
---
name : varchar(32)
value : float64
flag : int8
"""
#: Every question, of djq and DataJoint alike: `i` differs each time.
SMALL = {
    "fetch1 by key": '(Trial & {"session_id": i % 500, "trial": i % 200}).fetch1()',
    "10 rows": '(Trial & {"session_id": i % 500} & "trial < 10").to_dicts()',
    "join of 200 rows": '(Session * Trial & {"session_id": i % 500}).to_dicts()',
    "aggregation of 10 groups": (
        '(Session & f"session_id >= {i % 40}" & f"session_id < {i % 40 + 10}")'
        '.aggr(Trial, n="count(*)", mean="avg(value)").to_dicts()'
    ),
    "len": 'len(Trial & {"session_id": i % 500})',
    "in": '{"session_id": i % 500, "trial": 1} in Trial()',
    "a join's SQL": '(Session * Trial & {"session_id": i % 500}).make_sql()',
}
LARGE = {
    "to dicts": "Trial.to_dicts()",
    "keys": "Trial.keys()",
    "to arrays": "Trial.to_arrays()",
    "to pandas": "Trial.to_pandas()",
    "to polars": "Trial.to_polars()",
    "to arrow": "Trial.to_arrow()",
    "streaming": "sum(1 for _ in Trial())",
}
ALL = {**SMALL, **LARGE}
_COLUMNS = "session_id, trial, name, value, flag"
_JOINED = "session JOIN trial USING (session_id)"
_TEN = "session_id >= %s AND session_id < %s"
#: The same of the bare driver: SQL, its values, and whether rows come as dicts.
BARE: dict[str, tuple[str, Callable[[int], tuple[Any, ...]], bool]] = {
    "fetch1 by key": (
        f"SELECT {_COLUMNS} FROM trial WHERE session_id = %s AND trial = %s LIMIT 2",
        lambda i: (i % 500, i % 200),
        False,
    ),
    "10 rows": (
        f"SELECT {_COLUMNS} FROM trial WHERE session_id = %s AND trial < %s",
        lambda i: (i % 500, 10),
        False,
    ),
    "join of 200 rows": (
        f"SELECT subject, day, {_COLUMNS} FROM {_JOINED} WHERE session_id = %s",
        lambda i: (i % 500,),
        False,
    ),
    "aggregation of 10 groups": (
        f"SELECT session_id, count(*), avg(value) FROM {_JOINED} WHERE {_TEN} GROUP BY session_id",
        lambda i: (i % 40, i % 40 + 10),
        False,
    ),
    "len": ("SELECT count(*) FROM trial WHERE session_id = %s", lambda i: (i % 500,), False),
    "in": (
        "SELECT 1 FROM trial WHERE session_id = %s AND trial = %s LIMIT 1",
        lambda i: (i % 500, 1),
        False,
    ),
    "to dicts": (f"SELECT {_COLUMNS} FROM trial", lambda _: (), True),
    "keys": ("SELECT session_id, trial FROM trial", lambda _: (), True),
    "to arrays": (f"SELECT {_COLUMNS} FROM trial", lambda _: (), False),
}
#: What the other Python runs: a line names a question and how often; the answer is a median [s].
DATAJOINT = """
import json, statistics, sys, time, warnings
warnings.simplefilter("ignore")
import datajoint as dj
host, port, name, session, trial, questions = json.loads(sys.argv[1])
dj.config["database.host"], dj.config["database.port"] = host, port
dj.config["database.user"], dj.config["database.password"] = "root", ""
dj.config["database.use_tls"] = False
dj.config["safemode"] = False
dj.logger.setLevel("ERROR")
schema = dj.Schema(name)
Session = schema(type("Session", (dj.Manual,), {"definition": session}))
Trial = schema(type("Trial", (dj.Manual,), {"definition": trial}))
ask = {q: eval("lambda i: " + text) for q, text in questions.items()}
print("ready", flush=True)
for line in sys.stdin:
    question, n = json.loads(line)
    taken = []
    try:
        for i in range(n):
            started = time.perf_counter()
            ask[question](i)
            taken.append(time.perf_counter() - started)
        print(statistics.median(taken), flush=True)
    except Exception as error:
        print("nan", flush=True)
"""

#: Asks a question so often; returns the median [s].
Asker = Callable[[str, int], float]


@dataclass
class Contestants:
    """Who is asked, and what is left out."""

    askers: dict[str, Asker] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def timed(ask: Callable[[int], object], n: int, clock: Callable[[], float]) -> float:
    """Return the median time of a question."""
    taken: list[float] = []
    for i in range(n):
        started = clock()
        ask(i)
        taken.append(clock() - started)
    return statistics.median(taken)


@contextlib.contextmanager
def djq(url: str, folder: Path, clock: Callable[[], float] = time.perf_counter) -> Iterator[Asker]:
    """Yield what asks djq; the tables are filled if they are not there."""
    connection = Connection(load(database_url=url, state_dir=folder / ".djq"))
    schema = dj.Schema(SCHEMA, connection=connection)
    names: dict[str, Any] = {"Session": type("Session", (dj.Manual,), {"definition": SESSION})}
    names["Session"] = schema(names["Session"])
    names["Trial"] = type("Trial", (dj.Manual,), {"definition": TRIAL})
    names["Trial"] = schema(names["Trial"])
    if not len(names["Trial"]()):
        fill(names)
    asks = {q: eval(f"lambda i: {text}", names) for q, text in ALL.items()}
    try:
        yield lambda question, n: timed(asks[question], n, clock)
    finally:
        connection.close()


def fill(names: dict[str, Any]) -> None:
    """Insert all rows."""
    names["Session"].insert((i, f"subject {i}", "2026-01-01") for i in range(N_SESSIONS))
    names["Trial"].insert(
        (i, j, f"name {j}", i + j / 7, j % 2) for i in range(N_SESSIONS) for j in range(N_TRIALS)
    )


@contextlib.contextmanager
def bare(url: str, driver: str, clock: Callable[[], float] = time.perf_counter) -> Iterator[Asker]:
    """Yield what asks a driver alone; NaN where it has no form of its own."""
    module = importlib.import_module(driver)
    cursors = importlib.import_module(f"{driver}.cursors")
    host, port = address(url)
    raw = module.connect(
        host=host, port=port, user="root", database=SCHEMA, charset="utf8mb4", autocommit=True
    )

    def stream(_: int) -> None:
        cursor = raw.cursor(cursors.SSCursor)
        cursor.execute(BARE["to arrays"][0])
        while cursor.fetchmany(1000):
            pass

    def ask(question: str, n: int) -> float:
        if question == "streaming":
            return timed(stream, n, clock)
        if question not in BARE:
            return float("nan")
        text, values, is_dict = BARE[question]
        kind = cursors.DictCursor if is_dict else cursors.Cursor

        def fetch(i: int) -> None:
            cursor = raw.cursor(kind)
            cursor.execute(text, values(i))
            cursor.fetchall()

        return timed(fetch, n, clock)

    try:
        yield ask
    finally:
        raw.close()


@contextlib.contextmanager
def datajoint(python: str, url: str) -> Iterator[Asker]:
    """Yield what asks DataJoint, in a process of its own, about a copy of the rows."""
    copy = f"{SCHEMA}_datajoint"
    process = subprocess.Popen(
        [python, "-c", DATAJOINT, json.dumps([*address(url), copy, SESSION, TRIAL, ALL])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(question: str, n: int) -> float:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([question, n]) + "\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    try:
        while process.stdout.readline().strip() != "ready":
            if process.poll() is not None:
                message = f"{python} cannot run DataJoint"
                raise SystemExit(message)
        with contextlib.closing(servers.connect(url)) as raw, raw.cursor() as cursor:
            for table in ("session", "trial"):
                cursor.execute(f"INSERT INTO {copy}.{table} SELECT * FROM {SCHEMA}.{table}")
        yield ask
    finally:
        process.communicate()
        servers.drop_databases(url, copy)


def address(url: str) -> tuple[str, int]:
    """Return the host and port of a server."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 3306


@contextlib.contextmanager
def contestants(url: str, folder: Path, python: str | None) -> Iterator[Contestants]:
    """Yield all that are installed."""
    found = Contestants()
    by_mysqlclient = f"mysql+mysqldb://{url.partition('://')[2]}"
    with contextlib.ExitStack() as stack:
        stack.callback(servers.drop_databases, url, SCHEMA)
        found.askers["djq"] = stack.enter_context(djq(url, folder))
        found.askers["PyMySQL"] = stack.enter_context(bare(url, "pymysql"))
        if importlib.util.find_spec("MySQLdb"):
            found.askers["djq, mysqlclient"] = stack.enter_context(djq(by_mysqlclient, folder))
            found.askers["mysqlclient"] = stack.enter_context(bare(url, "MySQLdb"))
        else:
            found.left_out.append("mysqlclient is not installed (pip install mysqlclient)")
        if python:
            found.askers["DataJoint"] = stack.enter_context(datajoint(python, url))
        else:
            found.left_out.append("DataJoint is not asked (--datajoint PYTHON)")
        yield found


def measure(askers: dict[str, Asker], question: str, n_runs: int, n: int) -> dict[str, float]:
    """Return the median time of each [s], interleaved, after one run that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in askers}
    for i in range(n_runs + 1):
        for name, ask in askers.items():
            seconds = ask(question, n)
            if i:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _print(question: str, found: dict[str, float]) -> None:
    base = found["PyMySQL"]
    cells: list[str] = []
    for seconds in found.values():
        if math.isnan(seconds):  # not asked
            cells.append(f"{'-':>18}")
            continue
        against = f"({seconds / base:.2f}x)" if not math.isnan(base) else ""
        cells.append(f"{seconds * 1000:10.3f} {against:>7}")
    print(f"{question:26}" + "".join(cells), flush=True)


def main() -> None:
    """Measure on MariaDB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--datajoint",
        metavar="PYTHON",
        default=os.environ.get("DJQ_TEST_DATAJOINT_PYTHON"),
        help="a Python that has DataJoint (default: DJQ_TEST_DATAJOINT_PYTHON)",
    )
    parser.add_argument("--runs", type=int, default=N_RUNS)
    parser.add_argument("--only", metavar="TEXT", default="", help="questions whose name has it")
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
        found = stack.enter_context(contestants(url, folder, options.datajoint))
        for why in found.left_out:
            print(why)
        print("\nmedians in ms, and times PyMySQL's")
        print(" " * 26 + "".join(f"{name:>18}" for name in found.askers))
        for question in (q for q in SMALL if options.only in q):
            _print(question, measure(found.askers, question, options.runs, N_QUESTIONS))
        print(f"{N_SESSIONS * N_TRIALS:,} rows")
        for question in (q for q in LARGE if options.only in q):
            _print(question, measure(found.askers, question, options.runs, 1))


if __name__ == "__main__":
    sys.exit(main())
