"""Blobs that no writer makes, with every checksum right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xxhash

from djq.codecs import messagepack
from djq.codecs.compression import CHUNK_BYTES, PREFIX, compress, write_frame

if TYPE_CHECKING:
    import random

INDEX = np.dtype([("stored", "<u4"), ("checksum", "<u8")])


def index(*parts: bytes) -> bytes:
    """Return the index of chunks that are stored as they are."""
    rows = [(len(part), xxhash.xxh3_64_intdigest(part)) for part in parts]
    return np.array(rows, dtype=INDEX).tobytes()


def frame(kind: bytes, head: object, *parts: bytes) -> bytes:
    """Return a frame with any head."""
    return b"".join(write_frame(kind, head, parts))


def array_blob(*parts: bytes, **head: object) -> bytes:
    """Return a blob of kind A; what `head` leaves out is that of 4 bytes."""
    usual = {"dtype": "|u1", "shape": [4], "chunks": [4], "index": index(*parts)}
    return frame(b"A", usual | head, *parts)


def messagepack_blob(payload: bytes, *attached: bytes, **head: object) -> bytes:
    """Return a blob of kind M that holds any bytes as its MessagePack part, compressed."""
    raw = np.frombuffer(payload, dtype=np.uint8)
    pieces = [raw[start : start + CHUNK_BYTES] for start in range(0, raw.size, CHUNK_BYTES)]
    chunks = compress(pieces, max_ratio=64)
    usual = {
        "size": raw.size,
        "chunk": CHUNK_BYTES,
        "index": chunks.index,
        "arrays": [len(each) for each in attached],
    }
    return frame(b"M", usual | head, *chunks.parts, *attached)


def mutate(blob: bytes, chance: random.Random) -> bytes:
    """Change a few bytes of a blob and make its checksums right again."""
    changed = bytearray(blob)
    for _ in range(chance.choice([1, 1, 2, 4])):
        near = chance.random() < 0.4
        place = chance.randrange(min(250, len(changed)) if near else len(changed))
        bit = 1 << chance.randrange(8)
        changed[place] = chance.choice([0, 127, 255, chance.randrange(256), changed[place] ^ bit])
    return _with_checksums(changed)


def _with_checksums(blob: bytearray) -> bytes:
    n_head = int.from_bytes(blob[8:12], "little")
    stop = PREFIX.size + n_head
    try:
        head = messagepack.unpack(bytes(blob[PREFIX.size : stop]), max_length=1 << 20)
        table = np.frombuffer(head["index"], dtype=INDEX).copy()
        start = stop
        for row in table:
            part = bytes(blob[start : start + int(row["stored"])])
            row["checksum"] = xxhash.xxh3_64_intdigest(part)
            start += len(part)
        packed = messagepack.pack(head | {"index": table.tobytes()})
        if len(packed) == n_head:
            blob[PREFIX.size : stop] = packed
    except (ValueError, TypeError, KeyError, messagepack.UnpackError):
        # The head itself was hit: there is no index to repair.
        pass
    checked = PREFIX.size - 8
    digest = xxhash.xxh3_64(bytes(blob[:checked]) + bytes(blob[PREFIX.size : stop]))
    blob[checked : PREFIX.size] = digest.intdigest().to_bytes(8, "little")
    return bytes(blob)
