"""Films of blinking cells that drift, and how to find these; knows nothing of tables."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

#: Edge of a field [px], frames, and frames per second [Hz].
EDGE, N_FRAMES, FPS = 32, 60, 10.0
#: Centres of the cells (row, column) [px] and their radius [px].
CELLS = ((8, 9), (10, 24), (24, 12), (25, 25))
RADIUS = 3
#: Farthest drift of the brain [px].
MAX_DRIFT = 2
#: Red light does not blink: the second channel is a marker of some cells.
MARKED = (1, 3)


@dataclass(frozen=True, slots=True)
class Film:
    """One plane of a scan."""

    #: Shape (n_channels, n_frames, height, width), counts.
    frames: Floats
    fps: float


def film(name: str, *, n_channels: int) -> Film:
    """Return the same film for the same name, whenever it is asked."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    frames = rng.poisson(20, (n_channels, N_FRAMES, EDGE, EDGE)).astype(np.float32)
    drift = np.clip(np.cumsum(rng.integers(-1, 2, (N_FRAMES, 2)), axis=0), -MAX_DRIFT, MAX_DRIFT)
    drift[0] = 0
    for i, cell in enumerate(CELLS):
        trace = _transients(rng)
        stamp = disc(cell)
        for t, (down, right) in enumerate(drift):
            moved = np.roll(stamp, (int(down), int(right)), axis=(0, 1))
            frames[0, t][moved] += 30 + trace[t]
            if n_channels > 1 and i in MARKED:
                frames[1, t][moved] += 60
    return Film(frames, FPS)


def _transients(rng: np.random.Generator) -> Floats:
    """Return events that rise at once and decay, counts."""
    events = (rng.random(N_FRAMES) < 0.08) * rng.uniform(40, 90, N_FRAMES)  # noqa: PLR2004 - rate
    decay = np.exp(-np.arange(N_FRAMES) / 5.0)
    return np.convolve(events, decay)[:N_FRAMES].astype(np.float32)


def disc(centre: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a round mask of the field's shape."""
    rows, columns = np.ogrid[:EDGE, :EDGE]
    inside: NDArray[np.bool_] = np.hypot(rows - centre[0], columns - centre[1]) <= RADIUS
    return inside


def shifts(frames: Floats) -> NDArray[np.int16]:
    """Return how far each frame is from the first one, shape (n_frames, 2) [px].

    The peak of the circular correlation with the reference.
    """
    reference = np.conj(np.fft.rfft2(frames[0] - frames[0].mean()))
    centred = frames - frames.mean(axis=(1, 2), keepdims=True)
    matches = np.fft.irfft2(np.fft.rfft2(centred) * reference, s=frames.shape[1:])
    peaks = matches.reshape(len(frames), -1).argmax(axis=1)
    height, width = frames.shape[1:]
    found = np.empty((len(frames), 2), np.int16)
    # Drifts beyond half of the field are small ones the other way.
    found[:, 0] = (peaks // width + height // 2) % height - height // 2
    found[:, 1] = (peaks % width + width // 2) % width - width // 2
    return found


def still(frames: Floats, moved: NDArray[np.int16]) -> Floats:
    """Return the frames moved back."""
    back = [
        np.roll(frame, (-int(down), -int(right)), axis=(0, 1))
        for frame, (down, right) in zip(frames, moved, strict=True)
    ]
    return np.stack(back)


def masks(mean: Floats, *, n_most: int) -> list[NDArray[np.int32]]:
    """Return the brightest discs that do not overlap, as flat indices of pixels."""
    left = mean.astype(np.float64).copy()
    found: list[NDArray[np.int32]] = []
    floor = float(np.median(mean)) * 1.5
    for _ in range(n_most):
        # The whole of a cell stands out where single pixels do not.
        around = range(-RADIUS + 1, RADIUS)
        shifted = [np.roll(left, (dy, dx), (0, 1)) for dy in around for dx in around]
        smooth = np.mean(shifted, axis=0)
        row, column = np.unravel_index(int(np.argmax(smooth)), mean.shape)
        if smooth[row, column] < floor:
            break
        inside = disc((int(row), int(column)))
        found.append(np.flatnonzero(inside).astype(np.int32))
        rows, columns = np.ogrid[:EDGE, :EDGE]
        left[np.hypot(rows - row, columns - column) <= 2 * RADIUS] = 0
    return found


def events(trace: Floats, *, decay_s: float, fps: float) -> Floats:
    """Return what must have happened for a trace that decays exponentially, never below 0."""
    kept = np.exp(-1 / (decay_s * fps))
    light = trace - np.median(trace)
    happened: Floats = np.zeros_like(trace)
    happened[1:] = np.maximum(light[1:] - kept * light[:-1], 0)
    return happened
