"""A pipeline that shares nothing with the others."""

from __future__ import annotations

import os
from typing import Any

import djq as dj

schema = dj.Schema(f"{os.environ.get('TEST_SCHEMA', 'sums')}_other")


@schema
class Thing(dj.Manual):
    definition = "thing : int32"


@schema
class Copy(dj.Computed):
    definition = "-> Thing"

    def make(self, key: dict[str, Any]) -> None:
        self.insert1(key)
