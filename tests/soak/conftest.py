"""Fixtures of the soak."""

from __future__ import annotations

from tests.integration.fleet import fleet

__all__ = ["fleet"]
