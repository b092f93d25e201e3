"""Waves in a store, and their powers; `TEST_SCHEMA` names the schema."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import djq as dj

schema = dj.Schema(os.environ.get("TEST_SCHEMA", "waves"))


@schema
class Wave(dj.Manual):
    definition = """
    wave : int32
    ---
    samples : <blob@raw>
    """


@schema
class Power(dj.Computed):
    definition = """
    -> Wave
    ---
    power   : int64
    squares : <blob@raw>
    """

    def make(self, key: dict[str, Any]) -> None:
        squares = (Wave & key).fetch1("samples") ** 2
        self.insert1({**key, "power": int(np.sum(squares)), "squares": squares})
