"""A store that counts what is asked of it, as a bucket would be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.storage.buffers import coalesce

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.storage.base import ObjectStore, Stat
    from djq.storage.buffers import Data


@dataclass
class CountingStore:
    """Passes everything on to `inner`; reads are counted with the gaps that a bucket reads, too."""

    inner: ObjectStore
    n_bytes: int = 0
    n_requests: int = 0
    #: Whole objects that were read, and puts, by path.
    gets: list[str] = field(default_factory=list)
    puts: list[str] = field(default_factory=list)

    def put(self, path: str, data: Data) -> None:
        self.puts.append(path)
        self.inner.put(path, data)

    def get(self, path: str) -> memoryview:
        found = self.inner.get(path)
        self.gets.append(path)
        self.n_bytes += len(found)
        self.n_requests += 1
        return found

    def get_range(self, path: str, start: int, length: int) -> memoryview:
        return self.get_ranges(path, [(start, start + length)])[0]

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        found = self.inner.get_ranges(path, ranges)
        merged = coalesce([(start, start + len(v)) for (start, _), v in zip(ranges, found)])  # noqa: B905
        self.n_requests += len(merged)
        self.n_bytes += sum(stop - start for start, stop in merged)
        return found

    def iterate(self, path: str, chunk_bytes: int = 1 << 20) -> Iterator[memoryview]:
        for chunk in self.inner.iterate(path, chunk_bytes):
            self.n_bytes += len(chunk)
            yield chunk

    def stat(self, path: str) -> Stat:
        return self.inner.stat(path)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        return self.inner.list(prefix)
