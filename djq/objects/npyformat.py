"""NumPy's `.npy` files: their headers, and dtypes as texts, read without running anything.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.lib import format as npy

from djq.codecs.extensions import MALFORMED
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

#: As much of a file as holds every header that NumPy reads, of up to 10,000 characters [bytes].
HEAD_BYTES: Final = 16 << 10
#: What NumPy raises for a malformed header; TokenError, since it tokenizes again what is no Python,
#: in case Python 2 wrote it.
_MALFORMED: Final = (*MALFORMED, SyntaxError, tokenize.TokenError)

#: By version of the format; later ones only add field names beyond Latin 1.
_READERS: Final[Mapping[tuple[int, int], Callable[[io.BytesIO], tuple[Any, ...]]]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


@dataclass(frozen=True, slots=True)
class Head:
    """What the header of a file says."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool
    #: Where the elements begin [bytes].
    start: int


def write_head(array: NDArray[Any]) -> tuple[bytes, np.dtype[Any]]:
    """Return the header of the file of an array, and the dtype that comes back.

    Raises
    ------
    CodecError
        The format does not carry its dtype.
    """
    head = io.BytesIO()
    try:
        dtype: np.dtype[Any] = npy.descr_to_dtype(npy.dtype_to_descr(array.dtype))
        npy.write_array_header_1_0(head, npy.header_data_from_array_1_0(array))
        is_kept = dtype == array.dtype == parse_dtype(str(dtype))
    except (ValueError, TypeError, CodecError) as error:
        raise _not_carried(array.dtype) from error
    if not is_kept:
        raise _not_carried(array.dtype)
    return head.getvalue(), dtype


def _not_carried(dtype: np.dtype[Any]) -> CodecError:
    message = (
        f"a .npy file does not carry arrays of dtype {dtype}: "
        "let the attribute be <array@store>, or <blob@store>"
    )
    return CodecError(message)


def read_head(data: memoryview) -> Head:
    """Return what the first bytes of a file say.

    Raises
    ------
    CodecError
        They are no header, or one that djq does not read.
    """
    file = io.BytesIO(data[:HEAD_BYTES])
    try:
        version = npy.read_magic(file)
        if version in _READERS:
            shape, is_fortran, dtype = _READERS[version](file)
        else:
            message = f"version {version} of the .npy format is not read here; update djq"
            raise CodecError(message)
    except _MALFORMED as error:
        message = f"it is no .npy file: {error}"
        raise CodecError(message) from error
    if dtype.hasobject:
        message = "it holds Python objects, which only pickle reads, and pickle runs code"
        raise CodecError(message)
    return Head(dtype, shape, is_fortran, file.tell())


def parse_dtype(text: object) -> np.dtype[Any]:
    """Return the dtype that `str` makes this text of.

    Raises
    ------
    CodecError
        It is none, or one of objects.
    """
    message = f"{str(text)[:80]!r} is not a dtype that this machine has"
    if not isinstance(text, str):
        raise CodecError(message)
    try:
        dtype = np.dtype(ast.literal_eval(text) if text[:1] in {"[", "{", "("} else text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, KeyError) as error:
        raise CodecError(message) from error
    if dtype.hasobject:
        raise CodecError(message)
    return dtype
