"""How fast arrays go through S3: djq's tables, the bare client, and DataJoint.

    python benchmarks/stores.py [--datajoint PYTHON --url mysql://root@127.0.0.1:3306]

1,000 arrays of 1 MB are inserted and fetched through a SeaweedFS of its own, which is the same for
all. The bare client puts and gets the same bytes with as many threads. DataJoint moves one array
at a time, and needs a MySQL (`--url`) and s3fs beside it. Figures of one run compare: medians of
rounds in which one and then the other begins.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import obstore
from obstore.store import S3Store

import djq as dj
from djq.settings import load
from djq.tables.connection import Connection
from tests.support import s3, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

N_ARRAYS, N_RUNS, N_THREADS = 1000, 4, 8
SCHEMA = "bench_stores"
DEFINITION = """
i : int32
---
trace : <blob@bench>
"""
#: What the other Python runs: it inserts and fetches rows one by one, as it does by itself.
DATAJOINT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import datajoint as dj
host, port, endpoint, bucket, prefix, access, secret, n = json.loads(sys.argv[1])
dj.config["database.host"], dj.config["database.port"] = host, port
dj.config["database.user"], dj.config["database.password"] = "root", ""
dj.config["database.use_tls"] = False
dj.config["safemode"] = False
dj.logger.setLevel("ERROR")
dj.config.stores["bench"] = dict(
    protocol="s3", endpoint=endpoint, bucket=bucket, location=prefix, access_key=access,
    secret_key=secret, secure=False,
)
schema = dj.Schema("bench_stores_datajoint")
text = "i : int32\\n---\\ntrace : <blob@bench>"
Traces = schema(type("Traces", (dj.Manual,), {"definition": text}))
rng = np.random.default_rng(7)
rows = [(i, rng.integers(0, 2**62, 131_072)) for i in range(n)]
started = time.perf_counter()
Traces.insert(rows)
between = time.perf_counter()
assert len(Traces.to_arrays("trace")) == n
print(json.dumps([between - started, time.perf_counter() - between]))
"""


def noise(seed: int, n: int) -> list[NDArray[Any]]:
    """Return arrays of 1 MB that do not shrink."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 2**62, 131_072) for _ in range(n)]


def by_djq(traces: Any, arrays: list[NDArray[Any]], first: int) -> tuple[float, float]:  # noqa: ANN401
    """Insert the arrays as rows, and fetch them."""
    rows = [(first + i, array) for i, array in enumerate(arrays)]
    started = time.perf_counter()
    traces.insert(rows)
    between = time.perf_counter()
    found = (traces & f"i >= {first}").to_arrays("trace", order_by="i")
    ended = time.perf_counter()
    assert all(map(np.array_equal, found, arrays))
    return between - started, ended - between


def by_client(client: S3Store, arrays: list[NDArray[Any]], prefix: str) -> tuple[float, float]:
    """Put and get the same bytes, nothing else."""
    with ThreadPoolExecutor(N_THREADS) as threads:
        started = time.perf_counter()
        paths = [f"{prefix}/{i}" for i in range(len(arrays))]
        list(
            threads.map(
                lambda i: obstore.put(client, paths[i], arrays[i].tobytes()), range(len(paths))
            )
        )
        between = time.perf_counter()
        found = list(threads.map(lambda path: obstore.get(client, path).bytes(), paths))
        ended = time.perf_counter()
    assert len(found) == len(arrays)
    return between - started, ended - between


def by_datajoint(python: str, url: str, server: s3.S3Server, n: int) -> tuple[float, float]:
    """Let DataJoint insert and fetch as many, in a process of its own."""
    parts = urlsplit(url)
    place = [server.endpoint.removeprefix("http://"), s3.BUCKET, "datajoint"]
    given = [parts.hostname, parts.port or 3306, *place, s3.ACCESS_KEY, s3.SECRET_KEY, n]
    done = subprocess.run(
        [python, "-c", DATAJOINT, json.dumps(given)], capture_output=True, text=True, check=False
    )
    servers.drop_databases(url, "bench_stores_datajoint")
    if done.returncode:
        raise SystemExit(done.stderr[-1000:])
    seconds_in, seconds_out = json.loads(done.stdout.splitlines()[-1])
    return seconds_in, seconds_out


@contextlib.contextmanager
def table(url: str | None, folder: Path, server: s3.S3Server) -> Iterator[Any]:
    """Yield djq's table."""
    where = url or f"sqlite:///{folder}/bench.sqlite"
    stores = {"bench": server.settings("djq")}
    settings = load(database_url=where, state_dir=folder, stores=stores, store_threads=N_THREADS)
    connection = Connection(settings)
    try:
        schema = dj.Schema(SCHEMA, connection=connection)
        yield schema(type("Traces", (dj.Manual,), {"definition": DEFINITION}))
    finally:
        connection.close()
        if url is not None:
            servers.drop_databases(url, SCHEMA)


def show(name: str, taken: list[tuple[float, float]], n: int) -> tuple[float, float]:
    """Print the median MB/s in and out; return them."""
    speeds = [n / statistics.median(t[i] for t in taken) for i in (0, 1)]
    print(f"{name:24}{speeds[0]:8.0f} MB/s in {speeds[1]:8.0f} MB/s out", flush=True)
    return speeds[0], speeds[1]


def main() -> None:
    """Measure all that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--datajoint", metavar="PYTHON", default=os.environ.get("DJQ_TEST_DATAJOINT_PYTHON")
    )
    parser.add_argument("--url", help="a running MySQL, which DataJoint needs; default: SQLite")
    parser.add_argument("--runs", type=int, default=N_RUNS)
    parser.add_argument("--arrays", type=int, default=N_ARRAYS)
    options = parser.parse_args()
    n: int = options.arrays
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = s3.S3Server(folder)
        server.start()
        stack.callback(server.kill)
        client = S3Store(
            s3.BUCKET,
            config={
                "endpoint": server.endpoint,
                "region": "us-east-1",
                "access_key_id": s3.ACCESS_KEY,
                "secret_access_key": s3.SECRET_KEY,
            },
            client_options={"allow_http": True},
        )
        traces = stack.enter_context(table(options.url, folder, server))
        found: dict[str, list[tuple[float, float]]] = {"djq": [], "bare client": []}
        runners: dict[str, Callable[[list[NDArray[Any]], int], tuple[float, float]]] = {
            "djq": lambda arrays, run: by_djq(traces, arrays, run * n),
            "bare client": lambda arrays, run: by_client(client, arrays, f"bare/{run}"),
        }
        # The first round is for memory that nobody has touched: it costs whoever comes first.
        for run in range(options.runs + 1):
            arrays = noise(run, n)
            for name in list(runners)[:: 1 if run % 2 else -1]:
                taken = runners[name](arrays, run)
                if run:
                    found[name].append(taken)
        mine = show("djq", found["djq"], n)
        bare = show("bare client", found["bare client"], n)
        print(f"djq is {mine[0] / bare[0]:.2f} x and {mine[1] / bare[1]:.2f} x the bare client")
        if options.datajoint and options.url:
            n_theirs = max(1, n // 10)
            theirs = show(
                "DataJoint",
                [by_datajoint(options.datajoint, options.url, server, n_theirs)],
                n_theirs,
            )
            print(f"djq is {mine[0] / theirs[0]:.1f} x and {mine[1] / theirs[1]:.1f} x DataJoint")


if __name__ == "__main__":
    main()
