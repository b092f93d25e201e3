"""Collecting and checking twenty thousand objects takes no more memory than a thousand."""

from __future__ import annotations

import hashlib
import os
import time
import tracemalloc

import pytest

import djq as dj
from djq.storage import sweeps
from djq.storage.content import FOLDER
from djq.tables import garbage

N_FEW, N_MANY = 1_000, 20_000
#: Digests that wait to be written, and a batch of paths; less than 200 bytes per object.
ALLOWED = 4 << 20


def fill(connection, n: int) -> None:
    """Write n objects, and a row for nine out of ten; djq's inserts are not what is measured."""
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


@pytest.fixture
def collect(local_settings, tmp_path, monkeypatch):
    """Fill a new pipeline, collect and check it; return the peak of memory [bytes]."""
    monkeypatch.setattr(sweeps, "LEAD_S", 0)

    def run(n: int) -> int:
        settings = local_settings.model_copy(
            update={
                "database_url": None,
                "state_dir": tmp_path / str(n),
            }
        )
        settings.state_dir.mkdir()
        with dj.Connection(settings) as connection:
            schema = dj.Schema("lab", connection=connection)

            @schema
            class Sound(dj.Manual):
                definition = """
                sound : int32
                ---
                wave : <hash@raw>
                """

            fill(connection, n)
            collector = garbage.GarbageCollector(store="raw", connection=connection)
            tracemalloc.start()
            done = collector.collect(dry_run=False, claim=True)
            found = dj.fsck(connection=connection)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert done.n_deleted == n / 10
            assert (found.n_references, found.n_damages) == (n * 9 / 10, 0)
            assert found.n_references == done.n_references == done.n_kept == len(Sound())
            return peak

    return run


def test_memory_is_flat(collect):
    collect(N_FEW)
    few, many = collect(N_FEW + 10), collect(N_MANY)
    assert many < few + ALLOWED
