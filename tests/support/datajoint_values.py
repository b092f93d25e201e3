"""Values that DataJoint packed into tests/unit/codecs/datajoint.json, and MATLAB's layout."""

from __future__ import annotations

import struct
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

import numpy as np

from tests.support.blob_values import objects

_TABLE = np.array([(1, 2.5, True), (2, 3.5, False)], [("a", "<i4"), ("b", "<f8"), ("ä", "?")])
_ROW = np.array((1, 2.5), [("a", "<i4"), ("b", "<f8")])
#: Name → what was packed, and what comes back where that differs.
PACKED: dict[str, tuple[object, ...]] = {
    "none": (None,),
    "true": (True,),
    "false": (False,),
    "zero": (0,),
    "negative": (-1,),
    "largest of 64 bits": (2**63 - 1,),
    "beyond 64 bits": (2**64,),
    "huge": (-(2**1000),),
    "float": (1.5,),
    "infinity": (float("-inf"),),
    "complex": (1 + 2j,),
    "text": ("ä日",),
    "no text": ("",),
    "bytes": (b"a\0b",),
    "bytearray": (bytearray(b"ab"), b"ab"),
    "tuple": ((1, "a", None),),
    "list": ([1, 2.5, [True]],),
    "set": ({1, "a"},),
    "frozenset": (frozenset({1}), {1}),
    "dict": ({"a": 1, 2: [3], (4,): None},),
    "empty": ([[], (), {}, set()],),
    "date": (date(2020, 1, 2),),
    "time": (time(3, 4, 5, 6),),
    "midnight": (time(),),
    "datetime": (datetime(1999, 12, 31, 23, 59, 59, 999999),),  # noqa: DTZ001 - it keeps no zone
    "decimal": (Decimal("-1.50E+7"),),
    "uuid": (UUID(int=5),),
    "nested": ({"x": {"y": [np.arange(3), (None, {"z": np.eye(2)})]}},),
    "long list": (list(range(300)),),
    "long text": ("x" * 2000,),
    "zeros": (np.zeros(1000),),
    "bool array": (np.array([[True, False, True]]),),
    "int8": (np.array([-1, 2], "i1"),),
    "uint8": (np.array([255], "u1"),),
    "int16": (np.array([[1, 2, 3], [4, 5, 6]], "<i2"),),
    "uint16": (np.array([65535], "<u2"),),
    "int32": (np.arange(24, dtype="<i4").reshape(2, 3, 4),),
    "uint32": (np.array([2**32 - 1], "<u4"),),
    "int64": (np.array([-(2**63)], "<i8"),),
    "uint64": (np.array([2**64 - 1], "<u8"),),
    "float32": (np.array([1.5, np.nan], "<f4"),),
    "float64": (np.array([[1.5], [-0.0]], "<f8"),),
    "complex64": (np.array([[1 + 2j, 3]], "<c8"),),
    "complex128": (np.array([[1 + 2j], [3j]], "<c16"),),
    "fortran": (np.asfortranarray(np.arange(6.0).reshape(2, 3)),),
    "empty array": (np.zeros((0, 3), "<f8"),),
    "0-d": (np.array(5, "<i8"), np.int64(5)),
    "scalar": (np.float32(1.5),),
    "0-d complex": (np.complex64(1j),),
    "dates": (np.array(["2020-01-01", "NaT"], "<M8[D]"),),
    "nanoseconds": (np.array([["2020-01-01T00:00:00.123456789"]], "<M8[ns]"),),
    "years": (np.array(["1999"], "<M8[Y]"),),
    "datetime64": (np.datetime64("2020-01-01T00", "s"),),
    "texts": (np.array(["ab", "ä"]), objects("ab", "ä")),
    "0-d text": (np.array("abc"), objects("abc", shape=())),
    "objects": (objects(1, "a", None, [2], np.arange(2), {}, shape=(2, 3)),),
    "no objects": (objects(shape=(0,)),),
    "structured": (_TABLE, _TABLE.view(np.recarray)),
    "records": (np.rec.array([[(1, 2)]], dtype=[("a", "<i4"), ("b", "u1")]),),
    "0-d structured": (_ROW, _ROW.view(np.recarray)),
    "structured objects": (np.rec.array([(1, "x")], dtype=[("a", "<i4"), ("b", "O")]),),
    "structured dates": (np.rec.array([("2020",)], dtype=[("a", "<M8[D]")]),),
    "fields of arrays": (
        np.rec.array([(1, [1, 2]), (3, [4, 5])], dtype=[("a", "<i4"), ("b", "u1", 2)]),
    ),
}
#: What DataJoint has classes of its own for.
MATLAB: dict[str, object] = {
    "MatCell": objects(1, "a", 2.5, None, shape=(2, 2)),
    "MatStruct": np.rec.array([[(1, "a"), (2, "b")]], dtype=[("x", "O"), ("y", "O")]),
}
RETURNED = {name: values[-1] for name, values in PACKED.items()} | MATLAB


# --- what mYm writes from MATLAB ---------------------------------------------------------------


def sizes(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def _dimensions(shape: tuple[int, ...]) -> bytes:
    return sizes(len(shape), *shape)


def _sized(items: tuple[bytes, ...]) -> bytes:
    return b"".join(sizes(len(item)) + item for item in items)


def array(class_: int, shape: tuple[int, ...], data: bytes, *, is_complex: int = 0) -> bytes:
    return b"A" + _dimensions(shape) + struct.pack("<II", class_, is_complex) + data


def chars(text: str) -> bytes:
    return array(4, (1, len(text)), text.encode("utf-16-le"))


def double(value: float) -> bytes:
    return array(6, (1, 1), struct.pack("<d", value))


def cell(shape: tuple[int, ...], *items: bytes) -> bytes:
    return b"C" + _dimensions(shape) + _sized(items)


def structs(shape: tuple[int, ...], names: tuple[str, ...], *items: bytes) -> bytes:
    fields = b"".join(name.encode() + b"\0" for name in names)
    return b"S" + _dimensions(shape) + struct.pack("<i", len(names)) + fields + _sized(items)


def sparse() -> bytes:
    return b"P" + sizes(2, 2, 1) + struct.pack("<II", 6, 0) + sizes(0, 1, 1, 0) + bytes(8)
