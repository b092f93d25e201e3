"""What a delete costs: statements and time of djq, and of DataJoint where it is given.

    python benchmarks/delete.py
    python benchmarks/delete.py --url mysql://root@127.0.0.1:3306/ --datajoint venv/bin/python

Without a URL a private MariaDB is started. Five tables: one, and four that depend on it, one of
them by another table. First one row goes with its dependents, then 10,000 rows with theirs. The
server counts the statements (`Questions`), of one session and its transaction.
"""

from __future__ import annotations

import argparse
import json
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

N_ROWS = 20_000
N_DELETED = 10_000
PREFIX = "bench_delete"
DEFINITIONS = [
    ("Subject", "subject : int32\n---\nkind : int32"),
    ("Session", "-> Subject\nsession : int32"),
    ("Scan", "-> Session"),
    ("Note", "note : int32\n---\n-> Subject"),
    ("Weight", "-> Subject\nday : int32\n---\nweight : float64"),
]
ROWS = {
    "Subject": lambda n: [(i, i % 2) for i in range(n)],
    "Session": lambda n: [(i, 1) for i in range(n)],
    "Scan": lambda n: [(i, 1) for i in range(n)],
    "Note": lambda n: [(i, i) for i in range(n)],
    "Weight": lambda n: [(i, 1, 20.5) for i in range(n)],
}

DATAJOINT = """
import json, sys, time
import pymysql
import datajoint as dj
spec = json.loads(sys.argv[1])
for name in ("host", "port", "user", "password"):
    dj.config[f"database.{name}"] = spec[name]
dj.config["safemode"] = False
dj.logger.setLevel("ERROR")
schema = dj.Schema(spec["schema"])
space = {}
for name, text in spec["definitions"]:
    space[name] = type(name, (dj.Manual,), {"definition": text})
    schema(space[name], context=space)
for name, _ in spec["definitions"]:
    space[name].insert(spec["rows"][name])
watch = pymysql.connect(**{n: spec[n] for n in ("host", "port", "user", "password")})
def questions():
    with watch.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])
(space["Subject"] & {"subject": 19999}).delete(prompt=False)
found = []
for restriction in ({"subject": 19998}, "subject < 10000"):
    before, seconds = questions(), -time.perf_counter()
    (space["Subject"] & restriction).delete(prompt=False)
    seconds += time.perf_counter()
    found.append((questions() - before - 1, seconds))
print(json.dumps(found))
"""


def measure_djq(url: str, schema_name: str) -> list[tuple[int, float]]:
    """Return statements and seconds of both deletes."""
    connection = dj.Connection(load(database_url=url))
    schema = dj.Schema(schema_name, connection=connection)
    tables: dict[str, type[dj.Manual]] = {}
    for name, text in DEFINITIONS:
        tables[name] = type(name, (dj.Manual,), {"definition": text, **tables})
        tables[name] = schema(tables[name])
    for name, table in tables.items():
        table.insert(ROWS[name](N_ROWS))
    subject = tables["Subject"]
    (subject & {"subject": N_ROWS - 1}).delete(prompt=False)
    found: list[tuple[int, float]] = []
    with connect(url) as watch:
        for restriction in ({"subject": N_ROWS - 2}, f"subject < {N_DELETED}"):
            before, seconds = questions(watch), -time.perf_counter()
            (subject & restriction).delete(prompt=False)
            seconds += time.perf_counter()
            found.append((questions(watch) - before - 1, seconds))
    connection.close()
    return found


def questions(watch: object) -> int:
    """Return how many statements the server has been sent."""
    with watch.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])


def measure_datajoint(python: str, url: str, schema_name: str) -> list[tuple[int, float]]:
    """Return the same for DataJoint, in a process of its own."""
    parts = urlsplit(url)
    spec = {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": parts.username or "root",
        "password": parts.password or "",
        "schema": schema_name,
        "definitions": DEFINITIONS,
        "rows": {name: make(N_ROWS) for name, make in ROWS.items()},
    }
    script = "import sys; sys.argv[1:] = [sys.stdin.read()]\n" + DATAJOINT
    with tempfile.TemporaryDirectory() as folder:
        answer = subprocess.run(
            [python, "-c", script],
            input=json.dumps(spec),
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    return [tuple(pair) for pair in json.loads(answer.stdout.splitlines()[-1])]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a server of MySQL or MariaDB; schemas are made and dropped")
    parser.add_argument("--datajoint", metavar="PYTHON", help="an interpreter that has DataJoint")
    options = parser.parse_args()
    url = options.url or mariadb_server().url
    try:
        drop_databases(url, PREFIX)
        rows = [("djq", measure_djq(url, f"{PREFIX}_djq"))]
        if options.datajoint:
            name = f"{PREFIX}_datajoint"
            rows.append(("DataJoint", measure_datajoint(options.datajoint, url, name)))
        print(f"{'':10}  one row with 4 dependent tables   {N_DELETED:,} rows with theirs")
        for name, ((n_one, one_s), (n_many, many_s)) in rows:
            print(
                f"{name:10}  {n_one:4} statements {one_s * 1e3:8.1f} ms       "
                f"{n_many:4} statements {many_s:8.2f} s"
            )
    finally:
        drop_databases(url, PREFIX)
        close_session()


if __name__ == "__main__":
    main()
