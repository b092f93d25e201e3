"""The test suite; `tests/support` holds what its parts share."""

from __future__ import annotations
