"""What an index picks from an array, by NumPy's rules, as positions along each axis; pure."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, TypeAlias, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    #: Whatever stands between the brackets.
    Index: TypeAlias = Any

_NOTHING: Final = np.zeros((), "V0")


class UnusualIndexError(Exception):
    """NumPy has a meaning for this index, which needs the whole array."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The elements that an index picks.

    What is read has an axis of all points first, if `points` are there, and then those of `ranges`
    that are not None. `finish` makes NumPy's result of it.
    """

    shape: tuple[int, ...]
    #: Ascending positions along each axis; None where `points` tell them.
    ranges: tuple[range | None, ...]
    #: For each axis that is indexed by arrays, the position of each point.
    points: dict[int, NDArray[np.intp]]
    #: The index that is applied to what was read, once its axes are those of the array.
    final: tuple[Index, ...]

    @classmethod
    def of(cls, index: Index, shape: tuple[int, ...]) -> Selection:
        """Return what `index` picks from an array of `shape`.

        Raises
        ------
        IndexError
            NumPy would raise it, with these words.
        UnusualIndexError
            The index names fields, or has a single bool.
        """
        given: tuple[Index, ...] = index if isinstance(index, tuple) else (index,)
        items = [_plain(item) for item in given]
        # Elements without bytes cost nothing: NumPy itself says what is wrong.
        np.broadcast_to(_NOTHING, shape)[index]
        return _select([*_expanded(items, len(shape))], shape)

    @property
    def read_shape(self) -> tuple[int, ...]:
        """The shape of what is read."""
        lengths = tuple(len(each) for each in self.ranges if each is not None)
        return (self.n_points, *lengths) if self.points else lengths

    @property
    def n_points(self) -> int:
        """How many points there are."""
        return next((each.size for each in self.points.values()), 0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is read."""
        return not math.prod(self.read_shape)

    def finish(self, read: NDArray[Any]) -> Any:  # noqa: ANN401 - an array, or one element
        """Return NumPy's result of what was read."""
        if self.points:
            others = iter(range(len(self.points), len(self.shape)))
            axes = {axis: i for i, axis in enumerate(self.points)}
            order = [axes[a] if a in axes else next(others) for a in range(len(self.shape))]
            ones = (1,) * (len(self.points) - 1)
            read = read.reshape(read.shape[:1] + ones + read.shape[1:]).transpose(order)
        return read[self.final]


def _plain(item: Index) -> Index:
    """Return an item of an index as None, ..., a slice, an int or an array."""
    if item is None or item is ... or isinstance(item, slice):
        return item  # pyright: ignore[reportUnknownVariableType] # a slice of anything
    if isinstance(item, str | bool | np.bool_):
        raise UnusualIndexError
    if hasattr(item, "__index__") and not isinstance(item, np.ndarray):
        return operator.index(cast("SupportsIndex", item))
    array: NDArray[Any] = np.asarray(cast("object", item))
    if array.dtype.kind in "US" or (array.dtype.kind == "b" and array.ndim == 0):
        raise UnusualIndexError
    if array.dtype.kind in "iu" and array.ndim == 0:
        return int(array)
    if array.size == 0 and not isinstance(item, np.ndarray):
        return array.astype(np.intp)
    return array


def _expanded(items: list[Index], n_axes: int) -> Iterator[Index]:
    """Yield the items with ... written out as slices, and masks as the places where they are True.

    An ellipsis stays in place of no axis, since it may part arrays; so do new axes.
    """
    rest: list[Index] = [slice(None)] * (n_axes - sum(_n_axes(item) for item in items))
    if not any(item is ... for item in items):
        items, rest = [*items, *rest], []
    for item in items:
        if item is ...:
            yield from rest or [...]
        elif _is_mask(item):
            yield from item.nonzero()
        else:
            yield item


def _n_axes(item: Index) -> int:
    if item is None or item is ...:
        return 0
    return cast("int", item.ndim) if _is_mask(item) else 1


def _is_mask(item: Index) -> bool:
    return isinstance(item, np.ndarray) and cast("NDArray[Any]", item).dtype.kind == "b"


def _select(items: list[Index], shape: tuple[int, ...]) -> Selection:
    arrays: list[NDArray[Any]] = [item for item in items if isinstance(item, np.ndarray)]
    common = np.broadcast_shapes(*(array.shape for array in arrays)) if arrays else ()
    ranges: list[range | None] = []
    points: dict[int, NDArray[np.intp]] = {}
    final: list[Index] = []
    for item in items:
        if item is None or item is ...:
            final.append(item)
            continue
        size = shape[len(ranges)]
        if isinstance(item, np.ndarray):
            given = np.broadcast_to(cast("NDArray[Any]", item), common).reshape(-1).astype(np.intp)
            # All axes of points but the first have one place, that of the point itself.
            place = np.zeros(common, np.intp) if points else _numbers(common)
            points[len(ranges)] = np.where(given < 0, given + size, given)
            final.append(place)
            ranges.append(None)
        elif isinstance(item, slice):
            found = range(size)[item]
            final.append(slice(None, None, -1) if found.step < 0 else slice(None))
            ranges.append(found[::-1] if found.step < 0 else found)
        else:
            at = item + size if item < 0 else item
            final.append(0)
            ranges.append(range(at, at + 1))
    return Selection(shape, tuple(ranges), points, tuple(final))


def _numbers(shape: tuple[int, ...]) -> NDArray[np.intp]:
    return np.arange(math.prod(shape), dtype=np.intp).reshape(shape)
