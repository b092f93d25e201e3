from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage.base import Stat
from djq.storage.buffers import pieces
from djq.storage.content import ContentStore, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from djq.storage.buffers import Data

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


class DictStore:
    """Objects in memory; `calls` lists the verbs that were used."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []

    def put(self, path: str, data: Data) -> None:
        self.calls.append("put")
        self.objects[path] = b"".join(pieces(data))

    def get(self, path: str) -> memoryview:
        self.calls.append("get")
        return memoryview(self._find(path))

    def get_range(self, path: str, start: int, length: int) -> memoryview:
        return self.get(path)[start : start + length]

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        return [self.get(path)[start:stop] for start, stop in ranges]

    def iterate(self, path: str, chunk_bytes: int = 1) -> Iterator[memoryview]:
        yield from pieces(self.get(path), chunk_bytes)

    def stat(self, path: str) -> Stat:
        self.calls.append("stat")
        return Stat(path, len(self._find(path)), NOW)

    def delete(self, path: str) -> None:
        self.objects.pop(path, None)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        yield from (self.stat(path) for path in self.objects if path.startswith(prefix))

    def _find(self, path: str) -> bytes:
        if path not in self.objects:
            raise ObjectMissingError(path)
        return self.objects[path]


@pytest.fixture
def store() -> DictStore:
    return DictStore()


@pytest.fixture
def content(store: DictStore) -> ContentStore:
    return ContentStore("raw", store)


def test_the_address_is_the_sha256_of_the_bytes(content: ContentStore, store: DictStore):
    reference = content.put(b"data")
    digest = hashlib.sha256(b"data").hexdigest()
    assert reference == Reference("raw", f"hash/{digest[:2]}/{digest}", f"sha256:{digest}", 4)
    assert store.objects == {reference.path: b"data"}
    assert content.get(reference) == b"data"


def test_an_address_is_written_once(content: ContentStore, store: DictStore):
    content.put(b"data")
    content.put(b"data")
    assert store.calls == ["stat", "put", "stat"]


def test_a_get_asks_once(content: ContentStore, store: DictStore):
    reference = content.put(b"data")
    store.calls.clear()
    content.get(reference)
    assert store.calls == ["get"]


def test_a_put_that_failed_gives_no_reference(content: ContentStore, store: DictStore):
    def fail(path: str, data: bytes) -> None:
        raise StoreUnavailableError(path)

    store.put = fail
    with pytest.raises(StoreUnavailableError):
        content.put(b"data")


def test_a_reference_goes_through_json(content: ContentStore):
    reference = content.put(b"data")
    assert Reference.from_json(json.loads(json.dumps(reference.to_json()))) == reference


@pytest.mark.parametrize(
    "obj",
    [
        None,
        "hash/ab/abc",
        {},
        {"store": "raw", "path": "a", "hash": "b"},
        {"store": "raw", "path": "a", "hash": "b", "size": "1"},
        {"store": "raw", "path": "a", "hash": "b", "size": True},
        {"store": 1, "path": "a", "hash": "b", "size": 1},
    ],
)
def test_what_is_no_reference_is_refused(obj: object):
    with pytest.raises(StorageError, match="not a reference"):
        Reference.from_json(obj)


def test_a_hash_of_another_kind_is_refused(content: ContentStore, store: DictStore):
    store.objects["a"] = b"1"
    with pytest.raises(StorageError, match='unknown kind "md5"'):
        content.get(Reference("raw", "a", "md5:abc", 1))
