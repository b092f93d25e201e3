from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage.content import ContentStore, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator


class DictStore:
    """Objects in memory; `calls` lists the verbs that were used."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []

    def put(self, path: str, data: bytes) -> None:
        self.calls.append("put")
        self.objects[path] = data

    def get(self, path: str) -> bytes:
        self.calls.append("get")
        if path not in self.objects:
            raise ObjectMissingError(path)
        return self.objects[path]

    def get_range(self, path: str, start: int, length: int) -> bytes:
        return self.get(path)[start : start + length]

    def exists(self, path: str) -> bool:
        return path in self.objects

    def size(self, path: str) -> int:
        self.calls.append("size")
        if path not in self.objects:
            raise ObjectMissingError(path)
        return len(self.objects[path])

    def delete(self, path: str) -> None:
        self.objects.pop(path, None)

    def list(self, prefix: str = "") -> Iterator[str]:
        yield from (path for path in self.objects if path.startswith(prefix))


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
    assert store.calls == ["size", "put", "size"]


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
