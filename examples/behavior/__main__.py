"""Declare the example on the configured database, fill it, and say what is in it."""

from __future__ import annotations

from examples.behavior.fill import fill
from examples.behavior.pipeline import activate

if __name__ == "__main__":
    activate()
    for table, n_rows in fill().items():
        print(f"{n_rows:6}  {table}")
