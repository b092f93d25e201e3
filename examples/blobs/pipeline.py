"""The tables of the demo: pictures are cut into tiles, and blobs are found in each tile.

    Image ──┬── Tile ──┬── Detection ──── ImageSummary
    Position ┘         │      └─ Blob (part)
    ParamSet ──────────┘

The pictures are real, and lie inside of scikit-image's wheel: nothing is downloaded.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import skimage.color
import skimage.data
import skimage.feature
import skimage.util

import djq as dj

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Edge of a tile [px]; it cuts the pictures below without slivers at their edges.
TILE = 112

#: Pictures of scikit-image's wheel, and whether their blobs are darker than the ground.
PICTURES = {
    "hubble_deep_field": False,
    "immunohistochemistry": True,
    "cell": False,
    "moon": False,
    "coins": False,
    "microaneurysms": True,
}

schema = dj.Schema("blobs")


@schema
class Image(dj.Manual):
    definition = """
    # A picture that scikit-image ships
    image_id : int16
    ---
    name     : varchar(64)   # function in skimage.data
    height   : int32         # px
    width    : int32         # px
    is_dark  : bool          # blobs are darker than the ground
    """


@schema
class Position(dj.Lookup):
    definition = """
    # Where a tile can lie in a picture
    tile_row : int16
    tile_col : int16
    """
    contents = [(row, col) for row in range(8) for col in range(9)]


@schema
class Tile(dj.Imported):
    definition = """
    # Part of a picture; tiles do not overlap
    -> Image
    -> Position
    ---
    pixels : <blob@tiles>    # (height, width) uint8, blobs bright
    """

    @property
    def key_source(self) -> dj.Query:
        # Only positions that lie in the picture.
        inside = f"tile_row * {TILE} < height AND tile_col * {TILE} < width"
        return (Image * Position) & inside

    def make(self, key: dict[str, Any]) -> None:
        name, is_dark = (Image & key).fetch1("name", "is_dark")
        top, left = key["tile_row"] * TILE, key["tile_col"] * TILE
        pixels = read_gray(name)[top : top + TILE, left : left + TILE]
        self.insert1({**key, "pixels": 255 - pixels if is_dark else pixels})


@schema
class ParamSet(dj.Lookup):
    definition = """
    # What counts as a blob
    paramset  : int16
    ---
    label     : varchar(16)
    min_sigma : float64      # px
    max_sigma : float64      # px
    threshold : float64      # of the scale-space response, full scale is 1
    """
    contents = [
        (0, "fine", 1.0, 2.5, 0.12),
        (1, "medium", 2.5, 6.0, 0.13),
        (2, "coarse", 6.0, 16.0, 0.15),
    ]


@schema
class Detection(dj.Computed):
    definition = """
    # Blobs of one tile
    -> Tile
    -> ParamSet
    ---
    n_blobs : int32
    """

    class Blob(dj.Part):
        definition = """
        # Maximum of the Laplacian of Gaussian over position and scale
        -> master
        blob   : int32
        ---
        x      : float64     # px in the picture
        y      : float64     # px in the picture
        radius : float64     # px
        """

    def make(self, key: dict[str, Any]) -> None:
        pixels = (Tile & key).fetch1("pixels")
        low, high, threshold = (ParamSet & key).fetch1("min_sigma", "max_sigma", "threshold")
        found = skimage.feature.blob_log(
            pixels, min_sigma=low, max_sigma=high, num_sigma=8, threshold=threshold
        )
        top, left = key["tile_row"] * TILE, key["tile_col"] * TILE
        self.insert1({**key, "n_blobs": len(found)})
        self.Blob.insert(
            # Radius of a disc that answers most at sigma: sigma * sqrt(2) in two dimensions.
            {**key, "blob": i, "x": left + x, "y": top + y, "radius": sigma * math.sqrt(2)}
            for i, (y, x, sigma) in enumerate(found.tolist())
        )


@schema
class ImageSummary(dj.Computed):
    definition = """
    # Blobs of a whole picture
    -> Image
    -> ParamSet
    ---
    n_tiles            : int32
    n_blobs            : int32
    mean_radius = null : float64   # px; null where there is no blob
    density            : float64   # blobs per megapixel
    """

    @property
    def key_source(self) -> dj.Query:
        # Due when no tile of the picture waits for its detection any more.
        waiting = Tile().key_source.proj() * ParamSet.proj() - Detection
        return Image.proj() * ParamSet.proj() - waiting

    def make(self, key: dict[str, Any]) -> None:
        height, width = (Image & key).fetch1("height", "width")
        counts = (Detection & key).fetch("n_blobs")
        radii = (Detection.Blob & key).fetch("radius")
        n_blobs = int(np.sum(counts))
        self.insert1(
            {
                **key,
                "n_tiles": len(counts),
                "n_blobs": n_blobs,
                "mean_radius": float(np.mean(radii)) if len(radii) else None,
                "density": n_blobs / (height * width / 1e6),
            }
        )


@functools.cache
def read_gray(name: str) -> np.ndarray:
    """Return a picture of scikit-image's wheel, (height, width) uint8."""
    picture = read_picture(name)
    is_gray = picture.ndim == 2  # noqa: PLR2004 - height and width, no colours
    return picture if is_gray else skimage.util.img_as_ubyte(skimage.color.rgb2gray(picture))


def read_picture(name: str) -> np.ndarray:
    """Return a picture of scikit-image's wheel as it is, gray or in colour."""
    return getattr(skimage.data, name)()


def insert_images(names: Iterable[str] = tuple(PICTURES)) -> None:
    """Insert the pictures `names`; those that are there stay as they are."""
    numbers = {name: i for i, name in enumerate(PICTURES, 1)}
    rows = [(numbers[n], n, *read_gray(n).shape, PICTURES[n]) for n in names]
    Image.insert(rows, skip_duplicates=True)
