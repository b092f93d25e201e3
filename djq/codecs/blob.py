"""Python and NumPy values ↔ self-describing, versioned bytes, as in docs/blob-format.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from djq.codecs import arrays, mym, objects, values
from djq.codecs.compression import read_frame
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from djq.codecs.messagepack import Value

_KEYS: Final = {arrays.KIND: arrays.KEYS, values.KIND: values.KEYS}
#: A longer path through a value helps nobody.
_MAX_STEPS: Final = 20
_MAX_KEY_LENGTH: Final = 40


def encode(value: object) -> bytes:
    """Encode a value as one self-describing blob.

    Parameters
    ----------
    value
        A NumPy array or scalar, masked ones and those of Python objects included; None, bool, int
        of any size, float, complex, str, bytes, datetime, date, time, timedelta, Decimal, UUID; and
        lists, tuples, sets, frozensets and dicts of all those. Instances of subclasses of the
        containers, numbers and texts come back as the plain type, bytearray as bytes.

    Returns
    -------
    bytes
        Equal values of equal types become equal bytes, so that they get one content address, if
        dicts are in equal order, and the padding in structured and long floating types is equal.

    Raises
    ------
    CodecError
        Something in the value cannot be stored; the message names its place, as in `value["a"][3]`.
    """
    return b"".join(encode_parts(value))


def encode_parts(value: object) -> list[bytes]:
    """Return the parts of a blob, to be written one after the other: `encode` joins them.

    Raises
    ------
    CodecError
        As for `encode`.
    """
    try:
        return _write(value)
    except CodecError as error:
        raise _locate(value, error) from error


def decode(data: bytes | bytearray | memoryview) -> Value:
    """Decode a blob.

    Parameters
    ----------
    data
        What `encode` returned, or DataJoint or MATLAB's mYm wrote. Anything else is refused, in
        time and memory bounded by its length, and nothing in it is run.

    Returns
    -------
    Any
        The value; arrays are writable, in C order, and own their memory.

    Raises
    ------
    CodecError
        The bytes are not a blob, damaged, cut off, or of a newer version.
    """
    data = memoryview(data).cast("B")
    if mym.is_one(data):
        return mym.decode(data)
    frame = read_frame(data, _KEYS)
    return arrays.read(frame) if frame.kind == arrays.KIND else values.read(frame)


def _write(value: object) -> list[bytes]:
    if isinstance(value, np.ndarray):
        array = cast("NDArray[Any]", value)
        return values.write(array) if objects.is_more_than_bytes(array) else arrays.write(array)
    return values.write(value)


def _locate(value: object, error: CodecError) -> CodecError:
    """Return `error` with the path to the innermost part of `value` that cannot be encoded."""
    path: list[str] = []
    while len(path) < _MAX_STEPS:
        for step, part in _parts(value):
            try:
                _write(part)
            except CodecError as inner:
                path.append(step)
                value, error = part, inner
                break
        else:
            break
    return CodecError(f"value{''.join(path)}: {error}")


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Yield what a container holds, each with the text that would reach it."""
    if isinstance(value, dict):
        for key, part in cast("dict[object, object]", value).items():
            name = _shorten(key)
            yield f".key({name})", key
            yield f"[{name}]", part
    elif isinstance(value, (list, tuple)):
        for position, part in enumerate(cast("list[object]", value)):
            yield f"[{position}]", part
    elif isinstance(value, (set, frozenset)):
        for part in cast("set[object]", value):
            yield f".item({_shorten(part)})", part
    elif isinstance(value, (np.ndarray, np.generic)):
        yield from objects.parts(cast("Any", value))


def _shorten(key: object) -> str:
    text = f'"{key}"' if isinstance(key, str) else repr(key)
    return text if len(text) <= _MAX_KEY_LENGTH else f"{text[:_MAX_KEY_LENGTH]}…"
