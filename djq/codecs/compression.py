"""Frames: a checked header and a row of compressed chunks.

Chunks are Blosc2 chunks, but the frame around them is djq's own: the C library reads a hostile
Blosc2 *frame* out of bounds and takes the process down, whereas a single chunk whose header was
checked first fails with an error (docs/decisions/0003-blob-format.md has the measurement). The
layout is described in docs/blob-format.md.
"""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import xxhash

from djq.codecs import messagepack
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

MAGIC: Final = b"djq"
VERSION: Final = 1
#: magic, version, kind, three zeros, length of the head, checksum of all before and of the head.
PREFIX: Final = struct.Struct("<3sBc3sIQ")
_CHECKED: Final = PREFIX.size - 8
#: Of lists in the head: the fields of a structured dtype, or the attached arrays of a value.
_MAX_HEAD_LENGTH: Final = 1 << 20

#: Beyond this size fresh pages cost more than compression: half the speed at 50 MB [bytes].
CHUNK_BYTES: Final = 4 << 20
#: A reader refuses chunks larger than this, unless one element is [bytes].
MAX_CHUNK_BYTES: Final = 16 << 20
#: Blosc2 counts bytes in 32 bits and adds a header [bytes].
MAX_ITEM_BYTES: Final = (1 << 31) - (1 << 10)
#: Below this a Blosc2 header costs more than compression saves [bytes].
MIN_COMPRESSED_BYTES: Final = 128
#: Of numbers, by which the method for all of them is chosen [bytes].
SAMPLE_BYTES: Final = 128 << 10
#: Blosc2 keeps the element size in one byte.
_MAX_TYPESIZE: Final = 255
#: Threads would start anew for each chunk and do not survive a fork; the fleet has a process per
#: core instead.
N_THREADS: Final = 1

#: Of each chunk: its stored size [bytes] and checksum.
INDEX: Final = np.dtype([("stored", "<u4"), ("checksum", "<u8")])


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose head was verified; its body was not looked at."""

    kind: bytes
    head: Mapping[str, Any]
    body: memoryview


@dataclass(frozen=True, slots=True)
class Chunks:
    """Compressed chunks and the index that tells where each lies and how to verify it."""

    index: bytes
    parts: Sequence[bytes]


def write_frame(kind: bytes, head: Mapping[str, Any], body: Sequence[bytes]) -> list[bytes]:
    """Return the parts of a frame, to be joined or streamed.

    Raises
    ------
    CodecError
        The head is larger than 4 GB.
    """
    packed = messagepack.pack(head)
    if len(packed) >= 1 << 32:
        message = "the index of this value exceeds 4 GB"
        raise CodecError(message)
    unchecked = PREFIX.pack(MAGIC, VERSION, kind, b"\0\0\0", len(packed), 0)[:_CHECKED]
    checksum = xxhash.xxh3_64_intdigest(unchecked + packed)
    return [unchecked + checksum.to_bytes(8, "little") + packed, *body]


def read_frame(data: memoryview, keys: Mapping[bytes, frozenset[str]]) -> Frame:
    """Verify the header of a frame and return its parts without copying the body.

    Parameters
    ----------
    data
        The whole frame.
    keys
        The names that the head of each kind must have; other kinds are refused.

    Raises
    ------
    CodecError
        These bytes are no frame, are cut off or damaged, or need a newer djq.
    """
    if len(data) < PREFIX.size:
        message = f"these {len(data)} bytes are not a djq blob: the header alone has {PREFIX.size}"
        raise CodecError(message)
    magic, version, kind, zeros, n_head, checksum = PREFIX.unpack_from(data)
    if magic != MAGIC:
        message = f"these bytes are not a djq blob: they begin with {bytes(data[:4])!r}"
        raise CodecError(message)
    if version != VERSION or kind not in keys or any(zeros):
        message = (
            f"blob of version {version} and kind {kind!r}: this djq reads version {VERSION} "
            f"and kinds {b', '.join(sorted(keys))!r}; update djq"
        )
        raise CodecError(message)
    packed = data[PREFIX.size : PREFIX.size + n_head]
    digest = xxhash.xxh3_64(data[:_CHECKED])
    digest.update(packed)
    if len(packed) != n_head or digest.intdigest() != checksum:
        message = "the header of this blob is damaged or cut off: its checksum does not match"
        raise CodecError(message)
    head = _unpack_head(packed)
    if head.keys() != keys[kind]:
        unknown = ", ".join(sorted(map(str, head.keys() ^ keys[kind])))
        message = f"blob with unknown or missing header fields ({unknown[:80]}); update djq"
        raise CodecError(message)
    return Frame(kind, head, data[PREFIX.size + n_head :])


def _unpack_head(packed: memoryview) -> dict[str, Any]:
    try:
        head: Any = messagepack.unpack(packed, max_length=_MAX_HEAD_LENGTH)
    except (ValueError, TypeError, messagepack.UnpackError) as error:
        message = "the header of this blob cannot be read"
        raise CodecError(message) from error
    if not isinstance(head, dict):
        message = "the header of this blob is not a map"
        raise CodecError(message)
    return cast("dict[str, Any]", head)


@dataclass(frozen=True, slots=True)
class Method:
    """How chunks are compressed: what readers find in the header of each, and need not be told."""

    codec: str
    level: int
    filter: str
    #: What the filter takes for one element [bytes].
    typesize: int = 1


#: Bytes and texts; Blosc2 does not skip the shuffle by itself, which would take 4 times longer in
#: and 13 times longer out.
PLAIN: Final = Method("ZSTD", 1, "NOFILTER")


def shuffled(typesize: int) -> Method:
    """Return the method for elements of several bytes: the smallest of the fast ones."""
    if not 1 < typesize <= _MAX_TYPESIZE:
        return PLAIN
    return Method("ZSTD", 1, "SHUFFLE", typesize)


def numbers(typesize: int, sample: NDArray[np.uint8]) -> Method:
    """Return the method for numbers of several bytes, of which some bytes are given.

    Noisy ones, as instruments record them, become as small by LZ4 behind a shuffle, which takes
    half the time in and out: of bytes if that makes them as small as one of bits, which takes half
    as long again. Where Zstandard saves a third or more (few values, many zeros), it is taken:
    docs/decisions/0003-blob-format.md has the figures.
    """
    thorough = shuffled(typesize)
    if thorough == PLAIN or sample.size < SAMPLE_BYTES:
        return thorough
    middle = (sample.size - SAMPLE_BYTES) // 2 // typesize * typesize
    part = sample[middle : middle + SAMPLE_BYTES]
    of_bytes, of_bits = (Method("LZ4", 5, f, typesize) for f in ("SHUFFLE", "BITSHUFFLE"))
    size = {m: len(_compress_chunk(part, m)) for m in (of_bytes, of_bits, thorough)}
    quick = of_bytes if 50 * size[of_bytes] <= 51 * size[of_bits] else of_bits
    return thorough if 3 * size[thorough] <= 2 * size[quick] else quick


def compress(
    raws: Iterable[NDArray[np.uint8]],
    method: Method = PLAIN,
    *,
    least: int = MIN_COMPRESSED_BYTES,
    max_ratio: int | None = None,
) -> Chunks:
    """Compress each of `raws` as one chunk.

    Parameters
    ----------
    raws
        One-dimensional contiguous bytes of each chunk.
    method
        How; chunks that would grow are stored as they are.
    least
        Smaller chunks are stored as they are [bytes].
    max_ratio
        Pad chunks that shrink by more, so that a reader may take such a ratio for an attack.
    """
    parts: list[bytes] = []
    for raw in raws:
        part = _compress_chunk(raw, method) if raw.size >= least else raw.tobytes()
        if max_ratio is not None and len(part) * max_ratio < raw.size:
            part += bytes(-(-raw.size // max_ratio) - len(part))
        parts.append(part)
    index = np.array([(len(part), xxhash.xxh3_64_intdigest(part)) for part in parts], dtype=INDEX)
    return Chunks(index.tobytes(), parts)


@lru_cache(maxsize=1)
def library() -> Any:  # noqa: ANN401 - it has no type stubs
    """Return Blosc2, loaded when it is first needed: that takes half a second and 20 MB."""
    return importlib.import_module("blosc2")


def _compress_chunk(raw: NDArray[np.uint8], method: Method) -> bytes:
    blosc2 = library()
    compressed: bytes = blosc2.compress2(
        raw,
        codec=blosc2.Codec[method.codec],
        clevel=method.level,
        typesize=method.typesize,
        filters=[blosc2.Filter[method.filter]],
        filters_meta=[0],
        nthreads=N_THREADS,
    )
    return compressed if len(compressed) < raw.size else raw.tobytes()
