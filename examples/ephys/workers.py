"""The example for workers, declared when imported: `djq up examples.ephys.workers`."""

from __future__ import annotations

from examples.ephys import ephys, lab, probe, report
from examples.ephys.pipeline import activate

activate()

#: The schemas, by names at which `djq` finds them.
probe_schema, lab_schema, ephys_schema, report_schema = (
    m.schema for m in (probe, lab, ephys, report)
)
