"""The shortest float64 of the same float32, for whole columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from djq.definition.acceptance import shortest_float32

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Powers of ten that a float64 holds exactly: with them a product or quotient is rounded once.
_POWERS = np.array([float(f"1e{k}") for k in range(23)])
#: Digits that are tried; nine always do (IEEE 754).
_DIGITS = (6, 7, 8, 9)
#: Nearer than this to a half, the scaled number does not say how the decimal is rounded.
_MARGIN = 1e-5


def shortest_float32s(values: Sequence[float | None]) -> list[float | None]:
    """Return `shortest_float32` of each value, and None for None."""
    exact = np.array(values, dtype=np.float64)
    found, is_found = _candidates(exact)
    result: list[Any] = found.tolist()
    for i in np.flatnonzero(~is_found).tolist():
        value = values[i]
        result[i] = None if value is None else shortest_float32(float(value))
    return result


def _candidates(
    exact: np.ndarray[Any, np.dtype[np.float64]],
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the shortest numbers, and of which of them that is certain."""
    found = exact.copy()
    is_found = exact == 0
    with np.errstate(all="ignore"):
        magnitude = np.floor(np.log10(np.abs(exact)))
        single = exact.astype(np.float32)
        is_open = np.isfinite(magnitude) & np.isfinite(single)
        for digits in _DIGITS:
            power = np.where(is_open, digits - 1 - magnitude, 99).astype(np.int64)
            is_open &= np.abs(power) < len(_POWERS)
            scale = _POWERS[np.where(is_open, np.abs(power), 0)]
            scaled = np.where(power >= 0, exact * scale, exact / scale)
            whole = np.rint(scaled)
            is_open &= np.abs(np.abs(scaled - whole) - 0.5) > _MARGIN
            candidate = np.where(power >= 0, whole / scale, whole * scale)
            is_new = is_open & (candidate.astype(np.float32) == single)
            found[is_new] = candidate[is_new]
            is_found |= is_new
            is_open &= ~is_new
    return found, is_found
