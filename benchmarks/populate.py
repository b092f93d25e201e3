"""How many keys a second are computed: a bare loop, DataJoint, djq here and djq's fleet.

    python benchmarks/populate.py
    python benchmarks/populate.py --datajoint venv/bin/python --processes 1 2 4 8
    python benchmarks/populate.py --url mysql://root@127.0.0.1:3306/

`make` reads one row and inserts one. All compute the same keys in one server, one after the other
in turn; the clock runs from the signal to begin until the last row is committed, in processes that
are up and connected. The bare loop is PyMySQL: SELECT, INSERT, COMMIT for each key, the keys dealt
out beforehand. Without `--url` a private MariaDB is started; Redis is private in any case.
"""

from __future__ import annotations

import argparse
import contextlib
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.processes import close_session  # noqa: E402 - found beside this file
from tests.support.servers import (  # noqa: E402
    connect,
    drop_databases,
    mariadb_server,
    redis_server,
)

SCHEMA = "bench_populate"
N_KEYS, N_RUNS = 5_000, 3
#: Nothing of this takes longer [s].
PATIENCE_S = 300.0

#: A process of each side: says "ready" when it is up, computes at each line it reads, says "done".
BARE = """
import os, sys, pymysql
part, of, n = (int(os.environ[f"BENCH_{name}"]) for name in ("PART", "OF", "KEYS"))
raw = pymysql.connect(**eval(os.environ["BENCH_ADDRESS"]), database=os.environ["BENCH_SCHEMA"])
cursor = raw.cursor()
print("ready", flush=True)
for _ in sys.stdin:
    for i in range(part, n, of):
        cursor.execute("SELECT value FROM sample WHERE sample = %s", (i,))
        value = cursor.fetchone()[0]
        cursor.execute("INSERT INTO __doubled VALUES (%s, %s)", (i, 2 * value))
        raw.commit()
    print("done", flush=True)
"""
DATAJOINT = """
import os, sys, warnings
warnings.simplefilter("ignore")
import datajoint as dj
for name, value in eval(os.environ["BENCH_ADDRESS"]).items():
    dj.config[f"database.{name}"] = value
dj.config["database.use_tls"] = False
dj.config["safemode"] = False
dj.logger.setLevel("ERROR")
sys.path.insert(0, os.environ["BENCH_FOLDER"])
from doubling import Doubled
options = eval(os.environ["BENCH_OPTIONS"])
Doubled.populate(max_calls=1)
print("ready", flush=True)
for _ in sys.stdin:
    Doubled.populate(**options)
    print("done", flush=True)
"""
DJQ = """
import os, sys
from benchmarks.doubling import Doubled
options = eval(os.environ["BENCH_OPTIONS"])
Doubled.populate(max_calls=1, **options)  # a fleet's worker is up when it has made one
print("ready", flush=True)
for _ in sys.stdin:
    Doubled.populate(**options)
    print("done", flush=True)
"""


@dataclass(frozen=True)
class Bench:
    """The servers, and what all sides are told."""

    url: str
    redis: str
    n_keys: int
    folder: Path
    datajoint: str | None

    def environment(self, schema: str, **more: object) -> dict[str, str]:
        """Return the variables of a process."""
        parts = urlsplit(self.url)
        address = {
            "host": parts.hostname,
            "port": parts.port or 3306,
            "user": parts.username or "root",
            "password": parts.password or "",
        }
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "BENCH_ADDRESS": repr(address),
            "BENCH_SCHEMA": schema,
            "BENCH_KEYS": str(self.n_keys),
            "BENCH_FOLDER": str(ROOT / "benchmarks"),
            "DJQ_DATABASE_URL": self.url,
            "DJQ_REDIS_URL": self.redis,
            "DJQ_NAMESPACE": schema,
            "DJQ_STATE_DIR": str(self.folder / ".djq"),
            "DJQ_PIPELINE": "benchmarks.doubling",
        } | {f"BENCH_{name}": str(value) for name, value in more.items()}


@dataclass
class Team:
    """Processes that wait for the signal."""

    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def add(self, python: str, script: str, environment: dict[str, str]) -> None:
        """Start one."""
        self.processes.append(
            subprocess.Popen(
                [python, "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                cwd=tempfile.gettempdir(),
            )
        )

    def hear(self, word: str) -> None:
        """Wait until each of them has said a word."""
        for process in self.processes:
            assert process.stdout is not None
            while line := process.stdout.readline():
                if line.strip() == word:
                    break
            else:
                message = f"a process ended before it was {word}"
                raise SystemExit(message)

    def go(self) -> None:
        """Let all of them compute."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        self.hear("done")

    def close(self) -> None:
        """Let them end."""
        for process in self.processes:
            process.communicate()


#: The first word of a side's name → the end of its schema's.
SCHEMAS = {"bare": "bare", "DataJoint": "datajoint", "djq": "djq", "fleet": "djq"}
#: The sides for one process, and for several.
ALONE = ("bare loop", "DataJoint", "djq", "djq make_many")
TOGETHER = ("bare loop", "DataJoint reserved", "djq reserved", "djq processes", "fleet")

#: A side's name, its schema, and what computes all keys.
Side = tuple[str, str, Callable[[], None]]


@contextlib.contextmanager
def side(bench: Bench, name: str, n: int) -> Iterator[Side]:
    """Yield a side that is up: its name, its schema, and what computes all keys."""
    kind, _, _ = name.partition(" ")
    schema = f"{SCHEMA}_{SCHEMAS[kind]}"
    options: dict[str, Any] = {}
    if "reserved" in name:
        options["reserve_jobs"] = True
    if "processes" in name:
        options["processes"] = n
    python, script = sys.executable, DJQ
    if kind == "DataJoint":
        assert bench.datajoint is not None
        python, script = bench.datajoint, DATAJOINT
    elif kind == "bare":
        script = BARE
    elif kind == "fleet":
        options["distributed"] = True
    team = Team()
    with contextlib.ExitStack() as stack:
        if kind == "fleet":
            stack.enter_context(worker(bench, schema, n))
        stack.callback(team.close)
        for part in range(n if "reserved" in name or kind == "bare" else 1):
            more = {"PART": part, "OF": n, "OPTIONS": options}
            if kind == "DataJoint":
                more["LIBRARY"] = "datajoint"
            if "make_many" in name:
                more["MANY"] = "yes"
            team.add(python, script, bench.environment(schema, **more))
        team.hear("ready")
        yield name, schema, team.go


@contextlib.contextmanager
def worker(bench: Bench, schema: str, n: int) -> Iterator[None]:
    """Run a worker of Celery with so many slots."""
    with (bench.folder / "worker.log").open("w") as output:
        arguments = ["-A", "workers", "worker", "-c", str(n), "-l", "warning", "-n", "bench@%h"]
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", *arguments, "--without-gossip", "--without-mingle"],
            env=bench.environment(schema),
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def begin_again(bench: Bench, schema: str) -> None:
    """Delete what was computed, and DataJoint's job records."""
    with connect(bench.url) as raw, raw.cursor() as cursor:
        cursor.execute(f"DELETE FROM {schema}.__doubled")
        cursor.execute(f"SHOW TABLES FROM {schema} LIKE '~~%'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {schema}.`{table}`")
        raw.commit()


def made(bench: Bench, schema: str) -> int:
    """Return how many keys were computed."""
    with connect(bench.url) as raw, raw.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {schema}.__doubled")
        return int(cursor.fetchone()[0])


def prepare(bench: Bench) -> None:
    """Declare the tables and insert what is given."""
    libraries = [("djq", sys.executable, "djq", "")]
    if bench.datajoint:
        libraries.append(("datajoint", bench.datajoint, "datajoint", DATAJOINT))
    for short, python, library, script in libraries:
        schema = f"{SCHEMA}_{short}"
        before = script.partition("from doubling")[0]
        rows = f"Sample.insert([(i, i / 7) for i in range({bench.n_keys})])"
        where = "doubling" if library == "datajoint" else "benchmarks.doubling"
        subprocess.run(
            [
                python,
                "-c",
                f"{before}\nfrom {where} import Doubled, Sample\n{rows}\nlen(Doubled())",
            ],
            env=bench.environment(schema, LIBRARY=library),
            check=True,
            cwd=tempfile.gettempdir(),
        )
    with connect(bench.url) as raw, raw.cursor() as cursor:
        # The bare loop fills a table without djq's columns of provenance.
        cursor.execute(f"CREATE DATABASE {SCHEMA}_bare")
        cursor.execute(f"CREATE TABLE {SCHEMA}_bare.sample LIKE {SCHEMA}_djq.sample")
        cursor.execute(f"INSERT INTO {SCHEMA}_bare.sample SELECT * FROM {SCHEMA}_djq.sample")
        cursor.execute(
            f"CREATE TABLE {SCHEMA}_bare.__doubled (sample INT PRIMARY KEY, "
            "doubled DOUBLE NOT NULL, "
            f"FOREIGN KEY (sample) REFERENCES {SCHEMA}_bare.sample (sample))"
        )
        raw.commit()


def measure(bench: Bench, names: tuple[str, ...], n: int, n_runs: int) -> dict[str, float]:
    """Return the median keys per second of each side, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(side(bench, name, n)) for name in names]
        for _ in range(n_runs):
            for name, schema, go in sides:
                begin_again(bench, schema)
                started = time.perf_counter()
                go()
                taken[name].append(bench.n_keys / (time.perf_counter() - started))
                if made(bench, schema) != bench.n_keys:
                    message = f"{name} computed {made(bench, schema)} of {bench.n_keys} keys"
                    raise SystemExit(message)
    return {name: statistics.median(rates) for name, rates in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a server of MySQL or MariaDB; schemas are made and dropped")
    parser.add_argument("--datajoint", metavar="PYTHON", help="an interpreter that has DataJoint")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--keys", type=int, default=N_KEYS)
    parser.add_argument("--runs", type=int, default=N_RUNS)
    parser.add_argument("--only", metavar="TEXT", default="", help="sides whose name has it")
    options = parser.parse_args()
    url = options.url or mariadb_server().url
    try:
        with tempfile.TemporaryDirectory() as folder:
            python = str(Path(options.datajoint).absolute()) if options.datajoint else None
            bench = Bench(url, redis_server().url, options.keys, Path(folder), python)
            drop_databases(url, SCHEMA)
            prepare(bench)
            for n in options.processes:
                names = tuple(
                    name
                    for name in (ALONE if n == 1 else TOGETHER)
                    if options.only in name and (python or "DataJoint" not in name)
                )
                found = measure(bench, names, n, options.runs)
                base = found.get("DataJoint") or found.get("DataJoint reserved")
                for name, rate in found.items():
                    against = f"{rate / base:6.2f} x DataJoint" if base else ""
                    bare = found.get("bare loop")
                    floor = f"{rate / bare:6.2f} x bare" if bare else ""
                    print(f"{n} {name:20} {rate:8.0f} keys/s {against} {floor}", flush=True)
    finally:
        drop_databases(url, SCHEMA)
        close_session()


if __name__ == "__main__":
    main()
