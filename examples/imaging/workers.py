"""The example for workers, declared when imported: `djq up examples.imaging.workers`."""

from __future__ import annotations

from examples.imaging import imaging, scan
from examples.imaging.pipeline import activate

activate()

#: The schemas, by names at which `djq` finds them.
scan_schema, imaging_schema = (m.schema for m in (scan, imaging))
