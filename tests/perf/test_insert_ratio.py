"""How much longer djq takes for 100,000 rows than the bare driver, measured side by side."""

from __future__ import annotations

from math import inf

import pytest

from benchmarks.insert import contestants, measure

#: djq checks names, types and ranges, and takes at most this much longer.
BOUND = 1.3
#: Others use the machine, too, and only ever add time: the shortest run of each is what it takes,
#: and a few more are looked at before it is too long.
TRIES = 4


@pytest.mark.parametrize("form", ["tuples", "dicts"])
def test_100_000_rows_take_little_longer_than_through_the_driver(database_url, tmp_path, form):
    if database_url.startswith("sqlite"):
        database_url = f"sqlite:///{tmp_path / 'ratio.sqlite'}"
    ratios = []
    with contestants(database_url, tmp_path, 100_000) as runs:
        ours, bare = f"djq, {form}", f"driver, {form}"
        shortest = {ours: inf, bare: inf}
        for _ in range(TRIES):
            for name, seconds in measure({name: runs[name] for name in shortest}, 3).items():
                shortest[name] = min(shortest[name], *seconds)
            ratios.append(shortest[ours] / shortest[bare])
            if ratios[-1] <= BOUND:
                return

    assert ratios[-1] <= BOUND, ratios
