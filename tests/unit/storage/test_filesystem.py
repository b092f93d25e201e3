from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage import filesystem, retries
from djq.storage.base import exists
from djq.storage.filesystem import FolderStore
from tests.support.object_store_contract import paths


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def files(store: FolderStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_nothing_is_made_before_the_first_object(store: FolderStore):
    assert list(store.list()) == []
    assert not exists(store, "a")
    assert not store.root.exists()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_put_that_fails_leaves_no_file_and_no_object(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, step: str
):
    store.put("a", b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
        with pytest.raises(StorageError, match="No space left") as caught:
            store.put("a", b"new")
    assert not isinstance(caught.value, StoreUnavailableError)
    assert files(store) == [store.root / "a"]
    assert store.get("a") == b"old"


def test_file_and_folders_are_flushed_before_put_returns(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
):
    # given
    flushed: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells the name of an open file")
    monkeypatch.setattr(os, "fsync", record)
    # when
    store.put("a/b/c", b"1")
    # then: the file came first, and last the folder that got its name
    root = store.root
    incoming = str(root / filesystem.TEMPORARY)
    file = next(name for name in flushed if name.startswith(incoming + "/"))
    assert flushed[-2:] == [file, str(root / "a/b")]
    assert {str(root.parent), str(root), str(root / "a")} <= set(flushed)
    # and: the second one in the same folder costs two
    flushed.clear()
    store.put("a/b/d", b"1")
    assert len(flushed) == 2


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ESTALE, StoreUnavailableError),
        (errno.ETIMEDOUT, StoreUnavailableError),
        (errno.EIO, StoreUnavailableError),
        (errno.EACCES, StorageError),
        (errno.ENOSPC, StorageError),
        (errno.ENOENT, ObjectMissingError),
        (errno.ENOTDIR, ObjectMissingError),
    ],
)
def test_each_system_error_becomes_one_of_ours(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StorageError]
):
    def fail(_: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(retries, "DELAYS_S", (0.0,))
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(StorageError, match="a/b") as caught:
        store.get("a/b")
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, OSError)


def test_files_on_their_way_in_are_out_of_reach(store: FolderStore):
    store.put("a", b"1")
    (store.root / filesystem.TEMPORARY / "left by a crash").write_bytes(b"half")
    assert paths(store) == ["a"]
    for path in (filesystem.TEMPORARY, f"{filesystem.TEMPORARY}/left by a crash"):
        with pytest.raises(StorageError, match="reserved"):
            store.get(path)


def test_an_object_cannot_lie_in_another(store: FolderStore):
    store.put("a", b"1")
    store.put("b/c", b"1")
    for path in ("a/b", "b"):
        with pytest.raises(StorageError, match="an object and a folder at once"):
            store.put(path, b"2")
    assert sorted(paths(store)) == ["a", "b/c"]


def test_a_store_that_was_removed_while_open_says_so(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
):
    store.put("a", b"1")
    store.delete("a")
    for folder in (store.root / filesystem.TEMPORARY, store.root):
        folder.rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(retries, "DELAYS_S", ())
        with pytest.raises(StoreUnavailableError, match="was the store removed"):
            store.put("a", b"1")


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = FolderStore(Path("here"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put("a", b"1")
    assert (tmp_path / "here/a").read_bytes() == b"1"


def test_a_file_server_that_answers_again_is_not_noticed(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retries, "DELAYS_S", (0.0,))
    replace, failures = Path.replace, [OSError(errno.ESTALE, os.strerror(errno.ESTALE))]

    def fail_once(path: Path, target: Path) -> Path:
        if failures:
            raise failures.pop()
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail_once)
    store.put("a", [b"1", b"2"])
    assert store.get("a") == b"12"
    assert files(store) == [store.root / "a"]


def test_a_listing_that_cannot_be_completed_raises(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
):
    for path in ("a/1", "b/2"):
        store.put(path, b"")
    scan = os.scandir

    def fail(folder: Path) -> object:
        if folder.name == "a":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(StorageError, match="Permission denied"):
        paths(store)
