"""The verbs of the `djq` command, one module per noun; `djq/ops/cli.py` lists them."""

from __future__ import annotations
