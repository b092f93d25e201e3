"""How much memory a large array takes on its way in and out, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.processes import environment

N_BYTES = 300_000_000
#: Of issue 6, above the array itself; what is loaded counts with it.
BOUND = 1.3

PROGRAM = """
import json, sys
import numpy as np
import djq as dj
from djq.settings import load

folder, codec, n_bytes, step = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
settings = load(database_url=f"sqlite:///{folder}/pipeline.sqlite", state_dir=folder)
connection = dj.Connection(settings)
schema = dj.Schema("lab", connection=connection)


@schema
class Movie(dj.Manual):
    definition = f'''
    movie : int32
    ---
    frames : <{codec}@raw>
    '''


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


Movie.insert1((0, np.arange(100_000)), skip_duplicates=True)
(Movie & "movie = 0").fetch1("frames").load()
if step == "insert":
    # No more than the array itself, so that the peak before is what the array takes.
    array = np.random.default_rng(0).integers(0, 2**16, (n_bytes // 2000, 1000), "u2")
    before = peak()
    assert before < n_bytes + 200_000_000, before
    Movie.insert1((1, array))
else:
    before = peak()
    ref = (Movie & "movie = 1").fetch1("frames")
    if step == "slice":
        assert ref[len(ref) // 2 : len(ref) // 2 + len(ref) // 100].any()
    elif step == "load":
        assert ref.load().nbytes == n_bytes
    else:
        assert sum(block.nbytes for block in ref.blocks(16 << 20)) == n_bytes
print(json.dumps(peak() - before))
connection.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("codec", ["array", "npy"])
def test_an_array_goes_in_and_out_in_little_memory_beside_it(codec, tmp_path):
    def taken(step: str) -> float:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path), codec, str(N_BYTES), step],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            timeout=170,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) / N_BYTES

    # Noise does not shrink, and waits for its hash as a whole; a file is the array as it lies.
    assert taken("insert") < (BOUND if codec == "array" else 0.1)
    # The array itself is in these.
    assert taken("load") < BOUND
    assert taken("slice") < 0.3
    if codec == "array":
        assert taken("blocks") < 0.5
