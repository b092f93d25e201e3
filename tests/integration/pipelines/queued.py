"""A pipeline whose tables need different workers."""

from __future__ import annotations

import os

import djq as dj

schema = dj.Schema(os.environ["TEST_SCHEMA"])


@schema
class Number(dj.Manual):
    definition = """
    number : int32
    """


@schema
class Light(dj.Computed):
    definition = """
    -> Number
    ---
    made_by : varchar(40)
    """

    def make(self, key):
        self.insert1(key | {"made_by": os.environ.get("TEST_WORKER", "nobody")})


@schema
class Heavy(dj.Computed):
    populate_options = dj.PopulateOptions(gpu=1, limits=("licence",))
    definition = """
    -> Number
    ---
    made_by : varchar(40)
    """

    def make(self, key):
        self.insert1(key | {"made_by": os.environ.get("TEST_WORKER", "nobody")})
