"""The example for workers, declared when imported: `djq up examples.behavior.workers`."""

from __future__ import annotations

from examples.behavior import acquisition, analysis, colony
from examples.behavior.pipeline import activate

activate()

#: The schemas, by names at which `djq` finds them.
colony_schema, acquisition_schema, analysis_schema = (
    m.schema for m in (colony, acquisition, analysis)
)
