"""One output, several pipelines: tables that stand for rows of different origin."""

from __future__ import annotations
