"""Bytes at rest."""

from __future__ import annotations
