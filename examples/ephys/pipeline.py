"""All schemas of the example, linked to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.ephys import ephys, lab, probe, report

if TYPE_CHECKING:
    import djq as dj

#: Upstream first.
SCHEMAS = (probe.schema, lab.schema, ephys.schema, report.schema)


def activate(prefix: str = "array_", connection: dj.Connection | None = None) -> None:
    """Declare all tables; the names of their schemas begin with `prefix`."""
    probe.schema.activate(f"{prefix}probe", connection=connection)
    lab.schema.activate(f"{prefix}lab", connection=connection)
    ephys.activate(f"{prefix}ephys", linking_module=lab, connection=connection)
    report.activate(f"{prefix}report", f"{prefix}ephys", connection=connection)
