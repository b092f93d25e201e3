"""The example for workers, declared when imported: `djq up examples.merge.workers`."""

from __future__ import annotations

from examples.merge import common, lfp, sorting
from examples.merge.pipeline import activate

activate()

#: The schemas, by names at which `djq` finds them.
common_schema, lfp_schema, sorting_schema = (m.schema for m in (common, lfp, sorting))
