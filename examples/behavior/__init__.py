"""Mice that decide: a colony, its training sessions, and how the animals learn."""

from __future__ import annotations
