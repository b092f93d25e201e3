"""What goes into a store, and in which order."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest

from djq.errors import CodecError, ObjectCorruptedError, StorageError
from djq.objects import manifest, uploads
from djq.objects.manifest import Member
from djq.objects.transfers import run_all
from djq.storage.buffers import PIECE_BYTES
from djq.storage.filesystem import FolderStore


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


class Recorder:
    """Notes the order of puts, and fails on one of them."""

    def __init__(self, store, fails=""):
        self._store = store
        self._fails = fails
        self.paths = []

    def put(self, path, data):
        if self._fails and path.endswith(self._fails):
            message = "full"
            raise StorageError(message)
        self._store.put(path, data)
        self.paths.append(path)


def folder(tmp_path, n=20):
    source = tmp_path / "source"
    source.mkdir()
    for i in range(n):
        (source / f"{i:02}.bin").write_bytes(b"%d" % i)
    return source


def test_the_manifest_comes_last_and_its_hash_is_the_folders(store, tmp_path):
    recorder = Recorder(store)
    done = uploads.put_folder(recorder, "a/b", folder(tmp_path))

    assert recorder.paths[-1] == "a/b.manifest.json"
    data = store.get("a/b.manifest.json")
    assert done.sha256 == hashlib.sha256(data).hexdigest()
    members = manifest.decode(data, "a/b.manifest.json", done.sha256)
    assert [m.path for m in members] == [f"{i:02}.bin" for i in range(20)]
    assert members[3] == Member("03.bin", 1, hashlib.sha256(b"3").hexdigest())
    assert (done.item_count, done.size) == (20, 30)


def test_a_failure_leaves_no_manifest(store, tmp_path):
    recorder = Recorder(store, fails="07.bin")
    with pytest.raises(StorageError, match=r"full"):
        uploads.put_folder(recorder, "a", folder(tmp_path))
    assert "a.manifest.json" not in recorder.paths


def test_a_name_that_stores_do_not_keep_is_refused_before_anything_is_written(store, tmp_path):
    source = folder(tmp_path)
    (source / "back\\slash").write_bytes(b"")
    recorder = Recorder(store)
    with pytest.raises(StorageError, match=r"back.*slash.* is not a path inside of a store"):
        uploads.put_folder(recorder, "a", source)
    assert recorder.paths == []


def test_a_large_file_of_a_folder_is_stored_whole(store, tmp_path):
    source = folder(tmp_path, 2)
    content = b"0123456789abcdef" * (PIECE_BYTES // 16) + b"end"
    (source / "large").write_bytes(content)
    done = uploads.put_folder(store, "a", source)

    assert bytes(store.get("a/large")) == content
    assert done.item_count == 3


def test_an_unreadable_file_is_named(store, tmp_path):
    with pytest.raises(CodecError, match=r"none\.bin cannot be read: No such file"):
        uploads.put_file(store, "a", tmp_path / "none.bin")
    assert list(store.list()) == []


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}", b"\xff", b'{"files": 3}', b'{"files": [3]}', b"[" * 100_000),
        b'{"files": [{"path": 1, "size": 1}]}',
        b'{"files": [{"path": "a", "size": "1"}]}',
        b'{"files": [{"path": "a", "size": 1, "sha256": 1}]}',
    ],
)
def test_what_is_no_manifest_is_our_error(data):
    with pytest.raises(ObjectCorruptedError, match=r"object at x is damaged: it is no manifest"):
        manifest.decode(memoryview(data), "x", None)


def test_datajoints_manifest_is_read():
    data = json.dumps({"files": [{"path": "a.bin", "size": 3}], "total_size": 3}).encode()
    assert manifest.decode(memoryview(data), "x", None) == (Member("a.bin", 3),)


def test_the_first_failure_ends_the_others():
    begun = []

    def transfer(i):
        begun.append(i)
        if i == 0:
            raise StorageError
        # Long enough that the failure is noticed before all threads have worked through the rest.
        threading.Event().wait(0.02)

    with pytest.raises(StorageError):
        run_all(transfer, [0] * 10_000)
    assert len(begun) < 10_000
    assert run_all(lambda i: i, [1 << 30, None] * 50) == list(range(100))
