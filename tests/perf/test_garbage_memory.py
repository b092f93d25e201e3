"""Collecting and checking twenty thousand objects takes no more memory than a thousand.

In a process of its own: beside thousands of collected tests Python's own table of interned names is
large, and doubles when it likes.
"""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.processes import environment

N_FEW, N_MANY = 1_000, 20_000
#: Digests that wait to be written, and a batch of paths; less than 200 bytes per object.
ALLOWED = 4 << 20

PROGRAM = """
import hashlib, json, os, sys, time, tracemalloc
from pathlib import Path
import djq as dj
from djq.settings import load
from djq.storage import sweeps
from djq.storage.content import FOLDER
from djq.tables import garbage

sweeps.LEAD_S = 0


def fill(connection, n):
    # n objects, and a row for nine out of ten; djq's inserts are not what is measured.
    store = connection.store("raw").store
    old = time.time() - 3 * 86_400
    lines = []
    for i in range(n):
        digest = hashlib.sha256(b"%d" % i).hexdigest()
        target = store.root / FOLDER / digest[:2] / digest
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x")
        os.utime(target, (old, old))
        if i % 10:
            path = f"{FOLDER}/{digest[:2]}/{digest}"
            reference = f'{{"store":"raw","path":"{path}","hash":"sha256:{digest}","size":1}}'
            lines.append(f"({i},'{reference}')")
    with connection.transaction:
        for at in range(0, len(lines), 1_000):
            rows = ",".join(lines[at : at + 1_000])
            connection.query(f'INSERT INTO "lab.sound" (sound, wave) VALUES {rows}')


def peak(folder, n):
    # Fill a new pipeline, collect and check it; return the peak of memory [bytes].
    folder.mkdir()
    settings = load(database_url=f"sqlite:///{folder}/pipeline.sqlite", state_dir=folder)
    with dj.Connection(settings) as connection:
        schema = dj.Schema("lab", connection=connection)

        @schema
        class Sound(dj.Manual):
            definition = '''
            sound : int32
            ---
            wave : <hash@raw>
            '''

        fill(connection, n)
        collector = garbage.GarbageCollector(store="raw", connection=connection)
        tracemalloc.start()
        done = collector.collect(dry_run=False, claim=True)
        found = dj.fsck(connection=connection)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert done.n_deleted == n / 10, done
        assert (found.n_references, found.n_damages) == (n * 9 / 10, 0), found
        assert found.n_references == done.n_references == done.n_kept == len(Sound()), done
        return peak


peak(Path(sys.argv[1]) / "warm", 100)
print(json.dumps([peak(Path(sys.argv[1]) / n, int(n)) for n in sys.argv[2:]]))
"""


def test_memory_is_flat(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(N_FEW), str(N_MANY)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    few, many = json.loads(done.stdout)
    assert many < few + ALLOWED
