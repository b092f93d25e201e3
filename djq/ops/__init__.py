"""For people who run it: the `djq` command, the local stack, progress and diagnosis."""

from __future__ import annotations
