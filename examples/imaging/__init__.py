"""Calcium imaging: from the microscope's file to the activity of each cell."""

from __future__ import annotations
