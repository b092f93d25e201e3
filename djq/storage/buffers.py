"""Bytes in memory as stores take and give them: in one piece or in parts, whole or by ranges."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

Buffer: TypeAlias = bytes | bytearray | memoryview
#: Parts are stored one after the other, and are never joined as a whole. An iterator is asked once,
#: from one thread: a file that is read while it is uploaded.
Data: TypeAlias = Buffer | Iterable[Buffer]

#: Of what is read and written piece by piece [bytes]: large enough that a request's own time does
#: not count, small enough that several fit into memory for each of several threads.
PIECE_BYTES: Final = 16 << 20
#: Ranges with less between them are read at once [bytes]: it takes a bucket as long to send this
#: as to answer a request (30 ms at 35 MB/s).
GAP_BYTES: Final = 1 << 20


def flat(part: Buffer) -> memoryview:
    """Return a view of the bytes of `part`, whatever its shape; it is contiguous."""
    view = memoryview(part)
    # Python does not cast what has no elements.
    return view.cast("B") if view.nbytes else memoryview(b"")


class FileParts:
    """The content of a file in parts, read while they are taken, as often as they are taken.

    Parameters
    ----------
    path
        The file; nothing is asked of it yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts; a file that cannot be read raises OSError."""
        with self.path.open("rb") as file:
            while part := file.read(PIECE_BYTES):
                yield part


def parts(data: Data) -> Iterable[Buffer]:
    """Return the parts of `data`; a single buffer is one."""
    if isinstance(data, bytes | bytearray | memoryview):
        return (cast("Buffer", data),)
    return data


class SourceError(Exception):
    """An iterator of parts raised `error`: a failure of who gave it, and not of the store."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def source_errors() -> Generator[None]:
    """Raise what an iterator of parts raised inside of the block as it was."""
    try:
        yield
    except SourceError as failure:
        raise failure.error from failure.error.__cause__


def pieces(data: Data, size: int = PIECE_BYTES) -> Iterator[memoryview]:
    """Yield `data` in views of at most `size` bytes, without a copy and without empty ones.

    Raises
    ------
    SourceError
        `data` is an iterator, and raised; `source_errors` takes it off again.
    """
    try:
        for part in parts(data):
            view = flat(part)
            for start in range(0, view.nbytes, size):
                yield view[start : start + size]
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(error) from error


def split_first(views: Iterator[memoryview], size: int) -> tuple[memoryview, Iterator[memoryview]]:
    """Return all of `views` as one, if that is at most `size`, and nothing; or nothing and all.

    Only what is small is copied, and only if it has several parts.
    """
    first: list[memoryview] = []
    total = 0
    for view in views:
        first.append(view)
        total += view.nbytes
        if total > size:
            return memoryview(b""), chain(first, views)
    return first[0] if len(first) == 1 else memoryview(b"".join(first)), iter(())


def coalesce(
    ranges: Sequence[tuple[int, int]], gap: int = GAP_BYTES, limit: int = PIECE_BYTES
) -> list[tuple[int, int]]:
    """Return few ranges that cover all (start, stop) of `ranges`, in order.

    Two become one if they overlap or at most `gap` bytes are between them, and the result is at
    most `limit` long. Empty ranges are left out.
    """
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(each for each in ranges if each[0] < each[1]):
        if merged:
            first, last = merged[-1]
            if start < last or (start - last <= gap and stop - first <= limit):
                merged[-1] = first, max(last, stop)
                continue
        merged.append((start, stop))
    return merged


def cut(
    ranges: Sequence[tuple[int, int]], read: Sequence[tuple[int, memoryview]]
) -> list[memoryview]:
    """Return the bytes of each of `ranges` out of what was `read`: starts and the bytes from there.

    `read` is in order of the starts, and has no gap inside of a range; a range that ends behind
    the last byte is cut off there.
    """
    return [_cut(start, stop, read) for start, stop in ranges]


def _cut(start: int, stop: int, read: Sequence[tuple[int, memoryview]]) -> memoryview:
    for first, view in read:
        if first <= start < first + view.nbytes:
            return view[start - first : max(start, stop) - first]
    return memoryview(b"")
