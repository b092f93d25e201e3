"""Calls that type checkers refuse, each on a line that says so; read by them, never run."""

# pyright: reportUnusedExpression=false

from __future__ import annotations

import djq as dj


class Image(dj.Manual):
    definition: str = "image : int32"


Image.fetch1(1)  # refused
Image.fetch1(squeze=True)  # refused
Image.fetch("a", as_dcit=True)  # refused
Image.fetch(format="arrow")  # refused
Image.fetch(limit="3")  # refused
Image().to_dicts(order_by=3)  # refused
Image.to_arrays(include_keys=True)  # refused
Image.to_pandas("a", "b", 1.5)  # refused
Image.head("3")  # refused
Image.keys(offset="1")  # refused
number: int = Image.to_dicts()  # refused
table: dict[str, int] = Image.proj()  # refused
Image * 3  # refused
