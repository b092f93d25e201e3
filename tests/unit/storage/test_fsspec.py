from __future__ import annotations

import datetime as dt
import errno
import os
import secrets
from typing import TYPE_CHECKING

import fsspec
import pytest

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError
from djq.settings import StoreSettings
from djq.storage import retries
from djq.storage.base import exists
from djq.storage.filesystem import TEMPORARY
from djq.storage.fsspec import FsspecStore, open_filesystem
from tests.support.object_store_contract import paths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def files() -> fsspec.AbstractFileSystem:
    return fsspec.filesystem("memory", skip_instance_cache=True)


@pytest.fixture
def store(files: fsspec.AbstractFileSystem) -> FsspecStore:
    return FsspecStore(lambda: files, f"/{secrets.token_hex(4)}", "memory://here")


class OwnError(Exception):
    """What only this file system raises."""


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ConnectionResetError("gone"), StoreUnavailableError),
        (TimeoutError("late"), StoreUnavailableError),
        (EOFError(), StoreUnavailableError),
        (OSError(errno.EHOSTUNREACH, "away"), StoreUnavailableError),
        (PermissionError(errno.EACCES, "no"), StorageError),
        (OSError("of no number"), StorageError),
        (OwnError("own"), StorageError),
        (FileNotFoundError("a"), ObjectMissingError),
    ],
)
def test_each_error_of_a_file_system_becomes_one_of_ours(
    store: FsspecStore,
    files: fsspec.AbstractFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    kind: type[StorageError],
):
    monkeypatch.setattr(retries, "DELAYS_S", (0.0,))
    n_calls = 0

    def fail(*_: object, **__: object) -> bytes:
        nonlocal n_calls
        n_calls += 1
        raise raised

    monkeypatch.setattr(files, "cat_file", fail)
    with pytest.raises(StorageError, match="'a/b' in memory://here") as caught:
        store.get("a/b")
    assert type(caught.value) is kind
    assert caught.value.__cause__ is raised
    assert n_calls == (2 if kind is StoreUnavailableError else 1)


def test_a_lost_connection_is_not_noticed(
    store: FsspecStore, files: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retries, "DELAYS_S", (0.0,))
    move, failures = files.mv, [ConnectionResetError("gone")]

    def fail_once(path1: str, path2: str) -> None:
        if failures:
            raise failures.pop()
        move(path1, path2)

    monkeypatch.setattr(files, "mv", fail_once)
    store.put("a", [b"1", b"2"])
    assert store.get("a") == b"12"
    assert files.find(f"{store._root}/{TEMPORARY}") == []


def test_a_put_that_fails_leaves_no_file_and_no_object(
    store: FsspecStore, files: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "mv", fail)
    with pytest.raises(StorageError, match="No space left"):
        store.put("a", b"1")
    assert files.find(store._root) == []
    assert not exists(store, "a")


def test_a_listing_that_cannot_be_completed_raises(
    store: FsspecStore, files: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
):
    for path in ("a/1", "b/2"):
        store.put(path, b"")
    look = files.ls

    def fail(path: str, **kwargs: bool) -> object:
        if path.endswith("/a"):
            raise PermissionError(errno.EACCES, "no")
        return look(path, **kwargs)

    monkeypatch.setattr(files, "ls", fail)
    with pytest.raises(StorageError, match="list '' in memory://here"):
        paths(store)


@pytest.mark.parametrize(
    ("known", "moment"),
    [
        ({"mtime": 0.5}, dt.datetime(1970, 1, 1, 0, 0, 0, 500_000, dt.UTC)),
        ({"LastModified": dt.datetime(2026, 1, 1, 12)}, dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)),  # noqa: DTZ001
        ({"updated": "2026-01-01T12:00:00Z"}, dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)),
        (
            {"last_modified": dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))},
            dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC),
        ),
    ],
)
def test_times_are_understood_however_they_are_told(
    store: FsspecStore,
    files: fsspec.AbstractFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    known: dict,
    moment: dt.datetime,
):
    found = {"name": "a", "type": "file", "size": 1, **known}
    monkeypatch.setattr(files, "info", lambda _: found)
    assert store.stat("a").modified == moment


def test_a_file_of_unknown_age_is_new(
    store: FsspecStore, files: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
):
    def unknown(_: str) -> dt.datetime:
        raise NotImplementedError

    store.put("a", b"1")
    monkeypatch.setattr(files, "modified", unknown)
    before = dt.datetime.now(dt.UTC)
    assert store.stat("a").modified >= before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_connects_anew(tmp_path: Path):
    store = open_filesystem("raw", StoreSettings(url=f"local://{tmp_path}"))
    store.put("a", b"1")
    mine = store._files()
    child = os.fork()
    if child == 0:
        is_new = store._files() is not mine
        os._exit(0 if is_new and store.get("a") == b"1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store._files() is mine
