"""Pipelines to read, run and start from."""

from __future__ import annotations
