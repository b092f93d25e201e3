"""All schemas of the example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.merge import common, lfp, sorting

if TYPE_CHECKING:
    import djq as dj

#: Upstream first.
SCHEMAS = (common.schema, lfp.schema, sorting.schema)


def activate(prefix: str = "merge_", connection: dj.Connection | None = None) -> None:
    """Declare all tables; the names of their schemas begin with `prefix`."""
    common.schema.activate(f"{prefix}common", connection=connection)
    lfp.schema.activate(f"{prefix}lfp", connection=connection)
    sorting.schema.activate(f"{prefix}sorting", connection=connection)
