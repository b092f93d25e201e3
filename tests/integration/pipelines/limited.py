"""A pipeline whose makes take more time or memory than they may; what takes it comes from outside.

`TEST_OPTIONS` are the options of the table, as JSON. A number in `TEST_STUCK` never ends and holds
the interpreter's lock, one in `TEST_SLOW` sleeps without end, one in `TEST_HOG` takes 400 MB, and
keeps them unless `TEST_HAS_ROOM` is set.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from typing import Any

import djq as dj

schema = dj.Schema(os.environ["TEST_SCHEMA"])
HOG_BYTES = 400_000_000


def _numbers(name: str) -> set[int]:
    return {int(text) for text in os.environ.get(name, "").split(",") if text}


@schema
class Number(dj.Manual):
    definition = """
    number : int32
    """


@schema
class Limited(dj.Computed):
    populate_options = dj.PopulateOptions(**json.loads(os.environ.get("TEST_OPTIONS", "{}")))
    definition = """
    -> Number
    ---
    pid : int64
    """

    def make(self, key: dict[str, Any]) -> None:
        number = key["number"]
        if number in _numbers("TEST_STUCK"):
            ctypes.PyDLL(None).sleep(600)
        if number in _numbers("TEST_SLOW"):
            time.sleep(600)
        if number in _numbers("TEST_HOG"):
            held = bytearray(b"x") * HOG_BYTES
            time.sleep(0 if "TEST_HAS_ROOM" in os.environ else 600)
            del held
        self.insert1({**key, "pid": os.getpid()})
