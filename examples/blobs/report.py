"""Draw what the pipeline found over the pictures it was found in.

python -m examples.blobs.report demo/report.png
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from examples.blobs.pipeline import Detection, Image, ImageSummary, ParamSet, read_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The picture shown large, when it is there.
FRONT = "hubble_deep_field"
GROUND, INK, DIM = "#10131a", "#e8ebf2", "#8c94a6"
#: One colour per parameter set, told apart by colour-blind readers, too (Okabe and Ito, 2008).
COLOURS = ("#f0e442", "#56b4e9", "#e0679f")


#: Size of the file's palette.
N_COLOURS = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A picture and its blobs, by parameter set."""

    name: str
    picture: np.ndarray
    #: (x, y, radius) [px] of each blob, by the parameter set's label.
    blobs: dict[str, list[tuple[float, float, float]]]
    #: Number of blobs, by the parameter set's label.
    counts: dict[str, int]

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name.replace("_", " ")


def main() -> None:
    """Draw the report to the path given on the command line."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(collect(), path)


def collect() -> list[Finding]:
    """Fetch what is in the tables, the picture in front first."""
    labels = {row["paramset"]: row["label"] for row in ParamSet.to_dicts()}
    findings = []
    for image in Image.to_dicts():
        key = {"image_id": image["image_id"]}
        blobs = {label: [] for label in labels.values()}
        for b in Detection.Blob & key:
            blobs[labels[b["paramset"]]].append((b["x"], b["y"], b["radius"]))
        counts = {labels[s["paramset"]]: s["n_blobs"] for s in ImageSummary & key}
        findings.append(Finding(image["name"], read_picture(image["name"]), blobs, counts))
    return sorted(findings, key=lambda finding: finding.name != FRONT)


def draw(findings: list[Finding], path: Path) -> None:
    """Draw the first picture large, the next four small, and the counts of all."""
    figure = Figure(figsize=(14, 7.8), dpi=90, facecolor=GROUND)
    canvas = FigureCanvasAgg(figure)
    left, right = figure.add_gridspec(
        1, 2, width_ratios=(1.62, 1), wspace=0.02, left=0.008, right=0.992, top=0.955, bottom=0.035
    )
    small, numbers = right.subgridspec(2, 1, height_ratios=(2.75, 1), hspace=0.12)
    front, *others = findings
    _draw_picture(figure.add_subplot(left), front, line_width=0.8)
    for finding, place in zip(
        others, small.subgridspec(2, 2, hspace=0.1, wspace=0.02), strict=False
    ):
        axes = figure.add_subplot(place)
        _draw_picture(axes, finding, line_width=0.7)
        _crop(axes)
    _, numbers = numbers.subgridspec(1, 2, width_ratios=(1.3, 4), wspace=0)
    _draw_counts(figure.add_subplot(numbers), findings)
    canvas.draw()
    # A palette makes the file a third as large, and nobody sees it.
    picture = PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(N_COLOURS, dither=PIL.Image.Dither.NONE).save(path, optimize=True)


def _draw_picture(axes: Axes, finding: Finding, *, line_width: float) -> None:
    height, width = finding.picture.shape[:2]
    axes.imshow(finding.picture, cmap="gray", interpolation="antialiased")
    for colour, blobs in zip(COLOURS, finding.blobs.values(), strict=False):
        sizes = [2 * radius for _, _, radius in blobs]
        circles = EllipseCollection(
            sizes,
            sizes,
            [0.0] * len(blobs),
            units="xy",
            offsets=[(x, y) for x, y, _ in blobs],
            offset_transform=axes.transData,
            facecolors="none",
            edgecolors=colour,
            linewidths=line_width,
        )
        axes.add_collection(circles)
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], anchor="N")
    axes.set_frame_on(False)
    n_blobs = sum(finding.counts.values())
    axes.set_title(f"{finding.title}: {n_blobs:,} blobs", color=INK, fontsize=9, loc="left", pad=4)


def _crop(axes: Axes) -> None:
    """Show the largest square in the middle."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    half = min(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (bottom + top) / 2
    axes.set(xlim=(x - half, x + half), ylim=(y + half, y - half))


def _draw_counts(axes: Axes, findings: list[Finding]) -> None:
    """One line per picture: how many blobs each parameter set found."""
    rows = range(len(findings))
    counts = [[max(n, 0.7) for n in finding.counts.values()] for finding in findings]
    axes.hlines(rows, 0.7, [max(line, default=0.7) for line in counts], color=DIM, lw=0.8)
    for colour, label, values in zip(
        COLOURS, findings[0].blobs, zip(*counts, strict=True), strict=False
    ):
        axes.scatter(values, rows, s=40, color=colour, zorder=2, label=label)
    axes.set(xscale="log", xlim=(0.6, None), ylim=(len(findings) - 0.4, -0.6), facecolor=GROUND)
    axes.set_yticks(rows, [finding.title for finding in findings])
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    axes.minorticks_off()
    axes.tick_params(colors=DIM, labelsize=8, length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("blobs found with each parameter set", color=INK, fontsize=9, loc="left", pad=4)
    axes.legend(
        frameon=False, labelcolor=INK, fontsize=8, loc="lower right", ncols=3, borderaxespad=0
    )


if __name__ == "__main__":
    main()
