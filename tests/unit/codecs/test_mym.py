from __future__ import annotations

import base64
import functools
import json
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from djq.codecs import blob, mym
from djq.errors import CodecError
from tests.support import datajoint_values as dv
from tests.support.blob_values import objects, same

GOLDEN = {
    name: base64.b64decode(data)
    for name, data in json.loads(Path(__file__).with_name("datajoint.json").read_text()).items()
}


@pytest.mark.parametrize("name", dv.RETURNED)
def test_what_datajoint_packed_is_read_as_datajoint_reads_it(name: str):
    back = mym.decode(GOLDEN[name])
    assert same(back, dv.RETURNED[name])
    assert same(blob.decode(GOLDEN[name]), back)
    assert same(blob.decode(memoryview(GOLDEN[name])), back)


def test_every_golden_value_is_read():
    assert GOLDEN.keys() == dv.RETURNED.keys()


@pytest.mark.parametrize("name", dv.RETURNED)
def test_what_is_read_can_be_stored_again(name: str):
    value = blob.decode(GOLDEN[name])
    assert same(blob.decode(blob.encode(value)), value)


def test_arrays_are_in_c_order_and_their_own():
    for name in ("fortran", "int32", "complex128", "bool array", "objects", "structured"):
        array = mym.decode(GOLDEN[name])
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.base is None or isinstance(array, np.recarray)


MATLAB = {
    "text": (dv.chars("hello"), np.array(["hello"])),
    "text beyond ASCII": (dv.chars("ß日"), np.array(["ß日"])),
    "text of surrogates": (dv.array(4, (1, 2), "😀".encode("utf-16-le")), np.array(["😀"])),
    "rows of text": (dv.array(4, (2, 2), b"a\0b\0c\0d\0"), np.array([["a", "c"], ["b", "d"]])),
    "no text": (dv.array(4, (0, 0), b""), np.empty((0, 0), "U1")),
    "logical": (dv.array(3, (1, 2), b"\1\0"), np.array([[True, False]])),
    "number": (dv.double(1.5), np.array([[1.5]])),
    "complex integers": (
        dv.array(8, (1, 2), b"\1\2\3\4", is_complex=1),
        np.array([[1 + 3j, 2 + 4j]]),
    ),
    "not set": (dv.array(0, (0, 0), b""), np.empty((0, 0), "u8")),
    "cell": (
        dv.cell((2, 2), *map(dv.double, range(4))),
        objects(*(np.array([[x]]) for x in (0.0, 2.0, 1.0, 3.0)), shape=(2, 2)),
    ),
    "no cell": (dv.cell((0, 0)), objects(shape=(0, 0))),
    "struct": (
        dv.structs((1, 1), ("x", "name"), dv.double(1), dv.chars("bob")),
        np.rec.array([[(np.array([[1.0]]), np.array(["bob"]))]], dtype=[("x", "O"), ("name", "O")]),
    ),
    "structs": (
        dv.structs((1, 2), ("x", "y"), *map(dv.double, range(4))),
        None,
    ),
    "no structs": (dv.structs((0, 0), ("x",)), np.recarray((0, 0), [("x", "O")])),
    "struct without fields": (dv.structs((1, 1), ()), np.recarray((1, 1), [])),
}


@pytest.mark.parametrize("name", MATLAB)
def test_what_matlab_wrote_is_read(name: str):
    data, value = MATLAB[name]
    back = mym.decode(b"mYm\0" + data)
    if name == "structs":
        assert type(back) is np.recarray
        assert [[x.item() for x in row] for row in back[0].tolist()] == [[0, 1], [2, 3]]
        assert back.y[0, 1] == [[3.0]]
    else:
        assert same(back, value)
    assert same(blob.decode(blob.encode(back)), back)


def test_structs_inside_of_cells_are_read():
    inner = dv.structs((1, 1), ("z",), dv.double(9))
    back = mym.decode(b"mYm\0" + dv.structs((1, 1), ("c",), dv.cell((1, 1), inner)))
    assert back["c"][0, 0][0, 0].z[0, 0] == [[9.0]]


def packed(raw: bytes, n_claimed: int | None = None) -> bytes:
    n_bytes = len(raw) if n_claimed is None else n_claimed
    return b"ZL123\0" + dv.sizes(n_bytes) + zlib.compress(raw)


def nested(n_levels: int) -> bytes:
    value = b"\xff"
    for _ in range(n_levels):
        value = b"\2" + dv.sizes(1, len(value)) + value
    return value


def a_dict(*items: bytes) -> bytes:
    parts = b"".join(dv.sizes(len(item)) + item for item in items)
    return b"\4" + dv.sizes(len(items) // 2) + parts


def test_values_as_deep_as_datajoint_can_write_are_read():
    back = mym.decode(b"dj0\0" + nested(190))
    depth = functools.reduce(lambda value, _: value[0], range(190), back)
    assert depth is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no blob of DataJoint's"),
        (b"mYm", "no blob of DataJoint's"),
        (b"djq\1", "no blob of DataJoint's"),
        (b"mYm\0", "1 bytes are claimed where 0 are left"),
        (b"dj0\0\x99", "unknown kind of value"),
        (b"dj0\0\xff\xff", "1 bytes after the end"),
        (b"mYm\0" + dv.sparse(), "sparse MATLAB matrix"),
        (b"mYm\0" + dv.cell((1, 1), dv.sparse()), "sparse MATLAB matrix"),
        (b"mYm\0" + dv.array(16, (1, 1), bytes(8)), "MATLAB's class 16"),
        (b"mYm\0" + dv.array(0, (1, 1), bytes(8)), "MATLAB's class 0"),
        (b"mYm\0" + dv.array(0x1000D, (1, 1), bytes(8)), "class 65549"),
        (b"mYm\0" + dv.array(3, (1, 1), bytes(8), is_complex=1), "complex"),
        (b"mYm\0" + dv.array(6, (2**62, 2**62), b""), "claimed"),
        (b"mYm\0" + dv.array(6, (2**63, 0), b""), "cannot be read"),
        (b"mYm\0A" + dv.sizes(2**60), "dimensions"),
        (b"mYm\0" + dv.cell((2**40,)), "1099511627776 values are claimed"),
        (b"mYm\0" + dv.structs((2**40,), ("a",)), "values are claimed"),
        (b"mYm\0" + dv.structs((1, 1), ("a", "a"), dv.double(1), dv.double(1)), "cannot be read"),
        (b"mYm\0S" + dv.sizes(0) + struct.pack("<i", 2**31 - 1), "cannot be read"),
        (b"mYm\0S" + dv.sizes(0) + struct.pack("<i", 1) + b"a" * 2000, "cannot be read"),
        (b"dj0\0F" + struct.pack("<i", 1) + b"a\0\2" + dv.sizes(0), "no array"),
        (b"dj0\0\2" + dv.sizes(1, 10**18), "values are claimed"),
        (b"dj0\0\2" + dv.sizes(1, 10**18) + b"\xff", "claims 1000000000000000000 bytes"),
        (b"dj0\0\2" + dv.sizes(1, 2) + b"\xff\xff", "1 bytes after"),
        (b"dj0\0\5" + dv.sizes(1) + b"\xff", "utf-8"),
        (b"dj0\0d" + dv.sizes(1) + b"x", "cannot be read"),
        (b"dj0\0t" + struct.pack("<iq", -1, -1), "cannot be read"),
        (b"dj0\0t" + struct.pack("<iq", 20201301, -1), "cannot be read"),
        (b"dj0\0\3" + dv.sizes(1, 9) + b"\2" + dv.sizes(0), "unhashable"),
        (b"dj0\0" + a_dict(b"\2" + dv.sizes(0), b"\xff"), "unhashable"),
        (b"dj0\0" + nested(201), "deeper than 200 levels"),
        (b"ZL123\0", "cannot be read"),
        (b"ZL123\0" + dv.sizes(5) + b"xxxxx", "cannot be read"),
        (packed(b"dj0\0\xff", 6), "5 bytes were compressed, not 6"),
        (packed(b"dj0\0\xff", 4), "not 4"),
        (packed(b"dj0\0\xff", 10**12), "claims to be"),
        (packed(b"dj0\0\xff") + b"\0", "cut off"),
        (packed(b"dj0\0" + b"\x06" + dv.sizes(2000) + bytes(2000))[:-5], "cut off"),
        (packed(packed(b"dj0\0\xff")), "no blob of DataJoint's"),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_malformed_bytes_are_refused(data: bytes, words: str):
    with pytest.raises(CodecError, match=words):
        mym.decode(data)


BOMBS = {
    "zeros": lambda: packed(bytes(100_000_000), 50_000_000),
    "values": lambda: packed(
        b"dj0\0\2" + dv.sizes(3_000_000) + (dv.sizes(1) + b"\xff") * 3_000_000
    ),
    "empty lists": lambda: packed(
        b"dj0\0\2" + dv.sizes(2_000_000) + (dv.sizes(9) + b"\2" + dv.sizes(0)) * 2_000_000
    ),
    "records": lambda: packed(
        b"dj0\0\2" + dv.sizes(500_000) + (dv.sizes(5) + b"F\0\0\0\0") * 500_000
    ),
    "lists of lists": lambda: b"dj0\0" + (b"\2" + dv.sizes(2**40, 2**40)) * 100_000,
    "sizes of nothing": lambda: b"dj0\0A" + dv.sizes(3, 0, 2**62, 2**62) + struct.pack("<II", 6, 0),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_time(name: str):
    bomb = BOMBS[name]()
    started = time.perf_counter()
    with pytest.raises(CodecError):
        mym.decode(bomb)
    assert time.perf_counter() - started < 30


def test_bombs_take_little_memory():
    # In a process of its own, whose peak is theirs: tracing a million values would take a minute.
    code = """
import contextlib, resource
from djq.codecs import mym
from djq.errors import CodecError
from tests.unit.codecs.test_mym import BOMBS
bombs = [BOMBS["zeros"](), BOMBS["empty lists"]()]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for bomb in bombs:
    with contextlib.suppress(CodecError):
        mym.decode(bomb)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    root = str(Path(__file__).parents[3])
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, check=True, text=True
    )
    assert int(ran.stdout) < 400_000  # KB


@pytest.mark.parametrize("kind", [b"\3", b"\4"])
def test_keys_chosen_to_collide_are_refused(kind: bytes):
    # Of a dict every second one is a value.
    keys = [((2**61 - 1) * i).to_bytes(10, "little", signed=True) for i in range(10_000)]
    items = b"".join(dv.sizes(13) + b"\n\n\0" + key for key in keys)
    n_items = len(keys) if kind == b"\3" else len(keys) // 2
    with pytest.raises(CodecError, match="share a hash"):
        mym.decode(b"dj0\0" + kind + dv.sizes(n_items) + items)


def test_damaged_bytes_are_read_or_refused():
    chance = random.Random(11)
    raws = [raw for data in GOLDEN.values() if len(raw := inflated(data)) < 4000]
    raws += [b"mYm\0" + data for data, _ in MATLAB.values()]
    n_refused = 0
    for _ in range(5000):
        raw = bytearray(chance.choice(raws))
        for _ in range(chance.choice([1, 1, 2, 4])):
            place = chance.randrange(4, len(raw))
            bit = 1 << chance.randrange(8)
            raw[place] = chance.choice([0, 1, 127, 255, raw[place] ^ bit, raw[place] ^ bit])
        if chance.random() < 0.2:
            del raw[chance.randrange(len(raw)) :]
        data = packed(bytes(raw)) if chance.random() < 0.2 else bytes(raw)
        try:
            mym.decode(data)
        except CodecError:
            n_refused += 1
    assert 1000 < n_refused < 5000


def inflated(data: bytes) -> bytes:
    return zlib.decompress(data[14:]) if data.startswith(b"ZL123\0") else data
