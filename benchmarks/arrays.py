"""How fast arrays become bytes and come back: djq, bare Blosc2, and DataJoint's blobs.

    python benchmarks/arrays.py --datajoint /path/to/python/with/datajoint

One thread each, one after the other in turn, by the time of the processor, which others on the
machine disturb least; figures of one run compare, and no others. Bare Blosc2
compresses the same chunks with the same parameters and joins them, without header, index or
checksums, and decompresses into a new array.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import blosc2
import numpy as np

from djq.codecs import blob
from djq.codecs.compression import CHUNK_BYTES, Method, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

N_RUNS = 5
FILTERS = ("NOFILTER", "SHUFFLE", "BITSHUFFLE")
#: What the other Python runs: it is given files of arrays, and asked for one at a time.
DATAJOINT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from datajoint.blob import pack, unpack
print("ready", flush=True)
for line in sys.stdin:
    array = np.load(line.strip())
    started = time.process_time()
    packed = pack(array)
    between = time.process_time()
    unpack(packed)
    ended = time.process_time()
    print(json.dumps([between - started, ended - between, len(packed)]), flush=True)
"""

#: Seconds in, seconds out, bytes kept.
Taken: TypeAlias = tuple[float, float, int]


def arrays() -> dict[str, NDArray[Any]]:
    """Return five arrays as laboratories have them, the same each time."""
    rng = np.random.default_rng(0)
    n_channels, n_samples = 32, 300_000
    drift = np.cumsum(rng.normal(0, 2, (n_samples, n_channels)), axis=0) % 400
    ephys = (drift + rng.normal(0, 20, drift.shape)).astype(np.int16)
    background = np.linspace(80, 200, 512 * 512).reshape(512, 512)
    frames = (background + rng.normal(0, 6, (50, 512, 512))).astype(np.float32)
    mask = np.zeros((50, 1024, 1024), np.uint8)
    for layer in mask:
        for x, y in rng.integers(0, 1000, (40, 2)):
            layer[x : x + 20, y : y + 20] = 1
    times = np.cumsum(rng.integers(33_280, 33_390, 5_000_000)).astype(np.int64)
    return {
        "ephys int16": ephys,
        "calcium float32": frames,
        "random float64": rng.random(4_000_000),
        "mask uint8": mask,
        "timestamps int64": times,
    }


def by_djq(array: NDArray[Any]) -> Taken:
    """Encode and decode as `<blob>` does."""
    started = time.process_time()
    encoded = blob.encode(array)
    between = time.process_time()
    blob.decode(encoded)
    return between - started, time.process_time() - between, len(encoded)


def chosen(array: NDArray[Any]) -> Method:
    """Return the method that djq chooses, by the same sample of the middle chunk."""
    raw = array.reshape(-1).view(np.uint8)
    middle = raw.size // CHUNK_BYTES // 2 * CHUNK_BYTES
    return numbers(array.dtype.itemsize, raw[middle : middle + CHUNK_BYTES])


def by_blosc2(method: Method) -> Callable[[NDArray[Any]], Taken]:
    """Return what compresses chunks of the array and nothing else."""

    def run(array: NDArray[Any]) -> Taken:
        started = time.process_time()
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        packed = [
            blosc2.compress2(
                raw[start : start + CHUNK_BYTES],
                codec=blosc2.Codec[method.codec],
                clevel=method.level,
                typesize=method.typesize,
                filters=[blosc2.Filter[method.filter]],
                filters_meta=[0],
                nthreads=1,
            )
            for start in range(0, raw.size, CHUNK_BYTES)
        ]
        joined = b"".join(packed)
        between = time.process_time()
        target = np.empty(raw.size, np.uint8)
        for i, chunk in enumerate(packed):
            blosc2.decompress2(chunk, dst=target[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES])
        return between - started, time.process_time() - between, len(joined)

    return run


@contextlib.contextmanager
def by_datajoint(python: str) -> Iterator[Callable[[NDArray[Any]], Taken]]:
    """Yield what packs and unpacks in a process of DataJoint's."""
    process = subprocess.Popen(
        [python, "-c", DATAJOINT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "array.npy")

        def run(array: NDArray[Any]) -> Taken:
            assert process.stdin is not None
            assert process.stdout is not None
            np.save(file, array)
            process.stdin.write(f"{file}\n")
            process.stdin.flush()
            taken: Taken = tuple(json.loads(process.stdout.readline()))
            return taken

        while process.stdout.readline().strip() != "ready":
            if process.poll() is not None:
                message = f"{python} cannot run DataJoint"
                raise SystemExit(message)
        try:
            yield run
        finally:
            process.communicate()


def measure(
    runners: dict[str, Callable[[NDArray[Any]], Taken]], array: NDArray[Any], n_runs: int
) -> dict[str, Taken]:
    """Return the median times of each, interleaved, after one run that does not count."""
    found: dict[str, list[Taken]] = {name: [] for name in runners}
    for i in range(n_runs + 1):
        for name, run in runners.items():
            taken = run(array)
            if i:
                found[name].append(taken)
    return {
        name: (
            statistics.median(t[0] for t in taken),
            statistics.median(t[1] for t in taken),
            taken[0][2],
        )
        for name, taken in found.items()
    }


def show(title: str, array: NDArray[Any], found: dict[str, Taken]) -> None:
    """Print GB/s of the raw array in and out, the ratio, and all against the first line."""
    print(f"\n{title}, {array.nbytes / 1e6:.0f} MB", flush=True)
    first = next(iter(found.values()))
    for name, (seconds_in, seconds_out, n_bytes) in found.items():
        speeds = [array.nbytes / seconds / 1e9 for seconds in (seconds_in, seconds_out)]
        against = [first[0] / seconds_in, first[1] / seconds_out]
        print(
            f"  {name:24}{speeds[0]:8.3f} in{speeds[1]:8.3f} out{array.nbytes / n_bytes:9.2f} :1"
            f"   djq is {1 / against[0]:6.2f} x and {1 / against[1]:6.2f} x this"
        )


def main() -> None:
    """Measure all that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--datajoint",
        metavar="PYTHON",
        default=os.environ.get("DJQ_TEST_DATAJOINT_PYTHON"),
        help="a Python that has DataJoint (default: DJQ_TEST_DATAJOINT_PYTHON)",
    )
    parser.add_argument("--runs", type=int, default=N_RUNS)
    parser.add_argument("--all-filters", action="store_true", help="every codec and filter, too")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        runners: dict[str, Callable[[NDArray[Any]], Taken]] = {"djq": by_djq}
        if options.datajoint:
            runners["DataJoint"] = stack.enter_context(by_datajoint(options.datajoint))
        for title, array in arrays().items():
            methods = [chosen(array)]
            if options.all_filters:
                for codec, level in (("ZSTD", 1), ("ZSTD", 3), ("LZ4", 1), ("LZ4", 5)):
                    methods += [Method(codec, level, f, array.itemsize) for f in FILTERS]
            bare = {f"{m.codec} {m.level} {m.filter}": by_blosc2(m) for m in methods}
            show(title, array, measure({**runners, **bare}, array, options.runs))
    if not options.datajoint:
        print("\nDataJoint is not asked (--datajoint PYTHON)", file=sys.stderr)


if __name__ == "__main__":
    main()
