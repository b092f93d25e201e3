"""What the codecs of arrays take, and what they expect in a row."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from djq.codecs import arrays
from djq.codecs.grids import sizes
from djq.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def an_array(value: object, name: str) -> NDArray[Any]:
    """Return `value` if it is an array that the codec `name` stores.

    Raises
    ------
    TypeError
        It is something else.
    """
    advice = "or let the attribute be <blob@store>, which takes any value"
    if not isinstance(value, np.ndarray):
        message = (
            f"<{name}> takes NumPy arrays, not {type(value).__name__}: pass numpy.asarray of it, "
            f"{advice}"
        )
        raise TypeError(message)
    array = cast("NDArray[Any]", value)
    try:
        arrays.describe(array)
    except CodecError as error:
        message = (
            f"<{name}> takes plain arrays of numbers, texts of fixed length, dates and raw bytes, "
            f"not {type(array).__name__} of {array.dtype}: convert it, {advice}"
        )
        raise TypeError(message) from error
    return array


def a_shape(value: object) -> tuple[int, ...]:
    """Return the shape that a row holds.

    Raises
    ------
    CodecError
        It is none.
    """
    shape = sizes(value)
    if math.prod(shape) > sys.maxsize:
        message = f"shape {shape} has more elements than an array has on this machine"
        raise CodecError(message)
    return shape
