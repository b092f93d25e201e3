"""A session's voltages, simulated; knows nothing of tables."""

from __future__ import annotations

import zlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]

#: Sampling rate [Hz] and length [s] of a session.
RATE_HZ = 2_000
DURATION_S = 4.0
#: Theta rhythm [Hz].
THETA_HZ = 8.0


def read(file_name: str, electrode: int) -> Floats:
    """Return the same voltage [µV] of a wire for the same file, shape (n_samples,)."""
    rng = np.random.default_rng(zlib.crc32(f"{file_name}/{electrode}".encode()))
    t = np.arange(int(RATE_HZ * DURATION_S)) / RATE_HZ
    voltage = 50 * np.sin(2 * np.pi * THETA_HZ * t + 0.1 * electrode) + rng.normal(0, 5, len(t))
    spikes = np.cumsum(0.01 + rng.exponential(0.1 + 0.02 * electrode, 400))
    at = (spikes[spikes < DURATION_S - 0.01] * RATE_HZ).astype(int)
    voltage[at] -= 150
    voltage[at + 1] += 40
    return voltage.astype(np.float32)


def in_band(voltage: Floats, low_hz: float | None, high_hz: float) -> Floats:
    """Return what of a voltage lies between two frequencies."""
    spectrum = np.fft.rfft(voltage)
    frequencies = np.fft.rfftfreq(len(voltage), 1 / RATE_HZ)
    spectrum[(frequencies < (low_hz or 0)) | (frequencies > high_hz)] = 0
    filtered: Floats = np.fft.irfft(spectrum, len(voltage)).astype(np.float32)
    return filtered


def inside(times_s: Times, intervals: Times) -> Times:
    """Return the times that lie in one of the intervals, shape (n, 2)."""
    is_in = np.zeros(len(times_s), bool)
    for start, stop in intervals:
        is_in |= (times_s >= start) & (times_s < stop)
    return times_s[is_in]


def crossings(voltage: Floats, *, depth: float) -> Times:
    """Return when the fast part of a voltage falls below -depth [µV] [s]."""
    fast = np.diff(voltage, prepend=voltage[:1])
    is_low = fast < -depth
    found: Times = np.flatnonzero(is_low & ~np.roll(is_low, 1)) / RATE_HZ
    return found


def intersection(a: Times, b: Times) -> Times:
    """Return the times that are in both lists of intervals, shape (n, 2), ascending."""
    both = [(max(a0, b0), min(a1, b1)) for a0, a1 in a for b0, b1 in b if max(a0, b0) < min(a1, b1)]
    return np.array(sorted(both), np.float64).reshape(-1, 2)
