from __future__ import annotations

import numpy as np
import PIL.Image

from examples.blobs.drawing import COLOURS, Finding, draw


def finding(name: str, n_blobs: int) -> Finding:
    blobs = [(10.0 + i, 20.0, 3.0) for i in range(n_blobs)]
    picture = np.zeros((60, 80), np.uint8)
    return Finding(name, picture, {"fine": blobs, "coarse": []}, {"fine": n_blobs, "coarse": 0})


def test_the_report_shows_the_blobs_and_is_small_enough_for_a_readme(tmp_path):
    path = tmp_path / "report.png"

    draw([finding("front", 5), *(finding(f"other {i}", i) for i in range(5))], path)

    assert path.stat().st_size < 600_000
    with PIL.Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    fine = [int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)]
    assert np.abs(pixels - fine).sum(axis=1).min() < 60


def test_a_picture_without_any_result_is_drawn_too(tmp_path):
    draw([Finding("alone", np.zeros((60, 80), np.uint8), {}, {})], tmp_path / "report.png")

    assert (tmp_path / "report.png").exists()
