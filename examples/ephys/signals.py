"""Voltages with spikes in them, and how to find these again; knows nothing of tables."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

#: Sampling rate [Hz], duration [s] and electrodes of a simulated recording.
RATE_HZ = 5_000.0
DURATION_S = 3.0
N_ELECTRODES = 8
#: Electrodes where a neuron sits, its spikes per second and their trough [µV].
NEURONS = ((1, 12.0, 180.0), (4, 25.0, 120.0), (6, 6.0, 240.0))
NOISE_UV = 8.0
#: A neuron is silent for so long after a spike [s].
REFRACTORY_S = 0.004
#: Samples before and behind the trough.
BEFORE, BEHIND = 8, 24


@dataclass(frozen=True, slots=True)
class Voltages:
    """What one probe recorded."""

    #: Shape (n_electrodes, n_samples), µV.
    samples: Floats
    rate_hz: float

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        n_samples: int = self.samples.shape[1]
        return n_samples / self.rate_hz


@dataclass(frozen=True, slots=True)
class Sorted:
    """The spikes of one neuron."""

    #: Row of `samples` on which they are largest.
    channel: int
    #: Of the troughs [s], ascending.
    times_s: NDArray[np.float64]


def simulate(name: str) -> Voltages:
    """Return the same voltages for the same name, whenever it is asked."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    n_samples = int(RATE_HZ * DURATION_S)
    samples = rng.normal(0, NOISE_UV, (N_ELECTRODES, n_samples)).astype(np.float32)
    shape = _shape()
    for electrode, spikes_hz, trough in NEURONS:
        # The field of a neuron falls off along the probe.
        gains = trough * np.exp(-np.abs(np.arange(N_ELECTRODES) - electrode) / 0.7)
        waits = REFRACTORY_S + rng.exponential(1 / spikes_hz, size=int(4 * spikes_hz * DURATION_S))
        troughs = (np.cumsum(waits) * RATE_HZ).astype(int)
        for at in troughs[(troughs > BEFORE) & (troughs < n_samples - BEHIND)]:
            samples[:, at - BEFORE : at + BEHIND] += np.outer(gains, shape).astype(np.float32)
    return Voltages(samples, RATE_HZ)


def _shape() -> NDArray[np.float64]:
    """Return a spike: a trough of -1 and a hump behind it."""
    t = np.arange(-BEFORE, BEHIND)
    spike: NDArray[np.float64] = 0.3 * np.exp(-(((t - 7) / 4.0) ** 2)) - np.exp(-((t / 2.0) ** 2))
    return spike


def sort(recorded: Voltages, *, threshold: float) -> list[Sorted]:
    """Return one neuron per electrode that is the loudest one of at least one spike.

    Parameters
    ----------
    recorded
        Not modified.
    threshold
        In medians of the absolute voltage, per electrode; a robust unit of noise
        (Quian Quiroga et al., 2004).
    """
    samples = recorded.samples
    noise = np.median(np.abs(samples), axis=1, keepdims=True) / 0.6745
    depth = np.max(-samples / noise, axis=0)
    inner = depth[1:-1]
    is_peak = (inner > threshold) & (inner >= depth[:-2]) & (inner > depth[2:])
    at = np.flatnonzero(is_peak) + 1
    at = at[(at > BEFORE) & (at < samples.shape[1] - BEHIND)]
    # Of troughs nearer than the refractory time, the first one counts.
    at = at[np.diff(at, prepend=-samples.shape[1]) > REFRACTORY_S * recorded.rate_hz / 2]
    loudest = np.argmin(samples[:, at], axis=0)
    return [
        Sorted(int(channel), at[loudest == channel] / recorded.rate_hz)
        for channel in np.unique(loudest)
    ]


def mean_waveforms(recorded: Voltages, times_s: NDArray[np.float64]) -> Floats:
    """Return the mean around the troughs, shape (n_electrodes, samples), µV."""
    at = np.round(times_s * recorded.rate_hz).astype(int)
    window = at[:, None] + np.arange(-BEFORE, BEHIND)
    means: Floats = recorded.samples[:, window].mean(axis=1)
    return means


def isi_violations(times_s: NDArray[np.float64], *, refractory_s: float) -> float:
    """Return the share of intervals between spikes that no single neuron could make."""
    return float(np.mean(np.diff(times_s) < refractory_s))
