"""What the parts of the suite share: servers, processes, waiting, contracts, faults."""

from __future__ import annotations
