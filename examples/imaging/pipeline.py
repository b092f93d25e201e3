"""Both schemas of the example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.imaging import imaging, scan

if TYPE_CHECKING:
    import djq as dj

#: Upstream first.
SCHEMAS = (scan.schema, imaging.schema)


def activate(prefix: str = "calcium_", connection: dj.Connection | None = None) -> None:
    """Declare all tables; the names of their schemas begin with `prefix`."""
    scan.schema.activate(f"{prefix}scan", connection=connection)
    imaging.schema.activate(f"{prefix}imaging", connection=connection)
