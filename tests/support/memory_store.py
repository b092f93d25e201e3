"""A store in this process's memory."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from djq.errors import ObjectMissingError
from djq.storage.base import Stat
from djq.storage.buffers import flat, parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.storage.buffers import Data


class MemoryStore:
    """Objects by path, which tests may look at and damage."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, path: str, data: Data) -> None:
        self.objects[path] = b"".join(flat(part) for part in parts(data))

    def get(self, path: str) -> memoryview:
        if path not in self.objects:
            message = f"no object at {path!r}"
            raise ObjectMissingError(message)
        return memoryview(self.objects[path])

    def get_range(self, path: str, start: int, length: int) -> memoryview:
        return self.get(path)[start : start + length]

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        whole = self.get(path)
        return [whole[start:stop] for start, stop in ranges]

    def iterate(self, path: str, chunk_bytes: int = 1 << 20) -> Iterator[memoryview]:
        whole = self.get(path)
        yield from (whole[at : at + chunk_bytes] for at in range(0, len(whole), chunk_bytes))

    def stat(self, path: str) -> Stat:
        return Stat(path, len(self.get(path)), dt.datetime.now(dt.UTC))

    def delete(self, path: str) -> None:
        self.objects.pop(path, None)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        yield from (self.stat(path) for path in list(self.objects) if path.startswith(prefix))
