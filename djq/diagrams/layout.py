"""Where the boxes and lines of a drawing go: rows by level, few crossings, short lines.

The method of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11(2), 1981): levels, then an order within
each level by the means of neighbours, then positions. Why it is our own:
docs/decisions/0010-diagrams.md.
"""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from djq.definition.graph import components, levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Point = tuple[float, float]

#: Space between two boxes of a row, and between two rows [px].
GAP, ROW_GAP = 26.0, 44.0
#: Space that a line takes which passes through a row [px].
LINE_WIDTH = 6.0
#: A drawing of unconnected parts is about this wide [px], if none of them is wider.
SHELF_WIDTH = 1000.0
#: Orders are tried from so many random starts, fewer where there are many places.
N_ATTEMPTS, N_PLACES = 20, 2000
#: Rounds after which nothing changes to the eye (measured: 300 boxes).
N_SWEEPS, N_ROUNDS, N_STRAIGHTENINGS = 12, 60, 8
#: How much a line wants to be straight within a row, at its ends, and between two boxes.
PULL = {2: 8.0, 1: 2.0, 0: 1.0}


@dataclass(frozen=True, slots=True)
class Layout:
    """Centres of the boxes; for each line its points, from the first box's centre to the last's."""

    centres: Mapping[str, Point]
    routes: Sequence[Sequence[Point]]
    width: float
    height: float


def arrange(sizes: Mapping[str, tuple[float, float]], lines: Sequence[tuple[str, str]]) -> Layout:
    """Place boxes of the given sizes; lines lead down where the boxes' order has the first first.

    Parts that no line connects stand side by side, and below each other where they are wide. A
    line from a box to itself gets no route.
    """
    position = {name: i for i, name in enumerate(sizes)}
    downward = [tuple(sorted(line, key=position.__getitem__)) for line in lines]
    centres: dict[str, Point] = {}
    routes: list[list[Point]] = [[] for _ in lines]
    x = y = width = height = 0.0
    for part in components(sizes, lines):
        numbers = [i for i, (a, b) in enumerate(lines) if a in part and a != b]
        own = [(downward[i][0], downward[i][-1]) for i in numbers]
        placed = _Rows({n: sizes[n] for n in part}, own).layout()
        if x > 0 and x + placed.width > SHELF_WIDTH:
            x, y = 0.0, height + ROW_GAP
        centres.update({n: (cx + x, cy + y) for n, (cx, cy) in placed.centres.items()})
        for i, route in zip(numbers, placed.routes, strict=True):
            moved = [(px + x, py + y) for px, py in route]
            routes[i] = moved if downward[i] == lines[i] else moved[::-1]
        width, height = max(width, x + placed.width), max(height, y + placed.height)
        x += placed.width + GAP
    return Layout(centres, routes, width, height)


@dataclass
class _Rows:
    """One connected part; lines that pass through a row have a place of their own in it."""

    sizes: Mapping[str, tuple[float, float]]
    lines: Sequence[tuple[str, str]]
    rows: list[list[int]] = field(default_factory=list[list[int]])
    widths: list[float] = field(default_factory=list[float])
    #: Places → (place in the row above, pull); and the same for the row below.
    above: list[list[tuple[int, float]]] = field(default_factory=list[list[tuple[int, float]]])
    below: list[list[tuple[int, float]]] = field(default_factory=list[list[tuple[int, float]]])
    chains: list[list[int]] = field(default_factory=list[list[int]])

    def layout(self) -> Layout:
        number = {name: i for i, name in enumerate(self.sizes)}
        rank = self._ranks()
        self.rows = [[] for _ in range(max(rank.values()) + 1)]
        for name in self.sizes:
            self._add(rank[name], self.sizes[name][0])
        for first, second in self.lines:
            between = [self._add(r, LINE_WIDTH) for r in range(rank[first] + 1, rank[second])]
            chain = [number[first], *between, number[second]]
            self.chains.append(chain)
            for a, b in pairwise(chain):
                pull = PULL[(a >= len(number)) + (b >= len(number))]
                self.below[a].append((b, pull))
                self.above[b].append((a, pull))
        self._order()
        xs = self._positions()
        heights = [0.0] * len(self.rows)
        for name, (_, height) in self.sizes.items():
            heights[rank[name]] = max(heights[rank[name]], height)
        tops = [0.0, *accumulate(h + ROW_GAP for h in heights)]
        centre = [top + h / 2 for top, h in zip(tops, heights, strict=False)]
        centres = {name: (xs[i], centre[rank[name]]) for name, i in number.items()}
        routes = [
            self._route(chain, xs, centre[rank[line[0]] :], heights[rank[line[0]] :])
            for line, chain in zip(self.lines, self.chains, strict=True)
        ]
        width = max(x + w / 2 for x, w in zip(xs, self.widths, strict=True))
        return Layout(centres, routes, width, tops[-1] - ROW_GAP)

    def _add(self, row: int, width: float) -> int:
        self.widths.append(width)
        self.above.append([])
        self.below.append([])
        self.rows[row].append(len(self.widths) - 1)
        return len(self.widths) - 1

    def _ranks(self) -> dict[str, int]:
        """Return rows: as high as parents allow, but close to the children where they are more."""
        parents: dict[str, set[str]] = {n: set() for n in self.sizes}
        children: dict[str, set[str]] = {n: set() for n in self.sizes}
        for first, second in self.lines:
            parents[second].add(first)
            children[first].add(second)
        ordered = levels(parents)
        rank = {n: i for i, row in enumerate(ordered) for n in row}
        for row in reversed(ordered):
            for name in row:
                if len(children[name]) > len(parents[name]):
                    rank[name] = min(rank[c] for c in children[name]) - 1
        return rank

    def _order(self) -> None:
        """Order rows by the means of their neighbours' places; keep what crosses least."""
        best, fewest = [list(row) for row in self.rows], self._n_crossings()
        chance = random.Random(0)  # noqa: S311 - the same picture each time
        for attempt in range(max(2, min(N_ATTEMPTS, N_PLACES // len(self.widths)))):
            if attempt:
                for row in self.rows:
                    chance.shuffle(row)
            for sweep in range(N_SWEEPS):
                self._sweep(is_down=sweep % 2 == 0)
                if (crossings := self._n_crossings()) < fewest:
                    best, fewest = [list(row) for row in self.rows], crossings
            if not fewest:
                break
        self.rows = best

    def _sweep(self, *, is_down: bool) -> None:
        near = self.above if is_down else self.below
        at = self._places()
        for row in self.rows if is_down else self.rows[::-1]:
            places = {v: [at[u] for u, _ in near[v]] or [at[v]] for v in row}
            means = {v: sum(its) / len(its) for v, its in places.items()}
            row.sort(key=means.__getitem__)
            self._swap(row, at)
            for i, v in enumerate(row):
                at[v] = i

    def _places(self) -> list[int]:
        """Return where in its row each place is."""
        at = [0] * len(self.widths)
        for row in self.rows:
            for i, v in enumerate(row):
                at[v] = i
        return at

    def _swap(self, row: list[int], at: list[int]) -> None:
        """Exchange neighbours of a row wherever that removes crossings on both of its sides."""
        for i in range(len(row) - 1):
            a, b = row[i], row[i + 1]
            gain = 0
            for near in (self.above, self.below):
                for u, _ in near[a]:
                    gain += sum((at[u] > at[w]) - (at[u] < at[w]) for w, _ in near[b])
            if gain > 0:
                row[i], row[i + 1] = b, a

    def _n_crossings(self) -> int:
        at = self._places()
        total = 0
        for row in self.rows:
            seen: list[int] = []
            for v in row:
                ends = sorted(at[u] for u, _ in self.below[v])
                total += sum(len(seen) - bisect_right(seen, end) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    def _positions(self) -> list[float]:
        """Return where places are across: near their neighbours, in order, with gaps between."""
        xs = [0.0] * len(self.widths)
        for row in self.rows:
            offsets = self._offsets(row)
            for v, offset in zip(row, offsets, strict=True):
                xs[v] = offset - offsets[-1] / 2
        for i in range(N_ROUNDS):
            for row in self.rows[::-1] if i % 2 == 0 else self.rows:
                self._settle(row, xs, [self._wanted(v, xs) for v in row])
        straight = {v: c for chain in self.chains for c in [chain[1:-1]] for v in c}
        for _ in range(N_STRAIGHTENINGS):
            aims = {v: (sum(xs[u] for u in c) / len(c), PULL[2]) for v, c in straight.items()}
            for row in self.rows:
                self._settle(row, xs, [aims.get(v, (xs[v], 1.0)) for v in row])
        left = min(x - w / 2 for x, w in zip(xs, self.widths, strict=True))
        return [x - left for x in xs]

    def _settle(self, row: list[int], xs: list[float], wanted: list[tuple[float, float]]) -> None:
        """Move a row's places as close to where they want to be as order and gaps let them."""
        offsets = self._offsets(row)
        shifted = [(x - offset, pull) for (x, pull), offset in zip(wanted, offsets, strict=True)]
        for v, x, offset in zip(row, _non_decreasing(shifted), offsets, strict=True):
            xs[v] = x + offset

    def _offsets(self, row: list[int]) -> list[float]:
        """Return how far each place of a row is from the first one, at least."""
        steps = ((self.widths[a] + self.widths[b]) / 2 + GAP for a, b in pairwise(row))
        return [0.0, *accumulate(steps)]

    def _wanted(self, v: int, xs: list[float]) -> tuple[float, float]:
        near = [*self.above[v], *self.below[v]]
        total = sum(pull for _, pull in near)
        return (sum(xs[u] * pull for u, pull in near) / total, total) if near else (xs[v], 1.0)

    def _route(
        self, chain: list[int], xs: list[float], centre: list[float], heights: list[float]
    ) -> list[Point]:
        """Return the points of a line: straight through the rows that it passes."""
        points: list[Point] = [(xs[chain[0]], centre[0])]
        for i, v in enumerate(chain[1:-1], 1):
            points += [(xs[v], centre[i] - heights[i] / 2), (xs[v], centre[i] + heights[i] / 2)]
        return [*points, (xs[chain[-1]], centre[len(chain) - 1])]


def _non_decreasing(wanted: list[tuple[float, float]]) -> list[float]:
    """Return the non-decreasing values that are closest to the wanted ones, by weighted squares."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in wanted:
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            before, its_weight, n = pools.pop()
            mass = its_weight + pool[1]
            pool = ((before * its_weight + pool[0] * pool[1]) / mass, mass, n + pool[2])
        pools.append(pool)
    return [value for value, _, n in pools for _ in range(n)]
