"""What the codecs of arrays take, and what they expect in a row."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from djq.codecs.grids import sizes
from djq.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def an_array(value: object, name: str) -> NDArray[Any]:
    """Return `value` if it is an array.

    Raises
    ------
    TypeError
        It is something else.
    """
    if isinstance(value, np.ndarray):
        return cast("NDArray[Any]", value)
    message = (
        f"<{name}> takes NumPy arrays, not {type(value).__name__}: pass numpy.asarray of it, "
        "or let the attribute be <blob@store>, which takes any value"
    )
    raise TypeError(message)


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
