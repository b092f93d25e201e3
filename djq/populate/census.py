"""What the fleet has in hand: asked of the orchestrator, by name, where Redis is known."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from djq.settings import Settings

#: This layer does not know Redis.
LOOK = "djq.orchestrator.census:look"


@dataclass(frozen=True, slots=True)
class Census:
    """One look at the fleet; without one, nobody is there and nothing is in hand."""

    #: Chunks that its processes work on at the same time.
    slots: int = 0
    #: Display name of a table -> ids of its keys that are being made.
    reserved: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"])


def take_census(settings: Settings) -> Census:
    """Look at the fleet that the settings name."""
    look = cast("Callable[[Settings], Census]", pkgutil.resolve_name(LOOK))
    return look(settings)
