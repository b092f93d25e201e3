"""Which chunks of a grid hold a selection, and which part of each goes where; pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from djq.codecs.grids import Grid
    from djq.objects.selection import Selection

    Part: TypeAlias = tuple[slice | NDArray[np.intp], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk gives to what is read."""

    #: The chunk's number, in C order of the grid.
    number: int
    shape: tuple[int, ...]
    #: The axes of the chunk as `source` and `target` have them: those of points first.
    axes: tuple[int, ...]
    source: Part
    target: Part

    @property
    def is_whole(self) -> bool:
        """Whether all of the chunk is taken as it is."""
        return all(
            isinstance(part, slice) and (part.start, part.stop, part.step) == (0, size, 1)
            for part, size in zip(self.source, self.shape, strict=True)
        )

    def copy(self, chunk: NDArray[Any], into: NDArray[Any]) -> None:
        """Copy the piece out of its chunk."""
        into[self.target] = chunk.transpose(self.axes)[self.source]


@dataclass(frozen=True, slots=True)
class _Span:
    """Along some axes: the place of a chunk, and which positions come from it and where they go."""

    at: tuple[int, ...]
    source: Part
    target: Part


def cut(selection: Selection, grid: Grid) -> Iterator[Piece]:
    """Yield the pieces of a selection, each chunk once, in the order in which they are stored.

    Points alone may come in another order of their chunks.
    """
    if selection.is_empty or not len(grid.index):
        return
    along = [
        list(_spans(positions, step))
        for positions, step in zip(selection.ranges, grid.chunks, strict=True)
        if positions is not None
    ]
    first = [list(_point_spans(selection, grid))] if selection.points else []
    ranged = [axis for axis in range(len(grid.shape)) if axis not in selection.points]
    axes = (*selection.points, *ranged)
    for spans in itertools.product(*first, *along):
        at = dict(zip(axes, itertools.chain.from_iterable(s.at for s in spans), strict=True))
        place = [at[axis] for axis in range(len(axes))]
        yield Piece(
            _number(place, grid.n_along),
            tuple(
                min(step, size - i * step)
                for i, step, size in zip(place, grid.chunks, grid.shape, strict=True)
            ),
            axes,
            tuple(itertools.chain.from_iterable(s.source for s in spans)),
            tuple(itertools.chain.from_iterable(s.target for s in spans)),
        )


def _spans(positions: range, step: int) -> Iterator[_Span]:
    """Yield each chunk along one axis that has some of the `positions`."""
    if positions.step <= step:
        touched = iter(range(positions[0] // step, positions[-1] // step + 1))
    else:
        touched = (position // step for position in positions)
    for at in touched:
        begin = max(0, -(-(at * step - positions.start) // positions.step))
        end = min(len(positions), -(-((at + 1) * step - positions.start) // positions.step))
        first = positions[begin] - at * step
        last = positions[end - 1] - at * step
        source = slice(first, last + 1, positions.step if end - begin > 1 else 1)
        yield _Span((at,), (source,), (slice(begin, end),))


def _point_spans(selection: Selection, grid: Grid) -> Iterator[_Span]:
    """Yield each chunk along the axes of points that has some of them."""
    steps = [grid.chunks[axis] for axis in selection.points]
    n_along = [grid.n_along[axis] for axis in selection.points]
    places = [c // step for c, step in zip(selection.points.values(), steps, strict=True)]
    numbers = np.ravel_multi_index(places, n_along)
    order = np.argsort(numbers, kind="stable")
    for points in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        at = tuple(int(place[points[0]]) for place in places)
        source = tuple(
            coordinates[points] - i * step
            for coordinates, i, step in zip(selection.points.values(), at, steps, strict=True)
        )
        yield _Span(at, source, (points,))


def _number(place: list[int], n_along: tuple[int, ...]) -> int:
    number = 0
    for i, n in zip(place, n_along, strict=True):
        number = number * n + i
    return number
