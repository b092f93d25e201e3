"""Decisions of a mouse that learns, and curves through them; knows nothing of tables."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Contrast of the stripes on the right; on the left where negative.
CONTRASTS = (-1.0, -0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5, 1.0)
#: Share of trials with the stripes on the left, block by block, in the biased protocol.
BLOCKS = (0.5, 0.2, 0.8)
TRIALS_PER_BLOCK = 60
#: Samples of the wheel per second [Hz].
WHEEL_HZ = 20.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One decision."""

    contrast: float
    prob_left: float
    #: -1 left, 1 right, 0: none in time.
    choice: int
    #: From the stripes' onset [s]; None without a choice.
    response_s: float | None

    @property
    def is_correct(self) -> bool:
        """Whether it was rewarded; with no stripes nobody can know, and every choice is."""
        return self.choice != 0 and self.choice * self.contrast >= 0


def decide(name: str, *, skill: float, is_biased: bool) -> list[Trial]:
    """Return the same trials for the same name, whenever it is asked.

    Parameters
    ----------
    name
        Of the session.
    skill
        0: chance, 1: never wrong where the stripes are clear.
    is_biased
        Whether one side comes more often for a while.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    trials: list[Trial] = []
    for prob_left in BLOCKS if is_biased else (0.5, 0.5):
        for _ in range(TRIALS_PER_BLOCK):
            size = abs(float(rng.choice(CONTRASTS)))
            contrast = -size if rng.random() < prob_left else size
            bias = 0.3 * (0.5 - prob_left)
            p_right = 0.5 + 0.5 * skill * float(np.tanh(6 * (contrast + bias)))
            if rng.random() < 0.03:  # noqa: PLR2004 - share of trials it sleeps through
                trials.append(Trial(contrast, prob_left, 0, None))
                continue
            choice = 1 if rng.random() < p_right else -1
            response_s = 0.15 + float(rng.gamma(2.0, 0.4 / (1 + 3 * size)))
            trials.append(Trial(contrast, prob_left, choice, response_s))
    return trials


def turn(trials: list[Trial]) -> NDArray[np.float32]:
    """Return the wheel's position [turns] over the trials: it moves the way that was chosen."""
    steps = np.zeros((len(trials), int(WHEEL_HZ)), np.float32)
    for row, trial in zip(steps, trials, strict=True):
        row[3:8] = 0.02 * trial.choice
    return np.cumsum(steps.ravel(), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Curve:
    """How often right was chosen."""

    #: Ascending.
    contrasts: NDArray[np.float64]
    n_trials: NDArray[np.int64]
    n_right: NDArray[np.int64]

    @property
    def bias(self) -> float:
        """Share of choices to the right where there was nothing to see, minus a half; or NaN."""
        is_blank = self.contrasts == 0
        n_blank = int(self.n_trials[is_blank].sum())
        return int(self.n_right[is_blank].sum()) / n_blank - 0.5 if n_blank else float("nan")


def curve(contrasts: NDArray[np.float64], choices: NDArray[np.int64]) -> Curve:
    """Count choices by contrast; trials without a choice do not count."""
    chosen = choices != 0
    levels, which = np.unique(contrasts[chosen], return_inverse=True)
    n_trials = np.bincount(which, minlength=len(levels))
    n_right = np.bincount(which[choices[chosen] > 0], minlength=len(levels))
    return Curve(levels, n_trials, n_right)
