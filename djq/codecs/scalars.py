"""NumPy scalars ↔ a dtype and raw bytes, those included that NumPy drops at the end of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from djq.codecs import arrays, dtypes
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.codecs.messagepack import Value

#: NumPy's kinds of bytes and texts, and the size of their elements [bytes].
_WIDTHS: Final[Mapping[str, int]] = {"S": 1, "U": 4}


def write(value: np.generic[Any]) -> list[object]:
    """Return the description of a scalar's dtype, and its raw bytes."""
    array = np.asanyarray(value)
    description, raw = arrays.describe(array), array.tobytes()
    if isinstance(value, (bytes, str)) and len(value) == 1 and not any(raw):
        # NumPy has no arrays of empty texts: such bytes with a size of 1 stand for an empty one.
        description = f"{array.dtype.str[:2]}0"
    return [description, raw]


def read(description: object, raw: object) -> Value:
    """Return the scalar that was written.

    Raises
    ------
    CodecError
        The description is malformed, or does not fit the bytes.
    """
    dtype = dtypes.parse(description)
    width = _WIDTHS.get(dtype.kind)
    if width is None:
        return arrays.from_bytes(raw, [], dtype)[()]
    if not isinstance(raw, bytes):
        message = f"a scalar of {dtype} without its bytes"
        raise CodecError(message)
    length = len(raw) // width
    sized = dtype if dtype.itemsize else np.dtype(f"{dtype.str[:2]}{length}")
    text: Value = arrays.from_bytes(raw, [], sized)[()]
    if length == 1 and dtype.itemsize:
        return text
    return dtype.type(text.ljust(length, b"\0" if dtype.kind == "S" else "\0"))
