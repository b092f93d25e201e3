"""All schemas of the example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.behavior import acquisition, analysis, colony

if TYPE_CHECKING:
    import djq as dj

#: Upstream first.
SCHEMAS = (colony.schema, acquisition.schema, analysis.schema)


def activate(prefix: str = "choice_", connection: dj.Connection | None = None) -> None:
    """Declare all tables; the names of their schemas begin with `prefix`."""
    colony.schema.activate(f"{prefix}colony", connection=connection)
    acquisition.schema.activate(f"{prefix}acquisition", connection=connection)
    analysis.schema.activate(f"{prefix}analysis", connection=connection)
