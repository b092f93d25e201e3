"""Processes that insert and delete rows while garbage is collected: no row loses its object."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import djq as dj
from djq.storage import collecting, content, sweeps
from djq.tables import checking, garbage
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from djq.settings import Settings
    from tests.support.processes import Process

#: In place of an hour, a day, half a minute and a minute [s].
FRESH_S, GRACE_S, LOOK_S, LEAD_S = 0.3, 2.0, 0.1, 0.3
RUN_S = 8.0
#: Each is put again about when it is old enough to be collected.
N_CONTENTS = 1_000
INSERTER = f"""
import datetime as dt, random, sys, time
import djq as dj
from djq.storage import content, sweeps
content.FRESH = dt.timedelta(seconds={FRESH_S})
sweeps.LOOK_S = {LOOK_S}
sweeps.PAUSE_S = 0.05
schema, number = sys.argv[1], int(sys.argv[2])
table = dj.FreeTable(f"{{schema}}.sound")
rng, n, end = random.Random(number), 0, time.monotonic() + {RUN_S}
while time.monotonic() < end:
    # Put again and again, by all processes, when their rows are deleted and they are old.
    n += 1
    table.insert1({{"process": number, "sound": n, "wave": f"la {{rng.randrange({N_CONTENTS})}}"}})
    if n % 20 == 0:
        mine = table & f"process = {{number}}"
        (mine & f"sound <= {{n - rng.randrange(5)}}").delete(prompt=False)
    time.sleep(0.005)
print("inserted", n)
"""


def test_rows_inserted_while_garbage_is_collected_have_their_objects(
    settings: Settings,
    schema_name: str,
    start_process: Callable[..., Process],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module, name, seconds in (
        (content, "FRESH", FRESH_S),
        (collecting, "FRESH", FRESH_S),
        (collecting, "MARGIN", 0.1),
    ):
        monkeypatch.setattr(module, name, dt.timedelta(seconds=seconds))
    monkeypatch.setattr(sweeps, "LEAD_S", LEAD_S)
    with dj.Connection(settings) as connection:
        schema = dj.Schema(schema_name, connection=connection)

        @schema
        class Sound(dj.Manual):
            definition = """
            process : int32
            sound : int32
            ---
            wave : <blob@raw>
            """

        store = connection.store("raw").store
        inserters = [
            start_process("-c", INSERTER, schema_name, str(i), settings=settings) for i in range(3)
        ]
        wait_until(lambda: len(Sound()) > 0, what="rows", timeout_s=30)
        collector = garbage.GarbageCollector(store="raw", connection=connection)
        n_deleted = n_passes = 0
        while any(p.is_running for p in inserters):
            n_deleted += collector.collect(dry_run=False, grace=GRACE_S, claim=True).n_deleted
            n_passes += 1
        assert all(p.returncode == 0 for p in inserters)
        found = dj.fsck(connection=connection, verify=True)

        assert (found.n_damages, found.damages) == (0, ())
        assert len(Sound().to_dicts()) == found.n_references > 0
        assert n_passes > 3
        assert n_deleted > 50
        # Then, once all is still, nothing is left but what rows refer to.
        time.sleep(GRACE_S)
        collector.collect(dry_run=False, grace=GRACE_S)
        n_left = sum(1 for _ in store.list(content.FOLDER))
        assert n_left == len({row["wave"] for row in Sound().to_dicts()})
        assert checking.fsck(connection=connection).n_damages == 0
