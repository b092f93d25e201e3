from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from djq.errors import (
    ObjectCorruptedError,
    ObjectMissingError,
    StorageError,
    StoreUnavailableError,
    UsageError,
)
from djq.storage.base import Stat
from djq.storage.buffers import FileParts, pieces, source_errors
from djq.storage.clock import CLOCK, StoreClock
from djq.storage.content import ContentStore, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from djq.storage.buffers import Data

HOUR = dt.timedelta(hours=1)
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


class DictStore:
    """Objects in memory; `calls` lists the verbs that were used."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, dt.datetime] = {}
        self.calls: list[str] = []
        self.now = NOW

    def put(self, path: str, data: Data) -> None:
        self.calls.append("clock" if path == CLOCK else "put")
        with source_errors():
            self.objects[path] = b"".join(pieces(data))
        self.times[path] = self.now

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
        self.calls.append("clock" if path == CLOCK else "stat")
        return Stat(path, len(self._find(path)), self.times[path])

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
    for _ in range(3):
        content.put(b"data")
    # The store's clock is asked for when there is something to compare with it.
    assert store.calls == ["stat", "put", "stat", "clock", "clock", "stat"]


@pytest.mark.parametrize(("age", "is_put"), [(0.9, False), (1.1, True), (1000, True)])
def test_an_old_object_is_put_again_so_that_no_collection_takes_it(
    content: ContentStore, store: DictStore, age: float, is_put: bool
):
    # given: an object that nothing may refer to by now, and that may be collected when it is old
    reference = content.put(b"data")
    store.now += age * HOUR
    # when
    assert content.put(b"data") == reference
    # then: the time to insert the row begins anew
    assert (store.calls.count("put") == 2) is is_put
    assert store.now - store.times[reference.path] <= HOUR


@pytest.mark.parametrize("away", [-5, 5])
def test_the_age_of_an_object_does_not_depend_on_the_clock_of_this_machine(
    store: DictStore, away: float
):
    wall = [NOW.timestamp() + away * HOUR.total_seconds()]
    content = ContentStore("raw", store)
    content.clock = StoreClock(store, lambda: wall[0])
    content.put(b"data")
    content.put(b"data")
    assert store.calls.count("put") == 1
    store.now += 2 * HOUR
    wall[0] += 2 * HOUR.total_seconds()
    content.put(b"data")
    assert store.calls.count("put") == 2


def test_the_clock_is_looked_at_again_when_this_machine_slept_or_was_set(store: DictStore):
    wall = [1000.0]
    clock = StoreClock(store, lambda: wall[0])
    assert clock.now() == NOW
    wall[0] += 60
    assert clock.now() == NOW + dt.timedelta(seconds=60)
    assert len(store.calls) == 2
    for later in (5000.0, 10.0):
        wall[0] = later
        store.now += HOUR
        assert clock.now() == store.now
    assert len(store.calls) == 6


def test_the_address_of_parts_is_that_of_their_sum(content: ContentStore, store: DictStore):
    whole = content.put(b"a part, another")
    store.objects.clear()
    for data in ([b"a part", b", another"], (memoryview(b"a part,"), bytearray(b" another"))):
        assert content.put(data) == whole
        assert bytes(content.get(whole)) == b"a part, another"
        store.objects.clear()


def test_a_file_is_put_in_parts(content: ContentStore, store: DictStore, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x" * 100)
    reference = content.put(FileParts(tmp_path / "file"))
    assert content.get(reference) == b"x" * 100
    with pytest.raises(FileNotFoundError):
        content.put(FileParts(tmp_path / "none"))


def test_a_file_that_changes_while_it_is_stored_is_not_stored(
    content: ContentStore, store: DictStore
):
    versions = [[b"first"], [b"second"]]

    class Changing:
        def __iter__(self) -> Iterator[bytes]:
            return iter(versions.pop(0))

    with pytest.raises(StorageError, match="changed while it was stored"):
        content.put(Changing())
    assert store.objects == {}


def test_what_can_be_read_once_is_refused(content: ContentStore, store: DictStore):
    with pytest.raises(UsageError, match="give its parts"):
        content.put(iter([b"1"]))
    assert store.calls == []


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


#: Written by DataJoint 2.3.5 into `<hash@store>`.
DATAJOINT = {
    b"hello world": "l23dxo7ad3xnbe6lek5y6wwnym",
    b"": "2qoyzwmpaczaj2mabgmoz6ccpy",
    bytes(range(256)) * 10: "tlwf7iys737xuhivwe2rqh76aq",
}


@pytest.mark.parametrize("data", DATAJOINT, ids=len)
def test_what_datajoint_stored_is_read_and_verified(
    content: ContentStore, store: DictStore, data: bytes
):
    digest = DATAJOINT[data]
    path = f"_hash/lab/{digest}"
    written = {"hash": digest, "path": path, "schema": "lab", "store": "raw", "size": len(data)}
    reference = Reference.from_json(written)
    store.objects[path] = data
    assert content.get(reference) == data
    for damage in (data + b"1", data[:-1] + b"?"):
        store.objects[path] = damage
        with pytest.raises(ObjectCorruptedError, match="damaged"):
            content.get(reference)


def test_a_hash_of_another_kind_is_refused(content: ContentStore, store: DictStore):
    store.objects["a"] = b"1"
    with pytest.raises(StorageError, match='unknown kind "md5"'):
        content.get(Reference("raw", "a", "md5:abc", 1))
    for hash_ in ("sha256", "", "abc", "L23DXO7AD3XNBE6LEK5Y6WWNYM"):
        with pytest.raises(StorageError, match="of unknown kind"):
            content.get(Reference("raw", "a", hash_, 1))
