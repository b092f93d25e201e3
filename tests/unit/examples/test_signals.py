"""The examples' arithmetic finds again what it put into its data."""

from __future__ import annotations

import numpy as np
import pytest

from examples.behavior import decisions
from examples.ephys import signals
from examples.imaging import movies
from examples.merge import voltages


def test_simulated_recordings_are_the_same_each_time():
    assert np.array_equal(signals.simulate("a").samples, signals.simulate("a").samples)
    assert not np.array_equal(signals.simulate("a").samples, signals.simulate("b").samples)


def test_sorting_finds_the_neurons_on_their_electrodes():
    recorded = signals.simulate("M01/1/0")

    found = {unit.channel: len(unit.times_s) for unit in signals.sort(recorded, threshold=6.0)}

    assert found.keys() == {electrode for electrode, _, _ in signals.NEURONS}
    for electrode, spikes_hz, _ in signals.NEURONS:
        expected = spikes_hz * signals.DURATION_S
        assert found[electrode] == pytest.approx(expected, rel=0.6)


def test_mean_waveforms_are_deepest_where_the_neuron_sits():
    recorded = signals.simulate("M01/1/0")

    for unit in signals.sort(recorded, threshold=6.0):
        means = signals.mean_waveforms(recorded, unit.times_s)
        assert means.shape == (signals.N_ELECTRODES, signals.BEFORE + signals.BEHIND)
        assert np.unravel_index(means.argmin(), means.shape) == (unit.channel, signals.BEFORE)


def test_intervals_between_spikes_that_are_too_short_are_counted():
    times_s = np.array([0.0, 0.001, 1.0, 2.0, 2.0005])

    assert signals.isi_violations(times_s, refractory_s=0.0015) == 0.5


def test_the_drift_of_a_film_is_found():
    frames = movies.film("101_2024-03-01_001", n_channels=1).frames[0]

    drift = movies.shifts(frames)
    corrected = movies.still(frames, drift)

    assert np.abs(drift).max() <= movies.MAX_DRIFT
    assert np.abs(drift).sum() > 0
    assert np.abs(movies.shifts(corrected)).sum() == 0
    assert corrected.mean(axis=0).max() > frames.mean(axis=0).max()


def test_masks_lie_on_the_cells():
    frames = movies.film("101_2024-03-01_001", n_channels=1).frames[0]
    mean = movies.still(frames, movies.shifts(frames)).mean(axis=0)

    found = movies.masks(mean, n_most=8)

    assert len(found) == len(movies.CELLS)
    for cell in movies.CELLS:
        inside = np.flatnonzero(movies.disc(cell))
        assert max(len(np.intersect1d(inside, mask)) for mask in found) > 0.7 * len(inside)


def test_events_are_where_the_light_rises():
    decay = np.exp(-np.arange(20) / 5).astype(np.float32)
    trace = np.concatenate([np.zeros(20), 10 * decay, np.zeros(60)]).astype(np.float32)

    found = movies.events(trace, decay_s=0.5, fps=10.0)

    assert found.argmax() == 20
    assert np.flatnonzero(found > 0.1).tolist() == [20]


def test_an_animal_with_more_skill_is_right_more_often():
    shares = [
        np.mean([t.is_correct for t in decisions.decide("x", skill=skill, is_biased=False)])
        for skill in (0.0, 0.5, 0.95)
    ]

    assert shares == sorted(shares)
    assert shares[0] < 0.65
    assert shares[-1] > 0.75


def test_a_curve_counts_choices_by_contrast():
    found = decisions.curve(np.array([-1.0, 0, 0, 1, 1]), np.array([-1, 1, -1, 1, 0]))

    assert found.contrasts.tolist() == [-1, 0, 1]
    assert found.n_trials.tolist() == [1, 2, 1]
    assert found.n_right.tolist() == [0, 1, 1]
    assert found.bias == 0


def test_the_intersection_of_intervals():
    a = np.array([[0.0, 2.0], [3.0, 5.0]])
    b = np.array([[1.0, 4.0], [6.0, 7.0]])

    assert voltages.intersection(a, b).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert voltages.intersection(a, b[1:]).shape == (0, 2)


def test_a_band_keeps_its_rhythm_and_nothing_else():
    t = np.arange(voltages.RATE_HZ) / voltages.RATE_HZ
    slow, fast = np.sin(2 * np.pi * 8 * t), np.sin(2 * np.pi * 500 * t)

    kept = voltages.in_band((slow + fast).astype(np.float32), 6.0, 10.0)

    assert kept == pytest.approx(slow, abs=1e-3)


def test_spikes_inside_of_intervals():
    found = voltages.crossings(voltages.read("file", 0), depth=100.0)
    kept = voltages.inside(found, np.array([[0.5, 1.5]]))

    assert 0 < len(kept) < len(found)
    assert kept.min() >= 0.5
    assert kept.max() < 1.5
