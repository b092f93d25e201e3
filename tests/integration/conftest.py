"""Fixtures of the tests with real workers."""

from __future__ import annotations

from tests.integration.fleet import fleet, sums, workplace

__all__ = ["fleet", "sums", "workplace"]
