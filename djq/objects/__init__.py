"""Codecs of what lies in stores, and the handles that they return."""

from __future__ import annotations
