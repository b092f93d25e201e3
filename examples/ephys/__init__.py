"""Spikes of a multi-electrode probe: from the implant to the quality of each unit."""

from __future__ import annotations
