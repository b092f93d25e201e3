"""Functions of MySQL that SQLite lacks or has in another way, as Python on each connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djq.sql.embedded import aggregates, jsons, numbers, texts, times
from djq.sql.embedded.failing import remembering

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

_PREFIX = "djq_"


def _strict(compute: Callable[..., Value]) -> Callable[..., Value]:
    """Return a function that is null where an argument is."""

    def call(*arguments: Value) -> Value:
        return None if None in arguments else compute(*arguments)

    return call


_FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    **{
        name: (n, remembering(name, _strict(compute)))
        for module in (numbers, texts, times, jsons)
        for name, (n, compute) in module.FUNCTIONS.items()
    },
    **{
        name: (n, remembering(name, compute))
        for name, (n, compute) in {**texts.NULLABLE, **jsons.NULLABLE}.items()
    },
}


def register(raw: Any) -> None:  # noqa: ANN401 - the driver's connection
    """Let a connection of SQLite know them all."""
    for name, (n, compute) in _FUNCTIONS.items():
        raw.create_function(_PREFIX + name, n, compute, deterministic=True)
    for name, (n, kind) in aggregates.AGGREGATES.items():
        raw.create_aggregate(_PREFIX + name, n, kind)
