"""How much memory a loop over 10⁶ rows takes, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.processes import environment

ROWS = 1_000_000
#: Of issue 4, above the start of the loop [bytes].
BOUND = 60e6

PROGRAM = """
import json, sys
import djq as dj
from djq.algebra.nodes import Projection
from djq.settings import load

url, folder, name, n = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
connection = dj.Connection(load(database_url=url, state_dir=folder))
schema = dj.Schema(name, connection=connection)


@schema
class Digit(dj.Lookup):
    definition = "digit : int8"
    contents = [(i,) for i in range(10)]


@schema
class Sample(dj.Manual):
    definition = '''
    sample : int32
    ---
    value : float64
    label : varchar(60)
    '''


product = Digit.proj(d0="digit")
for i in range(1, 6):
    product = product * Digit.proj(**{f"d{i}": "digit"})
columns = {
    "sample": " + ".join(f"d{i} * {10**i}" for i in range(6)),
    "value": "d0 / 4",
    "label": "'a text of about forty characters, no less'",
}
node = product.proj(**columns).node
made = Projection(node.source, node.columns[6:], Sample.heading)
connection.database.insert_from(Sample.spec, made)


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


next(iter(Sample))
before, seen = peak(), 0
for row in Sample:
    seen += 1
assert seen == n and row["label"].startswith("a text"), seen
print(json.dumps(peak() - before))
connection.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_loop_over_a_million_rows_takes_little_memory(database_url, schema_name, tmp_path):
    arguments = [database_url, str(tmp_path / ".djq"), schema_name, str(ROWS)]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=170,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) < BOUND
