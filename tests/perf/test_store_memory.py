"""How much memory an object of 300 MB takes on its way, in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from djq.settings import StoreSettings
from tests.support.processes import environment
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, s3_settings

__all__ = ["s3_settings"]

MB = 1_000_000
SIZE = 300 * MB

PROGRAM = """
import json, os, sys, threading
from pathlib import Path
import psutil
from djq.settings import StoreSettings
from djq.storage.buffers import FileParts
from djq.storage.open import open_store

content = open_store("raw", StoreSettings.model_validate_json(sys.argv[1]))
size, file = int(sys.argv[2]), Path(sys.argv[3])
content.put(b"the client's own")
if sys.argv[4] == "forked" and (child := os.fork()):
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
process = psutil.Process()


def memory():
    # With that of the process that asks for this one, if it was forked.
    return sum(each.memory_info().rss for each in (process, *process.children()))


def most(act):
    # How much more memory than before is held at some time.
    before, is_over, seen = memory(), threading.Event(), [0]

    def look():
        while not is_over.wait(0.005):
            seen[0] = max(seen[0], memory())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        result = act()
    finally:
        is_over.set()
        looking.join()
    return result, max(0, seen[0] - before)


block = bytes(range(256)) * 4096
with file.open("wb") as out:
    while out.tell() < size:
        out.write(block)
content.get(content.put(b"the client's own"))
parts = [b"header", bytearray(size), b"footer"]
reference, put = most(lambda: content.put(parts))
del parts
_, file_put = most(lambda: content.put(FileParts(file)))
_, iterate = most(lambda: sum(len(chunk) for chunk in content.store.iterate(reference.path)))
data, get = most(lambda: content.get(reference))
assert len(data) == reference.size
print(json.dumps({"put": put, "file_put": file_put, "iterate": iterate, "get": get}))
"""


def measure(settings: StoreSettings, folder, how: str = "direct") -> dict[str, int]:
    # Its own dump would hide the keys.
    shown = settings.model_dump(exclude={"options"})
    if settings.access_key is not None:
        shown |= {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(shown), str(SIZE), str(folder / "file"), how],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_flat(found: dict[str, int]) -> None:
    # Of what passes through, a few pieces of 16 MB are held; of what is returned, one copy.
    assert found["put"] < 130 * MB
    assert found["file_put"] < 220 * MB
    assert found["iterate"] < 130 * MB
    assert found["get"] < SIZE + 130 * MB


def test_an_object_goes_through_a_folder_in_flat_memory(tmp_path):
    assert_flat(measure(StoreSettings(url=str(tmp_path / "store")), tmp_path))


@pytest.mark.timeout(240)
def test_an_object_goes_through_a_bucket_in_flat_memory(s3_settings, tmp_path):
    assert_flat(measure(s3_settings, tmp_path))


@pytest.mark.timeout(240)
def test_an_object_goes_through_a_relay_in_flat_memory(s3_settings, tmp_path):
    assert_flat(measure(s3_settings, tmp_path, "forked"))
