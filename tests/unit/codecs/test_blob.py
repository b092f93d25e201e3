from __future__ import annotations

import base64
import collections
import contextlib
import enum
import functools
import json
import random
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from djq.codecs import messagepack
from djq.codecs.blob import decode, encode
from djq.codecs.values import Packer
from djq.errors import CodecError
from tests.support import blob_values
from tests.support.blob_values import Texts, same
from tests.support.hostile import array_blob, frame, index, messagepack_blob, mutate

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).with_name("golden.json")


ONE = np.ones(1)


def extension(code: int, payload: object) -> bytes:
    """Return a blob with one extension, whatever lies in it."""
    packed = messagepack.pack(messagepack.extension(code, Packer().pack(payload)))
    return messagepack_blob(packed)


class Color(enum.IntEnum):
    RED = 3


class Name(str, enum.Enum):  # noqa: UP042 - people write it
    A = "x"


class Quantity(np.ndarray):
    """Would lose its unit."""


Point = collections.namedtuple("Point", "x y")


def filled(dtype: object, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of some values, whatever its dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind in "Ub" or dtype.names is not None or dtype.char in "gG":
        # Not every byte is a value of these.
        return np.ones(shape, dtype)
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    raw = bytes(range(1, 127)) * (n_bytes // 126 + 1)
    return np.ndarray(shape, dtype, buffer=bytearray(raw[: n_bytes or 1]))


@pytest.mark.parametrize("shape", blob_values.SHAPES)
@pytest.mark.parametrize("dtype", [*blob_values.DTYPES, *blob_values.STRUCTURED], ids=str)
def test_an_array_of_any_dtype_and_shape_comes_back_alone_and_inside(
    dtype: object, shape: tuple[int, ...]
):
    array = filled(dtype, shape)
    back = decode(encode(array))
    assert same(back, array)
    assert back.flags.writeable
    assert back.flags.c_contiguous
    assert back.flags.owndata
    assert same(decode(encode({"a": [array, (array,)]})), {"a": [array, (array,)]})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(20).reshape(4, 5)[:, ::2],
        np.arange(20).reshape(4, 5)[::-1, ::-1],
        np.asfortranarray(np.arange(20).reshape(4, 5)),
        np.broadcast_to(np.arange(3), (4, 3)),
        np.arange(5.0)[3],
        np.arange(24, dtype=">i4").reshape(2, 3, 4).T,
        np.arange(8).view(np.recarray),
    ],
)
def test_the_order_in_memory_does_not_matter(array: np.ndarray):
    assert np.array_equal(decode(encode(array)), array)


@pytest.mark.parametrize("value", blob_values.MORE_THAN_BYTES, ids=blob_values.short_name)
def test_arrays_of_objects_texts_and_masks_come_back_alone_and_inside(value: object):
    blob = encode(value)
    back = decode(blob)
    assert same(back, value)
    assert encode(back) == blob
    assert same(decode(encode({"a": [value, (value,)]})), {"a": [value, (value,)]})


def test_an_array_of_objects_need_not_be_contiguous():
    array = blob_values.objects(*range(12), shape=(3, 4))[::2, ::-1].T
    assert same(decode(encode(array)), array)


def test_fields_beside_objects_come_back_without_gaps():
    array = np.zeros(2, {"names": ["a", "b"], "formats": ["O", "i4"], "offsets": [8, 0]})
    array["a"] = [[1], "x"]
    back = decode(encode(array))
    assert back.dtype == np.dtype([("a", "O"), ("b", "i4")])
    assert same(back["a"], array["a"])


def test_a_masked_array_keeps_what_its_mask_hides_and_the_choice_of_no_fill_value():
    array = np.ma.array([1.5, 2.5], mask=[0, 1])
    back = decode(encode(array))
    assert back.data.tolist() == [1.5, 2.5]
    assert back.astype("i1").fill_value == array.astype("i1").fill_value
    # Encoding looked at the array without settling its default.
    assert array._fill_value is None


def test_a_record_array_comes_back_as_one():
    array = np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]).view(np.recarray)
    back = decode(encode([array, array[0]]))
    assert same(back[0], array)
    assert back[0].b[0] == 2.5
    assert back[1].a == 1


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((5, 1000, 1000), "i2"), ((2, 5_000_000), "u1"), ((3,), "S5000000"), ((1_500_000, 3), "f4")],
)
def test_arrays_of_many_chunks_come_back(shape: tuple[int, ...], dtype: str):
    array = np.zeros(shape, dtype)
    array[-1] = 1 if dtype[0] != "S" else b"end"
    assert same(decode(encode(array)), array)


@pytest.mark.parametrize(
    "value", [*blob_values.PLAIN, *blob_values.SCALARS], ids=blob_values.short_name
)
def test_a_plain_value_comes_back_with_its_type(value: object):
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        np.bytes_(b""),
        np.bytes_(b"\0"),
        np.bytes_(b"\0\0"),
        np.bytes_(b"x\0"),
        np.bytes_(b"\0x\0\0"),
        np.str_(""),
        np.str_("\0"),
        np.str_("\0\0"),
        np.str_("x\0"),
        np.str_("ä日\0\0"),
    ],
    ids=lambda value: ascii(value.item()),
)
def test_numpy_bytes_and_texts_keep_the_zeros_at_their_end(value: np.bytes_ | np.str_):
    inside = [value, (value,), {value: [value]}, np.array([value, 1], object)]
    for back in (decode(encode(value)), decode(encode(inside))[0], *decode(encode(inside))[2]):
        assert type(back) is type(value)
        # Comparison would ignore the zeros if NumPy did it.
        assert list(back) == list(value)
        assert back.dtype == value.dtype
    assert list(decode(encode(inside))[1][0]) == list(value)
    assert list(decode(encode(inside))[3][0]) == list(value)


def test_a_zone_is_kept_by_name():
    moment = datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=blob_values.BERLIN)
    back = decode(encode(moment))
    assert same(back, moment)
    assert back.utcoffset() == moment.utcoffset()
    assert decode(encode(datetime(2020, 1, 1, tzinfo=UTC))).tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Color.RED, 3),
        (Name.A, "x"),
        (Point(1, (2,)), (1, (2,))),
        (collections.OrderedDict(a=(1,)), {"a": (1,)}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aa"), {"a": 2}),
        (bytearray(b"a"), b"a"),
    ],
)
def test_a_subclass_comes_back_as_the_plain_type(value: object, plain: object):
    assert same(decode(encode(value)), plain)


def test_equal_sets_become_equal_bytes_in_every_process():
    code = "from djq.codecs.blob import encode; print(encode({'a', 'b', 'c', 'd', 1, (2,)}).hex())"
    root = str(Path(__file__).parents[3])
    blobs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": root, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(blobs) == 1


@pytest.mark.parametrize(
    ("value", "place", "words"),
    [
        (object(), "value:", "object cannot be stored"),
        ({"a": [1, 2, 3, object()]}, 'value["a"][3]:', "object"),
        ({"a": {1: (0, {len})}}, 'value["a"][1][1].item(<built-in function len>):', "builtin"),
        ({object: 1}, "value.key(<class 'object'>):", "type"),
        (np.array([[1, len]]), "value[0, 1]:", "builtin"),
        (np.array(len), "value[()]:", "builtin"),
        ([np.array([(1, [2, len])], "i4,O")], 'value[0]["f1"][0][1]:', "builtin"),
        ([np.array([(1, len)], "i4,O")[0]], 'value[0]["f1"]:', "builtin"),
        ({"m": np.ma.array([1, len])}, 'value["m"].data[1]:', "builtin"),
        ([np.ma.array([(1,)], dtype="i4,", mask=[(1,)])[0]], "value[0]:", "data and mask"),
        (np.ma.array([1, None], fill_value=[1, 2]), "value:", "fill value"),
        ([np.array(["a"], Texts(na_object="-"))], "value[0]:", "None or nan"),
        (np.zeros(3).view(Quantity), "value:", "numpy.asarray"),
        ([np.zeros(3, object).view(Quantity)], "value[0]:", "numpy.asarray"),
        (["\ud800"], "value[0]:", "surrogates"),
        (functools.reduce(lambda inner, _: (inner,), range(70), ()), "value[0]", "64 levels"),
        (type("Stamp", (datetime,), {})(2020, 1, 1), "value:", "Stamp"),
        (type("Day", (date,), {})(2020, 1, 1), "value:", "Day"),
    ],
    ids=blob_values.short_name,
)
def test_what_cannot_be_stored_is_refused_by_its_place(value: object, place: str, words: str):
    with pytest.raises(CodecError) as caught:
        encode(value)
    assert str(caught.value).startswith(place)
    assert words in str(caught.value)


@pytest.mark.parametrize("inner", [[], list(range(70_000)), ({1},)])
@pytest.mark.parametrize("n_levels", [100, 500, 1000, 1022, 1023, 1024])
def test_whatever_depth_is_encoded_can_be_decoded(n_levels: int, inner: object):
    value = functools.reduce(lambda value, _: [value], range(n_levels), inner)
    # The limit is the library's; it was 511 once.
    with contextlib.suppress(CodecError) if n_levels > 500 else contextlib.nullcontext():
        back = decode(encode(value))
        for _ in range(n_levels):
            (back,) = back
        assert same(back, inner)


def test_a_value_too_deep_is_refused():
    value = functools.reduce(lambda value, _: [value], range(5000), [])
    with pytest.raises(CodecError, match=r"value(\[0\]){20}: nested deeper than 511 levels"):
        encode(value)


@pytest.mark.parametrize("wrap", [lambda value: (value,), blob_values.objects])
def test_lists_between_other_containers_do_not_exhaust_the_stack(wrap: Callable[[object], object]):
    def nested(n_outer: int, n_lists: int) -> object:
        value: object = 1
        for _ in range(n_outer):
            value = functools.reduce(lambda inner, _: [inner], range(n_lists), wrap(value))
        return value

    for n_outer, n_lists in ((60, 30), (4, 500)):
        value = nested(n_outer, n_lists)
        assert encode(decode(encode(value))) == encode(value)
    for n_lists in (500, 1000):
        with pytest.raises(CodecError, match="deeper than"):
            encode(nested(60, n_lists))


def test_a_time_of_day_in_a_zone_comes_back():
    value = datetime.now(UTC).timetz().replace(tzinfo=blob_values.BERLIN)
    assert same(decode(encode(value)), value)


def test_code_points_beyond_unicode_are_refused():
    points = np.array([ord("a"), 0x110000], dtype=">u4")
    for value in (points, points[1:], [points[1:]]):
        blob = encode(value).replace(b">u4", b">U1")
        with pytest.raises(CodecError):
            decode(blob)
    with pytest.raises(CodecError, match="0x110000"):
        decode(array_blob(points.tobytes(), dtype=">U1", shape=[2], chunks=[2]))
    dtype = {"names": ["a"], "formats": [">U2"], "offsets": [0], "titles": [None]}
    dtype |= {"itemsize": 8, "aligned": False, "record": False}
    blob = array_blob(points.tobytes(), dtype=dtype, shape=[1], chunks=[1])
    with pytest.raises(CodecError, match="code point"):
        decode(blob)


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append({"a": (value,)})
    with pytest.raises(CodecError, match="part of itself"):
        encode(value)


def test_blobs_of_older_versions_stay_readable():
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == golden_values().keys()
    for name, value in golden_values().items():
        assert same(decode(base64.b64decode(golden[name])), value), name


def golden_values() -> dict[str, object]:
    """Return values that were encoded once and for all; add new ones, change none."""
    return {
        "ramp": np.arange(1000, dtype="<i4").reshape(10, 100),
        "big-endian": np.linspace(0, 1, 300, dtype=">f8"),
        "mask": np.eye(64, dtype="?"),
        "empty": np.zeros((3, 0, 2), "c8"),
        "scalar": np.array(2.5, "f4"),
        "dates": np.array(["2020-01-01", "NaT"], "M8[ns]"),
        "table": np.array([(1, "ä", [1, 2])], dtype=[("a", ">i2"), ("b", "<U2"), ("c", "u1", 2)]),
        "offsets": np.zeros(
            2, {"names": ["a", "b"], "formats": ["i1", "<i2"], "offsets": [4, 0], "itemsize": 16}
        ),
        "plain": [value for value in blob_values.PLAIN if len(repr(value)) < 100],
        "scalars": [value for value in blob_values.SCALARS if not isinstance(value, np.longdouble)],
        "long text": "All work and no play. " * 500,
        "objects": list(blob_values.OBJECTS),
        "texts": list(blob_values.TEXTS),
        "structured objects": list(blob_values.STRUCTURED_OBJECTS),
        "masked": list(blob_values.MASKED),
        "nested": {"traces": [np.arange(500.0), np.arange(3)], (1, "k"): {"x": np.zeros(300)}},
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "header alone"),
        (b"djq", "header alone"),
        (b"mYn\0" + bytes(100), "begin with b'mYn"),
        (b"mYm\0" + bytes(100), "DataJoint"),
        (b"djq\x02A" + bytes(100), "version 2"),
        (b"djq\x01Z" + bytes(100), "kind b'Z'"),
        (b"djq\x01A\x01" + bytes(100), "update djq"),
        (encode(1)[:-1], "cut off"),
        (encode(1) + b"\0", "arrays of this blob do not add up"),
        (encode(np.arange(9)) + b"\0", "after its end"),
        (frame(b"A", [1]), "not a map"),
        (frame(b"A", {"dtype": "|u1"}), "missing header fields"),
        (array_blob(b"1234", index=b"123"), "index"),
        (array_blob(b"1234", index=7), "index"),
        (array_blob(b"1234", dtype="|O8"), "dtype"),
        (array_blob(b"1234", dtype="u1,u1"), "dtype"),
        (array_blob(b"1234", dtype="<f16"), "dtype"),
        (array_blob(b"1234", dtype=None), "dtype"),
        (array_blob(b"1234", dtype=["|u1", [2**62, 2**62]]), "dtype|allocated|chunks"),
        (
            array_blob(b"1234", dtype=functools.reduce(lambda d, _: [d, [1]], range(40), "|u1")),
            "16",
        ),
        (array_blob(b"1234", shape=[2**62, 2**62], chunks=[1, 1]), "shape"),
        (array_blob(b"1234", shape=[-4]), "malformed"),
        (array_blob(b"1234", shape=[4.0]), "malformed"),
        (array_blob(b"1234", shape=[True]), "malformed"),
        (array_blob(b"1234", shape="4"), "malformed"),
        (array_blob(b"1234", shape=[1] * 65, chunks=[1] * 65), "malformed"),
        (array_blob(b"1234", chunks=[0]), "malformed"),
        (array_blob(b"1234", chunks=[4, 4]), "dimensions"),
        (array_blob(b"1234", shape=[2**40], chunks=[2**40]), "exceed the limit"),
        (array_blob(b"1234", shape=[2**40], chunks=[2**20]), "1048576 of them"),
        (array_blob(b"1234", shape=[5], chunks=[5]), "cannot be decompressed"),
        (array_blob(b"1234", index=index(b"1235")), "damaged"),
        (array_blob(b"1234", index=index(b"12345")), "cut off"),
        (messagepack_blob(b"\xc1"), "cannot be read"),
        (messagepack_blob(b"\x91"), "cannot be read"),
        (messagepack_blob(b"\x01\x02"), "cannot be read"),
        (messagepack_blob(b"\xd4\x63\x00"), "unknown extension type 99"),
        (messagepack_blob(b"\xd4\x02\x00"), "cannot be read"),
        (messagepack_blob(b"\x01", encode(np.zeros(9))), "not part of its value"),
        (messagepack_blob(b"\xd4\x02\x00", encode(1)), "kind b'M'"),
        (messagepack_blob(b"\x92" + b"\xd4\x02\x00" * 2, encode(np.zeros(9))), "cannot be read"),
        (messagepack_blob(b"\x01", size=10**9), "claims"),
        (messagepack_blob(b"\x01", size="1"), "malformed"),
        (messagepack_blob(b"\x01", chunk=1 << 40), "malformed"),
        (messagepack_blob(b"\x01", arrays=[1]), "add up"),
        (messagepack_blob(b"\x01", arrays=[-1, 1]), "add up"),
        (messagepack_blob(b"\x81\x90\x01"), "unhashable"),
        (extension(15, []), "cannot be read"),
        (extension(15, [[2], [1]]), "has 1 elements"),
        (extension(15, [[2**62, 2**62], []]), "has 0 elements"),
        (extension(15, [[0, 2**62, 2**62], []]), "allocated"),
        (extension(15, [[-1], []]), "malformed"),
        (extension(15, [[1], "a"]), "has 0 elements"),
        (extension(16, [[1], [1], [], True]), "is none"),
        (extension(16, [[1], [None], [], True]), "is none"),
        (extension(16, [[1], ["a"], [[]], True]), "na_object"),
        (extension(16, [[1], ["a"], [None, None], True]), "cannot be read"),
        (extension(17, [[1], ["a"], [None], False, False, []]), "cannot be read"),
        (extension(17, [[1], ["a"], [None], False, False, [1]]), "do not fit"),
        (extension(17, [[2], ["a"], [None], False, False, [ONE]]), "another shape"),
        (extension(17, [[1], ["a", "a"], [], False, False, [ONE, ONE]]), "cannot be read"),
        (extension(3, ["|S1", None]), "without its bytes"),
        (extension(3, ["|S1", b"12"]), "another number of bytes"),
        (extension(3, ["<U0", b"12345"]), "another number of bytes"),
        (extension(3, ["<U2", b"123\xff0000"]), "does not exist"),
        (extension(17, [[1], [1], [], False, False, [ONE]]), "cannot be read"),
        (extension(18, [1, None, None, False]), "do not fit"),
        (extension(18, [ONE, True, None, False]), "do not fit"),
        (extension(18, [ONE, ONE, None, False]), "do not fit"),
        (extension(18, [ONE, np.zeros(2, "?"), None, False]), "do not fit"),
        (extension(18, [ONE, None, ONE, False]), "do not fit"),
        (extension(18, [ONE, None, np.array("a"), False]), "do not fit"),
        (extension(18, [np.ma.array([1]), None, None, False]), "do not fit"),
    ],
    ids=lambda blob: repr(blob)[-30:],
)
def test_malformed_blobs_are_refused(data: bytes, words: str):
    with pytest.raises(CodecError, match=words):
        decode(data)


def nested_extension(n_levels: int, code: int = 4) -> bytes:
    # What an array of objects has before its element: a shape, and a list of one.
    inside = {4: b"", 15: b"\x92\x91\x01\x91"}[code]
    payload = b"\x90"
    for _ in range(n_levels):
        payload = inside + payload
        payload = b"\xc9" + len(payload).to_bytes(4, "big") + bytes([code]) + payload
    return payload


BOMBS = {
    "long list": b"\xdd\xff\xff\xff\xff",
    "long map": b"\xdf\xff\xff\xff\xff",
    "long text": b"\xdb\xff\xff\xff\xff",
    "lists that claim the size of the blob": b"\xdd\x00\x03\x00\x00" * 1000 + bytes(1 << 18),
    "short lists": b"\xdc\xff\xff" * 1000 + bytes(1 << 18),
    "maps": b"\xdf\x00\x03\x00\x00" * 1000 + bytes(1 << 18),
    "deep lists": b"\x91" * 1_000_000,
    "deep extensions": nested_extension(2000),
    "arrays of nothing": b"\xdc\xff\xff" + b"\xc7\x05\x0f\x92\x92\x00\x01\x90" * 65_535,
    "deep arrays of objects": nested_extension(2000, 15),
    "long lists in extensions": b"\xdd\x00\x01\x86\xa0" + nested_extension(60) + b"\x90" * 99_999,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_time_and_memory(name: str):
    blob = messagepack_blob(BOMBS[name])
    tracemalloc.start()
    # The processor's time: others may keep it from this test.
    started = time.process_time()
    try:
        decode(blob)
    except CodecError:
        pass
    finally:
        seconds = time.process_time() - started
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert seconds < 10
    # What lists claim counts here, although most of it is never touched.
    assert peak < 1 << 30


def test_a_small_blob_of_many_small_values_is_refused_in_no_time():
    blob = messagepack_blob(b"\xdd\x00\x40\x00\x00" + b"\x90" * (1 << 22))
    assert len(blob) < 1.01 * (1 << 16)
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(CodecError, match=r"claims 4194309 bytes in 2 chunks"):
        decode(blob)
    seconds = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 100 << 20


#: What makes a value, and what its blob may take [bytes].
SHRINKING: dict[str, tuple[Callable[[], object], int]] = {
    "zeros": (lambda: [0] * 2_000_000, 32_000),
    "empty lists": (lambda: [[]] * 1_000_000, 16_000),
    "lists of zeros": (lambda: [[0] * 1000] * 3000, 130_000),
    "dict of equal entries": (lambda: dict.fromkeys(range(1_000_000), "x"), 3_100_000),
    "bytes at both limits": (lambda: bytes(2_396_745), 39_000),
    "bytes below both limits": (lambda: bytes(2_396_600), 38_000),
    "bytes beyond both limits": (lambda: bytes(2_397_000), 39_000),
    "many bytes": (lambda: bytes(40_000_000), 5_050_000),
}


@pytest.mark.parametrize("name", SHRINKING)
def test_honest_values_that_shrink_a_lot_come_back(name: str):
    make, max_bytes = SHRINKING[name]
    value = make()
    blob = encode(value)
    assert len(blob) < max_bytes
    is_back = decode(blob) == value
    assert is_back


def test_what_was_padded_to_a_64th_alone_is_read_up_to_two_megabytes():
    blob = messagepack_blob(b"\xdd" + (2_000_000).to_bytes(4, "big") + bytes(2_000_000))
    assert len(blob) < 32_000
    assert decode(blob) == [0] * 2_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_lack_of_memory_is_named():
    code = """
import resource
from pathlib import Path
from djq.codecs.blob import decode, encode
from djq.errors import CodecError
from tests.support.datajoint_values import sizes
empty = sizes(9) + b"\\2" + sizes(0)
blobs = [encode([[]] * 1_000_000), b"dj0\\0\\2" + sizes(1_000_000) + 1_000_000 * empty]
n_pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = n_pages * resource.getpagesize() + (24 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for blob in blobs:
    try:
        decode(blob)
    except CodecError as error:
        print(error)
"""
    root = str(Path(__file__).parents[3])
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, check=True, text=True
    )
    assert ran.stdout.splitlines() == [
        "the MessagePack part of this blob cannot be read: not enough memory",
        "this blob of DataJoint's cannot be read: not enough memory",
    ]


def colliding(n: int) -> list[int]:
    """Return integers with the same hash."""
    return [(2**61 - 1) * (i + 10) for i in range(n)]


@pytest.mark.parametrize(
    "value",
    [
        dict.fromkeys(colliding(8000)),
        dict.fromkeys([*range(70_000), *colliding(2000)]),
        [(dict.fromkeys(colliding(8000)),)],
        set(colliding(2000)),
        frozenset(colliding(2000)),
    ],
    ids=["map", "long map", "map inside", "set", "frozenset"],
)
def test_keys_chosen_to_collide_are_refused(value: object):
    blob = encode(value)
    started = time.perf_counter()
    with pytest.raises(CodecError, match="share a hash"):
        decode(blob)
    assert time.perf_counter() - started < 5


def test_honest_keys_may_share_hashes():
    value = {(i, -1 - j): None for i in range(20_000) for j in (0, 1)}
    assert hash(-1) == hash(-2)
    assert decode(encode(value)) == value
    assert decode(encode(set(value))) == set(value)


def test_a_hostile_writer_that_knows_the_checksums_gets_an_error_or_a_value():
    chance = random.Random(7)
    blobs = [encode(value) for value in golden_values().values()]
    for _ in range(3000):
        try:
            decode(mutate(chance.choice(blobs), chance))
        except CodecError:
            continue
