"""How far a long look at rows and objects has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Effort:
    """What was done so far; `tell` is called with it each time that there is more."""

    tell: Callable[[Effort], object] | None = None
    #: References of rows that were read.
    n_references: int = 0
    #: Objects that were listed, or read.
    n_objects: int = 0
    n_deleted: int = 0

    def add(self, *, references: int = 0, objects: int = 0, deleted: int = 0) -> None:
        """Count more, and tell."""
        self.n_references += references
        self.n_objects += objects
        self.n_deleted += deleted
        if self.tell is not None:
            self.tell(self)

    def __str__(self) -> str:
        """Return it in words."""
        objects = f", {self.n_objects:,} objects" if self.n_objects else ""
        deleted = f", {self.n_deleted:,} deleted" if self.n_deleted else ""
        return f"{self.n_references:,} references{objects}{deleted}"
