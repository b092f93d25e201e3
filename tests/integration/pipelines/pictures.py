"""Numbers and pictures of them in a store.

`TEST_SCHEMA` names the schema; `TEST_MAKE_S` is how long a picture takes, between its object and
its row [s]. With `TEST_NOISE` each try makes other objects.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

import djq as dj

schema = dj.Schema(os.environ["TEST_SCHEMA"])


@schema
class Number(dj.Manual):
    definition = """
    number : int32
    """


@schema
class Picture(dj.Computed):
    definition = """
    -> Number
    ---
    picture : <blob@pictures>
    noise   : <blob@pictures>
    """

    class Piece(dj.Part):
        definition = """
        -> master
        piece : int16
        ---
        pixels : <blob@pictures>
        """

    def make(self, key: dict[str, Any]) -> None:
        number = key["number"]
        noise = os.urandom(64) if "TEST_NOISE" in os.environ else b"none"
        picture = np.full((8, 8), number, "int32")
        self.insert1({**key, "picture": picture, "noise": noise})
        time.sleep(float(os.environ.get("TEST_MAKE_S", "0")))
        self.Piece.insert({**key, "piece": i, "pixels": picture[i] + i} for i in range(3))
