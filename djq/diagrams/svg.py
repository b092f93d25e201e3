"""A drawing as SVG, for light and dark pages alike."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from djq.diagrams.drawing import LIGHT, Box, Kind
from djq.diagrams.layout import arrange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.diagrams.drawing import Arrow, Drawing
    from djq.diagrams.layout import Point

#: Of the text [px]; letters are taken as wide as in DejaVu Sans, the widest of the usual fonts.
FONT_SIZE, LETTER_WIDTH, BOX_HEIGHT = 13, 8.0, 26.0
MARGIN = 16.0
#: Between lines that lead from one box to the same other one [px].
SPREAD = 22.0
#: How far a line from a box to itself reaches out of it [px].
LOOP = 24.0

_DARK = {
    Kind.MANUAL: ("#173a29", "#4cb07f", "#d3f2e0"),
    Kind.LOOKUP: ("#3a3d41", "#8b9096", "#e4e6e9"),
    Kind.IMPORTED: ("#1a3158", "#6ea0ec", "#dbe7fc"),
    Kind.COMPUTED: ("#4d1d1b", "#e5776f", "#fcdedb"),
    Kind.PART: ("#1e1f22", "#1e1f22", "#dddddd"),
    Kind.SCHEMA: ("#33274a", "#a68bd4", "#ebe2fa"),
}
#: Page, lines, the dots of renamed references; a page like that of parts, which show no box.
_PAGE = {"light": ("#ffffff", "#666666", "#e08a00"), "dark": ("#1e1f22", "#9aa0a6", "#f0a830")}


def svg(drawing: Drawing) -> str:
    """Return the drawing as one SVG element that refers to nothing outside of itself."""
    is_tall = drawing.direction == "TB"
    sizes = {box.name: _size(box) for box in drawing.boxes}
    ends = [(a.parent, a.child) for a in drawing.arrows]
    layout = arrange({n: s if is_tall else (s[1], s[0]) for n, s in sizes.items()}, ends)
    width, height = (layout.width, layout.height) if is_tall else (layout.height, layout.width)
    width, height = max(width, 0.0) + 2 * MARGIN, max(height, 0.0) + 2 * MARGIN

    def place(point: Point) -> Point:
        across, along = point[0] + MARGIN, point[1] + MARGIN
        return (across, along) if is_tall else (along, across)

    bends = _bends(drawing.arrows)
    font = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" class="djq-diagram" role="img"'
        f' width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' font-family="{font}" font-size="{FONT_SIZE}">'
    )
    parts = [
        head,
        f"<title>{len(drawing.boxes)} tables</title>",
        f"<style>{_style()}</style>",
        '<rect class="djq-page" width="100%" height="100%" rx="6"/>',
    ]
    for arrow, route, bend in zip(drawing.arrows, layout.routes, bends, strict=True):
        if route:
            path, middle = _curve([place(p) for p in route], bend, is_tall=is_tall)
        else:
            path, middle = _loop(place(layout.centres[arrow.child]), sizes[arrow.child], bend)
        parts.append(_arrow(arrow, path, middle))
    parts += [_box(box, place(layout.centres[box.name]), sizes[box.name]) for box in drawing.boxes]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _size(box: Box) -> tuple[float, float]:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in box.label)
    text = (len(box.label) + 0.7 * wide) * LETTER_WIDTH
    if box.kind in {Kind.IMPORTED, Kind.COMPUTED}:
        return text * 1.15 + 26, BOX_HEIGHT + 6
    return text + (6 if box.kind is Kind.PART else 20), BOX_HEIGHT


def _bends(arrows: Sequence[Arrow]) -> list[float]:
    """Return how far aside each arrow bends: those between the same two boxes part."""
    total = Counter((a.parent, a.child) for a in arrows)
    seen: Counter[tuple[str, str]] = Counter()
    found: list[float] = []
    for arrow in arrows:
        ends = (arrow.parent, arrow.child)
        found.append((seen[ends] - (total[ends] - 1) / 2) * SPREAD)
        seen[ends] += 1
    return found


def _curve(points: Sequence[Point], bend: float, *, is_tall: bool) -> tuple[str, Point]:
    """Return a path through the points and where its middle is."""
    x, y = points[0]
    path = [f"M{x:.1f} {y:.1f}"]
    middles: list[Point] = []
    bend = bend if len(points) == 2 else 0.0  # noqa: PLR2004 - longer lines have ways of their own
    for to_x, to_y in points[1:]:
        if is_tall:
            half = (y + to_y) / 2
            first, second = (x + bend, half), (to_x + bend, half)
        else:
            half = (x + to_x) / 2
            first, second = (half, y + bend), (half, to_y + bend)
        middle_x, middle_y = (
            (a + 3 * b + 3 * c + d) / 8
            for a, b, c, d in zip((x, y), first, second, (to_x, to_y), strict=True)
        )
        middles.append((middle_x, middle_y))
        control = f"{first[0]:.1f} {first[1]:.1f} {second[0]:.1f} {second[1]:.1f}"
        path.append(f"C{control} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(path), middles[len(middles) // 2]


def _loop(centre: Point, size: tuple[float, float], bend: float) -> tuple[str, Point]:
    """Return a path from a box to itself, at its right side."""
    x, y = centre[0] + size[0] / 2, centre[1]
    reach = LOOP + abs(bend)
    path = f"M{x - 4:.1f} {y - 7:.1f}c{reach:.1f} -8 {reach:.1f} 22 0 14"
    return path, (x - 4 + reach * 0.75, y)


def _arrow(arrow: Arrow, path: str, middle: Point) -> str:
    names = ["djq-line"]
    names += ["djq-thick"] if arrow.strength.is_thick else []
    names += ["djq-dashed"] if arrow.strength.is_dashed else []
    names += ["djq-nullable"] if arrow.is_nullable else []
    line = f'<path class="{" ".join(names)}" d="{path}"/>'
    dot = f'<circle class="djq-renamed" cx="{middle[0]:.1f}" cy="{middle[1]:.1f}" r="3.5"/>'
    return f"<g>{_title(arrow.tooltip)}{line}{dot if arrow.renamed else ''}</g>"


def _box(box: Box, centre: Point, size: tuple[float, float]) -> str:
    (x, y), (width, height) = centre, size
    if box.kind in {Kind.IMPORTED, Kind.COMPUTED}:
        shape = f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}"/>'
    else:
        corner = 6 if box.kind is Kind.SCHEMA else 2
        shape = (
            f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}"'
            f' height="{height:.1f}" rx="{corner}"/>'
        )
    underline = ' text-decoration="underline"' if box.is_dimension else ""
    text = (
        f'<text x="{x:.1f}" y="{y + FONT_SIZE * 0.35:.1f}" text-anchor="middle"{underline}>'
        f"{_text(box.label)}</text>"
    )
    name = quoteattr(_clean(box.name))
    return (
        f'<g class="djq-{box.kind.value}" data-table={name}>{_title(box.tooltip)}{shape}{text}</g>'
    )


def _title(text: str) -> str:
    return f"<title>{_text(text)}</title>" if text else ""


def _text(text: str) -> str:
    return escape(_clean(text))


def _clean(text: str) -> str:
    """Return text without the characters that XML 1.0 has no way to write."""
    return "".join(c if c in "\t\n" or _is_allowed(ord(c)) else "\ufffd" for c in text)


def _is_allowed(code: int) -> bool:
    return 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000  # noqa: PLR2004 - the specification's ranges


def _style() -> str:
    return (
        f"{_rules(LIGHT, 'light')}"
        ".djq-line{fill:none;stroke-width:1.2}.djq-thick{stroke-width:3}"
        ".djq-dashed{stroke-dasharray:6 4}.djq-nullable{stroke-dasharray:2 4}"
        f"@media (prefers-color-scheme:dark){{{_rules(_DARK, 'dark')}}}"
    )


def _rules(colours: dict[Kind, tuple[str, str, str]], theme: str) -> str:
    page, line, renamed = _PAGE[theme]
    rules = [
        f".djq-page{{fill:{page}}}.djq-line{{stroke:{line}}}.djq-renamed{{fill:{renamed}}}",
        *(
            f".djq-{kind.value} rect,.djq-{kind.value} ellipse{{fill:{fill};stroke:{edge}}}"
            f".djq-{kind.value} text{{fill:{text}}}"
            for kind, (fill, edge, text) in colours.items()
        ),
    ]
    return "".join(rules)
