"""A failing list made short: delta debugging (Zeller and Hildebrandt 2002, "ddmin")."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def shrink(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return a part of `items`, in order, that still fails and of which no single item can go."""
    kept, n_parts = list(items), 2
    while kept:
        size = max(1, len(kept) // n_parts)
        rests = (kept[:i] + kept[i + size :] for i in range(0, len(kept), size))
        rest = next((rest for rest in rests if fails(rest)), None)
        if rest is not None:
            kept, n_parts = rest, max(2, n_parts - 1)
        elif size == 1:
            break
        else:
            n_parts = min(len(kept), 2 * n_parts)
    return kept
