"""Fixtures of the counts."""

from __future__ import annotations

from tests.integration.fleet import sums, workplace

__all__ = ["sums", "workplace"]
