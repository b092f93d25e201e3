"""Print every row of the example's tables as JSON; with arguments, fill and compute them first.

python blobs_rows.py [insert|populate] [PICTURE...]
"""

from __future__ import annotations

import hashlib
import json
import sys

from examples.blobs import pipeline

COMPUTED = (pipeline.Tile, pipeline.Detection, pipeline.ImageSummary)


def plain(value: object) -> object:
    """An array as its shape, type and digest."""
    if not hasattr(value, "tobytes"):
        return value
    return [list(value.shape), str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()]


def main(action: str = "dump", *pictures: str) -> None:
    if action != "dump":
        pipeline.insert_images(pictures or tuple(pipeline.PICTURES))
    if action == "populate":
        for table in COMPUTED:
            table.populate()
    tables = (pipeline.Image, *COMPUTED, pipeline.Detection.Blob)
    rows = {
        table.spec.display_name: sorted(
            [plain(value) for value in row.values()] for row in table.to_dicts()
        )
        for table in tables
    }
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
