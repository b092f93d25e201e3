"""The pipeline of `populate.py`: a make that reads one row and inserts one.

Its text is DataJoint's, too; `BENCH_LIBRARY` names which of both is meant. With `BENCH_MANY` set,
one make reads and inserts the rows of many keys.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

dj: Any = importlib.import_module(os.environ.get("BENCH_LIBRARY", "djq"))

schema = dj.Schema(os.environ["BENCH_SCHEMA"])


@schema
class Sample(dj.Manual):
    """What is given."""

    definition = """
    sample : int32
    ---
    value : float64
    """


@schema
class Doubled(dj.Computed):
    """What is made."""

    definition = """
    -> Sample
    ---
    doubled : float64
    """

    def make(self, key: dict[str, Any]) -> None:
        """Read a row and insert one."""
        value = (Sample & key).fetch1("value")
        self.insert1({**key, "doubled": 2 * value})

    if os.environ.get("BENCH_MANY"):

        def make_many(self, keys: list[dict[str, Any]]) -> None:
            """Read many rows and insert as many."""
            rows = (Sample & keys).to_dicts()
            self.insert({"sample": r["sample"], "doubled": 2 * r["value"]} for r in rows)
