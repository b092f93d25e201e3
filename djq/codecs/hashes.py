"""Dicts and sets from hostile bytes: elements of one hash would take time with their square."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from djq.codecs.messagepack import Value

#: Honest ones share a hash with a few others: -1 and -2 do, and so do tuples that differ in those.
#: 33 kB of chosen integers took 1.5 s, and ten times as many bytes take a hundred times as long.
MAX_EQUAL_HASHES: Final = 1000


def to_dict(pairs: Sequence[tuple[Value, Value]]) -> dict[Value, Value]:
    """Return the dict of these keys and values.

    Raises
    ------
    ValueError
        More than `MAX_EQUAL_HASHES` keys have the same hash.
    TypeError
        A key has none.
    """
    if len(pairs) > MAX_EQUAL_HASHES:
        _check(key for key, _ in pairs)
    return dict(pairs)


def to_set(items: Sequence[Value]) -> set[Value]:
    """Return the set of these elements, or fail as `to_dict` does."""
    if len(items) > MAX_EQUAL_HASHES:
        _check(items)
    return set(items)


def _check(keys: Iterable[Value]) -> None:
    ((_, n_equal),) = Counter(map(hash, keys)).most_common(1)
    if n_equal > MAX_EQUAL_HASHES:
        message = f"{n_equal} keys or elements of sets share a hash"
        raise ValueError(message)
