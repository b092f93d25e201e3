"""A user's pipeline, as type checkers see it: read by them, never run."""

# pyright: reportUnknownMemberType=false
# pandas and Arrow bring no types of their own; who wants them installs their stubs.

from __future__ import annotations

from typing import Any, ClassVar, assert_type

import numpy as np
from numpy.typing import NDArray

import djq as dj

schema = dj.Schema("typed")


@schema
class Image(dj.Manual):
    definition: str = """
    image : int32
    ---
    name : varchar(20)
    pixels : <blob>
    """

    scale: ClassVar[float] = 2.0

    def title(self) -> str:
        return str(self.fetch1("name"))


@schema
class Mean(dj.Computed):
    definition: str = """
    -> Image
    ---
    mean : float64
    """

    class Piece(dj.Part):
        definition: str = """
        -> master
        piece : int8
        """

    def make(self, key: dict[str, Any]) -> None:
        pixels = (Image & key).fetch1("pixels")
        self.insert1({**key, "mean": float(pixels.mean())})


# Classes and instances are one.
assert_type(Image & {"image": 1}, Image)
assert_type(Image() & "image > 1", Image)
assert_type(Image - Mean, Image)
assert_type(Image * Mean, dj.Query)
assert_type(Image() * Mean, dj.Query)
assert_type(Image.proj("name"), dj.Query)
assert_type(Image().proj(..., big="image * 2"), dj.Query)
assert_type(Image.aggr(Mean.Piece, n="count(*)"), dj.Query)
assert_type((Image & "image = 1").title(), str)
assert_type(len(Image), int)
assert_type({"image": 1} in Image, bool)

# One row.
assert_type(Image.fetch1(), dict[str, Any])
assert_type((Image & {"image": 1}).fetch1(), dict[str, Any])
assert_type(Image.fetch1("KEY"), dict[str, Any])
assert_type(Image.fetch1("KEY", "name"), tuple[Any, ...])
assert_type(Image().fetch1("name", "pixels", squeeze=True), tuple[Any, ...])
value: str = Image.fetch1("name")
pixels, name = (Image & "image = 1").fetch1("pixels", "name")

# All rows.
assert_type(Image.to_dicts(order_by="KEY", limit=3), list[dict[str, Any]])
assert_type((Image * Mean).to_dicts(order_by=["image DESC", "mean"]), list[dict[str, Any]])
assert_type(Image.keys(), list[dict[str, Any]])
assert_type(Image.head(3), list[dict[str, Any]])
assert_type(Image().tail(), list[dict[str, Any]])
for row in Image:
    assert_type(row, dict[str, Any])
for row in Image.proj():
    assert_type(row, dict[str, Any])
assert_type(Image.fetch(), NDArray[np.void])
assert_type(Image.fetch(order_by="KEY", limit=1, offset=2), NDArray[np.void])
assert_type(Image.fetch("name"), NDArray[Any])
assert_type(Image.fetch("KEY"), list[dict[str, Any]])
assert_type(Image.fetch("KEY", "name"), list[Any])
assert_type(Image.fetch(as_dict=True), list[dict[str, Any]])
assert_type(Image.fetch("name", as_dict=True), list[dict[str, Any]])
assert_type(Image().fetch("image", "name", as_dict=True, limit=2), list[dict[str, Any]])
assert_type(Image.to_arrays(), NDArray[np.void])
assert_type(Image.to_arrays("image"), NDArray[Any])
assert_type(Image.to_arrays("image", "name"), tuple[NDArray[Any], ...])
assert_type(Image.to_arrays("image", include_key=True), tuple[Any, ...])
assert_type(Image.to_polars().height, int)
assert_type(Image.make_sql(), str)
assert_type(Image.preview(limit=3), str)
frame = Image.to_pandas(order_by="KEY")
same_frame = Image.fetch(format="frame")
