"""Fixtures of the tests with real workers."""

from __future__ import annotations

from tests.integration.fleet import fleet

__all__ = ["fleet"]
