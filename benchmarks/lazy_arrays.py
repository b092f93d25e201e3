"""What slices of a 1 GB array read, and how long they take, from a folder.

`python -m benchmarks.lazy_arrays [gigabytes]`; compares `<array@store>`, the same in slabs, and
`<npy@store>`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from djq.codecs import grids
from djq.codecs.codec import Context
from djq.codecs.registry import get
from djq.storage.content import ContentStore
from djq.storage.filesystem import FolderStore
from tests.support.counting import CountingStore

N_COLUMNS = 512
#: Name → index, of an array of that many rows.
SLICES = {
    "1 % of the rows": lambda n: np.s_[n // 2 : n // 2 + n // 100],
    "one row": lambda n: np.s_[n // 3],
    "1 % of the columns": lambda _: np.s_[:, 100:105],
    "one column": lambda _: np.s_[:, 100],
    "a tenth of both": lambda n: np.s_[n // 3 : n // 3 + n // 10, 100:151],
    "every 1000th row": lambda _: np.s_[::1000],
    "100 rows by number": lambda n: (np.arange(100) * (n // 100),),
}


def main() -> None:
    """Print a table."""
    n_rows = int(float(sys.argv[1] if len(sys.argv) > 1 else 1) * 1e9) // (2 * N_COLUMNS)
    noise = np.random.default_rng(0)
    array = np.empty((n_rows, N_COLUMNS), "<i2")
    for start in range(0, n_rows, 10_000):
        part = array[start : start + 10_000]
        part[:] = noise.normal(scale=12, size=part.shape)
    print(f"{array.nbytes / 1e9:.2f} GB of noise as of electrodes, {array.shape}")
    for kind, codec, tile in (
        ("<array>", "array", grids.TILE_BYTES),
        ("slabs", "array", grids.CHUNK_BYTES),
        ("<npy>", "npy", 0),
    ):
        with tempfile.TemporaryDirectory() as folder, patch.object(grids, "TILE_BYTES", tile):
            measure(kind, codec, array, Path(folder))


def measure(kind: str, codec: str, array: np.ndarray[Any, Any], folder: Path) -> None:
    """Store the array, and read all slices of it by handles that know nothing yet."""
    store = CountingStore(FolderStore(folder))
    context = Context(store_name="raw", open_store=lambda name: ContentStore(name, store))
    begun = time.perf_counter()
    row = get(codec).encode(array, context=context)
    speed = array.nbytes / (time.perf_counter() - begun) / 1e6
    print(f"\n{kind}: {row['size'] / 1e6:.0f} MB stored, {speed:.0f} MB/s in")
    for name, index in SLICES.items():
        ref = get(codec).decode(row, context=context)
        store.n_bytes = store.n_requests = 0
        begun = time.perf_counter()
        found = ref[index(len(array))]
        took = time.perf_counter() - begun
        assert np.array_equal(found, array[index(len(array))])
        share = store.n_bytes / row["size"]
        print(f"  {name:20} {share:8.3%} {store.n_requests:5} requests {took * 1e3:8.1f} ms")
    ref = get(codec).decode(row, context=context)
    begun = time.perf_counter()
    ref.load()
    print(f"  all: {array.nbytes / (time.perf_counter() - begun) / 1e6:.0f} MB/s out")


if __name__ == "__main__":
    main()
