"""Chunks of a frame, verified and decompressed one by one."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np
import xxhash

from djq.codecs.compression import INDEX, N_THREADS, library
from djq.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOSC2_HEADER: Final = struct.Struct("<BBBBIII6sBB6sBB")
_BLOSC2_VERSION: Final = 5
#: No filter, byte shuffle, bit shuffle; LZ4 and Zstandard: what writers of version 1 may use.
_FILTERS: Final = frozenset(bytes([code, 0, 0, 0, 0, 0]) for code in (0, 1, 2))
_CODECS: Final = frozenset({1, 5})
#: An ordinary chunk, and one of nothing but zeros.
_SPECIAL: Final = frozenset({0x00, 0x10})


class ChunkIndex:
    """Where the chunks of a frame lie, and what each must contain.

    Parameters
    ----------
    index
        The index from the frame's head.

    Raises
    ------
    CodecError
        The index is malformed.
    """

    def __init__(self, index: object) -> None:
        if not isinstance(index, bytes) or len(index) % INDEX.itemsize:
            message = "the chunk index of this blob is malformed"
            raise CodecError(message)
        table = np.frombuffer(index, dtype=INDEX)
        self._checksums: list[int] = table["checksum"].tolist()
        self._stops: list[int] = np.cumsum(table["stored"], dtype=np.int64).tolist()

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self._stops)

    @property
    def n_bytes(self) -> int:
        """Stored size of all chunks together [bytes]."""
        return self._stops[-1] if self._stops else 0

    def place(self, position: int) -> tuple[int, int]:
        """Return where the chunk at `position` starts and stops, from the end of the head on."""
        return self._stops[position - 1] if position else 0, self._stops[position]

    def unpack(self, position: int, stored: memoryview, out: NDArray[np.uint8]) -> None:
        """Verify the chunk at `position` and decompress it into `out`, which it must fill exactly.

        Raises
        ------
        CodecError
            The chunk is damaged.
        """
        if xxhash.xxh3_64_intdigest(stored) != self._checksums[position]:
            message = f"chunk {position} of this blob is damaged: its checksum does not match"
            raise CodecError(message)
        if len(stored) == out.size:
            out[:] = np.frombuffer(stored, dtype=np.uint8)
            return
        try:
            _check_chunk(stored, out.size)
            library().decompress2(stored, dst=out, nthreads=N_THREADS)
        except (ValueError, RuntimeError) as error:
            message = f"chunk {position} of this blob cannot be decompressed: {error}"
            raise CodecError(message) from error


class ChunkReader:
    """The chunks of one frame's body, verified as they are read.

    Parameters
    ----------
    index
        Where they lie.
    body
        The bytes after the head; may go on after the last chunk.

    Raises
    ------
    CodecError
        The index promises more bytes than there are.
    """

    def __init__(self, index: ChunkIndex, body: memoryview) -> None:
        self.index = index
        self._body = body
        if self.n_bytes > len(body):
            message = f"this blob is cut off: {len(body)} of {self.n_bytes} bytes are there"
            raise CodecError(message)

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.index)

    @property
    def n_bytes(self) -> int:
        """Stored size of all chunks together [bytes]."""
        return self.index.n_bytes

    def read(self, position: int, out: NDArray[np.uint8]) -> None:
        """Verify the chunk at `position` and decompress it into `out`, which it must fill exactly.

        Raises
        ------
        CodecError
            The chunk is damaged.
        """
        start, stop = self.index.place(position)
        self.index.unpack(position, self._body[start:stop], out)


def _check_chunk(stored: memoryview, n_raw: int) -> None:
    """Refuse what no writer makes before the C library sees it, which trusts these sizes."""
    if len(stored) < _BLOSC2_HEADER.size:
        message = "shorter than its header"
        raise ValueError(message)
    fields = _BLOSC2_HEADER.unpack_from(stored)
    (
        version,
        _,
        _,
        typesize,
        n_bytes,
        block,
        n_stored,
        filters,
        codec,
        codec_meta,
        metas,
        reserved,
        special,
    ) = fields
    is_expected = (
        version == _BLOSC2_VERSION
        and typesize > 0
        and n_bytes == n_raw
        and 0 < block <= n_raw
        and _BLOSC2_HEADER.size <= n_stored <= len(stored)
        and filters in _FILTERS
        and codec in _CODECS
        and codec_meta == 0
        and not any(metas)
        and reserved == 0
        and special in _SPECIAL
    )
    if not is_expected:
        message = "its header is not one that djq writes"
        raise ValueError(message)
