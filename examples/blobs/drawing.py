"""A picture of what was found in pictures; knows nothing of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

GROUND, INK, DIM = "#10131a", "#e8ebf2", "#8c94a6"
#: One colour per parameter set, told apart by colour-blind readers, too (Okabe and Ito, 2008).
COLOURS = ("#f0e442", "#56b4e9", "#e0679f")
#: Where 0 lies on the logarithmic axis.
NONE = 0.7
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
    # The axis is logarithmic: none is drawn at its left end.
    most = [max(finding.counts.values(), default=0) for finding in findings]
    axes.hlines(rows, NONE, [max(n, NONE) for n in most], color=DIM, lw=0.8)
    for colour, label in zip(COLOURS, findings[0].blobs, strict=False):
        n_blobs = [max(finding.counts.get(label, 0), NONE) for finding in findings]
        axes.scatter(n_blobs, rows, s=40, color=colour, zorder=2, label=label)
    axes.set(xscale="log", xlim=(0.85 * NONE, None), ylim=(len(findings) - 0.4, -0.6))
    axes.set_yticks(rows, [finding.title for finding in findings])
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    axes.minorticks_off()
    axes.tick_params(colors=DIM, labelsize=8, length=0)
    axes.set_facecolor(GROUND)
    axes.spines[:].set_visible(False)
    axes.set_title("blobs found with each parameter set", color=INK, fontsize=9, loc="left", pad=4)
    if findings[0].blobs:
        style = {"frameon": False, "labelcolor": INK, "fontsize": 8, "borderaxespad": 0}
        axes.legend(loc="lower right", ncols=len(findings[0].blobs), **style)
