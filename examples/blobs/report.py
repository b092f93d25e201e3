"""What the pipeline found: fetched from its tables, and drawn.

python -m examples.blobs.report demo/report.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from examples.blobs.drawing import Finding, draw
from examples.blobs.pipeline import Detection, Image, ImageSummary, ParamSet, read_picture

if TYPE_CHECKING:
    import djq as dj

#: The picture shown large.
FRONT = "hubble_deep_field"


def summary() -> dj.Query:
    """Return the counts of each picture and parameter set, with their names."""
    return Image.proj("name") * ParamSet.proj("label") * ImageSummary


def write(path: Path) -> None:
    """Draw everything that is in the tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(collect(), path)


def collect() -> list[Finding]:
    """Fetch pictures and blobs, the picture in front first."""
    labels = {row["paramset"]: row["label"] for row in ParamSet()}
    findings = []
    for image in Image():
        key = {"image_id": image["image_id"]}
        blobs = {label: [] for label in labels.values()}
        for blob in Detection.Blob & key:
            blobs[labels[blob["paramset"]]].append((blob["x"], blob["y"], blob["radius"]))
        counts = {labels[row["paramset"]]: row["n_blobs"] for row in ImageSummary & key}
        findings.append(Finding(image["name"], read_picture(image["name"]), blobs, counts))
    return sorted(findings, key=lambda finding: finding.name != FRONT)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
