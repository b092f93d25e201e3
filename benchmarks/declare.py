"""How long it takes to declare a pipeline: djq, the bare driver, and DataJoint where it is given.

    python benchmarks/declare.py
    python benchmarks/declare.py --url mysql://root@127.0.0.1:3306/ --datajoint venv/bin/python

Without a URL a private MariaDB is started. Each table refers to the one before it, every third one
to two others; the driver sends the very statements that the server shows for djq's tables. Each
number is the best of some runs. The bound is that of the issue: 30 tables within 1 s on MariaDB.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import djq as dj  # noqa: E402 - found beside this file
from djq.settings import load  # noqa: E402
from tests.support.processes import close_session  # noqa: E402
from tests.support.servers import connect, drop_databases, mariadb_server  # noqa: E402

#: Declaring this many tables on MariaDB takes no longer [s].
BOUND_S = 1.0
PREFIX = "bench_declare"

DATAJOINT = """
import json, os, sys, time
import datajoint as dj
spec = json.loads(sys.argv[1])
for name in ("host", "port", "user", "password"):
    dj.config[f"database.{name}"] = spec[name]
dj.config["safemode"] = False
schema = dj.Schema(spec["schema"])
space = {}
seconds = -time.perf_counter()
for name, text in spec["definitions"]:
    space[name] = type(name, (dj.Manual,), {"definition": text})
    schema(space[name], context=space)
seconds += time.perf_counter()
print(json.dumps(seconds))
"""


def definitions(n_tables: int) -> list[tuple[str, str]]:
    """Return class names and definitions; each refers to those before it."""
    found: list[tuple[str, str]] = []
    for i in range(n_tables):
        name = f"Table{chr(65 + i // 26)}{chr(97 + i % 26)}"
        key = f"-> {found[i - 1][0]}" if i % 6 else f"key{i} : int32   # of its own"
        other = f"-> [nullable] {found[i - 3][0]}.proj(" if i >= 3 and i % 3 == 0 else ""  # noqa: PLR2004
        renames = ", ".join(f"r{i}_{n}='{n}'" for n in _key_of(i - 3)) if other else ""
        reference = f"{other}{renames})" if other else ""
        text = f"# table {i}\n{key}\nid{i} : int16\n---\n{reference}\nvalue = 0 : float64  # its\n"
        found.append((name, text + "name : varchar(30)\n"))
    return found


def _key_of(i: int) -> list[str]:
    start = i - i % 6
    return [f"key{start}", *(f"id{j}" for j in range(start, i + 1))]


def declare(schema: dj.Schema, texts: list[tuple[str, str]]) -> float:
    """Return how long djq takes to declare the tables [s]."""
    started = time.perf_counter()
    for name, text in texts:
        schema(type(name, (dj.Manual,), {"definition": text, "__module__": __name__}))
    return time.perf_counter() - started


def bare(url: str, source: str, target: str, tables: list[str]) -> float:
    """Return how long the bare driver takes to create the same tables [s]."""
    with contextlib.closing(connect(url)) as raw, raw.cursor() as cursor:
        statements: list[str] = []
        for table in tables:
            cursor.execute(f"SHOW CREATE TABLE `{source}`.`{table}`")
            statements += [str(row[1]) for row in cursor.fetchall()]
        cursor.execute(f"CREATE DATABASE `{target}`")
        cursor.execute(f"USE `{target}`")
        started = time.perf_counter()
        for statement in statements:
            cursor.execute(statement)
        return time.perf_counter() - started


def datajoint(python: str, url: str, schema: str, texts: list[tuple[str, str]]) -> float:
    """Return how long DataJoint takes to declare the same definitions [s]."""
    parts = urlsplit(url)
    spec = {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": parts.username or "root",
        "password": parts.password or "",
        "schema": schema,
        "definitions": texts,
    }
    done = subprocess.run(
        [python, "-W", "ignore", "-c", DATAJOINT, json.dumps(spec)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DJ_LOG_LEVEL": "ERROR"},
    )
    if done.returncode:
        sys.exit(f"DataJoint failed:\n{done.stderr[-2_000:]}")
    return float(done.stdout.strip().splitlines()[-1])


def measure(url: str, n_tables: int, n_runs: int, python: str | None) -> dict[str, float]:
    """Return the best of some runs of each [s]."""
    texts = definitions(n_tables)
    found: dict[str, list[float]] = {"djq": [], "djq again": [], "driver": []}
    with tempfile.TemporaryDirectory() as folder:
        connection = dj.Connection(load(database_url=url, state_dir=Path(folder)))
        with contextlib.closing(connection):
            connection.database.connect()
            for run in range(n_runs):
                schema = dj.Schema(f"{PREFIX}_{run}", connection=connection)
                found["djq"].append(declare(schema, texts))
                fresh = dj.Connection(connection.settings)
                with contextlib.closing(fresh):
                    fresh.database.connect()
                    again = dj.Schema(schema.name, connection=fresh)
                    found["djq again"].append(declare(again, texts))
                tables = schema.list_tables()
                found["driver"].append(bare(url, schema.name, f"{PREFIX}_{run}_bare", tables))
                if python is not None:
                    seconds = datajoint(python, url, f"{PREFIX}_{run}_dj", texts)
                    found.setdefault("DataJoint", []).append(seconds)
    return {name: min(seconds) for name, seconds in found.items()}


def main() -> None:
    """Measure, print a table with ratios, and fail where the bound is not held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a server; without it a private MariaDB is started")
    parser.add_argument("--datajoint", metavar="PYTHON", help="an interpreter that has DataJoint")
    parser.add_argument("--tables", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    try:
        url = arguments.url or mariadb_server().url
        drop_databases(url, PREFIX)
        found = measure(url, arguments.tables, arguments.runs, arguments.datajoint)
        drop_databases(url, PREFIX)
    finally:
        close_session()
    print(f"declaring {arguments.tables} tables ({os.cpu_count()} cores)")
    for name, seconds in found.items():
        print(f"{name:<10}  {seconds:7.3f} s  {seconds / found['driver']:6.2f} x the driver")
    if "DataJoint" in found:
        print(f"DataJoint takes {found['DataJoint'] / found['djq']:.2f} times as long as djq")
    if found["djq"] > BOUND_S * arguments.tables / 30:
        sys.exit(f"too slow: more than {BOUND_S:g} s for 30 tables")


if __name__ == "__main__":
    main()
