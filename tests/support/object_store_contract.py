"""What every `ObjectStore` must do: a suite to subclass with a fixture `store`."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from djq.errors import ObjectCorruptedError, ObjectMissingError, StorageError
from djq.storage.content import ContentStore, Reference

if TYPE_CHECKING:
    from djq.storage.base import ObjectStore

ODD_PATHS = (
    "a b/c",
    "ü/日本",
    "per%20cent/%",
    "query?#&=+",
    ".hidden/.x",
    "a:b*",
    "(1)[2]{3}",
    "\"quotes'",
    "a@b;c,d!$~",
    "x" * 200,
)
WRONG_PATHS = (
    "",
    "/etc/passwd",
    "a//b",
    "a/",
    "../up",
    "a/../../up",
    "a/./b",
    "a\\..\\b",
    "a\0b",
    "a\nb",
    "x" * 256,
    "x/" * 600 + "x",
    "\ud800",
)
LARGE = os.urandom(1 << 20) * 11


class ObjectStoreContract:
    """Subclasses give a fixture `store`: empty, and the test's own."""

    def test_an_object_comes_back_as_it_was_put(self, store: ObjectStore):
        for data in (b"", b"x", bytes(range(256)) * 17):
            store.put("a/b", data)
            assert store.get("a/b") == data
            assert store.size("a/b") == len(data)

    def test_a_large_object_comes_back_whole(self, store: ObjectStore):
        store.put("large", LARGE)
        assert store.get("large") == LARGE
        assert store.size("large") == len(LARGE)

    def test_a_second_put_replaces_the_object(self, store: ObjectStore):
        store.put("a", b"first, and longer")
        store.put("a", b"second")
        assert store.get("a") == b"second"

    def test_what_was_never_put_is_missing(self, store: ObjectStore):
        store.put("a/b", b"1")
        for path in ("b", "a", "a/b/c", "a/bb"):
            assert not store.exists(path)
            for ask in (store.get, store.size, lambda path: store.get_range(path, 0, 1)):
                with pytest.raises(ObjectMissingError, match=path):
                    ask(path)

    def test_a_range_ends_where_the_object_ends(self, store: ObjectStore):
        store.put("a", b"0123456789")
        assert store.get_range("a", 2, 3) == b"234"
        assert store.get_range("a", 8, 100) == b"89"
        assert store.get_range("a", 10, 1) == b""
        assert store.get_range("a", 50, 1) == b""
        assert store.get_range("a", 3, 0) == b""

    def test_delete_removes_and_may_be_repeated(self, store: ObjectStore):
        store.put("a/b", b"1")
        store.delete("a/b")
        store.delete("a/b")
        assert not store.exists("a/b")
        assert list(store.list()) == []

    def test_delete_does_not_take_a_folder(self, store: ObjectStore):
        store.put("a/b", b"1")
        store.delete("a")
        assert store.get("a/b") == b"1"

    def test_list_yields_the_objects_of_a_folder_at_any_depth(self, store: ObjectStore):
        for path in ("a/1", "a/b/2", "a/b/c/3", "ab/4", "5"):
            store.put(path, b"")
        assert sorted(store.list()) == ["5", "a/1", "a/b/2", "a/b/c/3", "ab/4"]
        assert sorted(store.list("a")) == ["a/1", "a/b/2", "a/b/c/3"]
        assert sorted(store.list("a/b")) == ["a/b/2", "a/b/c/3"]
        assert list(store.list("none")) == []

    def test_list_yields_more_objects_than_fit_on_a_page(self, store: ObjectStore):
        paths = [f"many/{number:04}" for number in range(1100)]
        with ThreadPoolExecutor(8) as threads:
            for _ in threads.map(lambda path: store.put(path, b"1"), paths):
                pass
        assert sorted(store.list("many")) == paths

    @pytest.mark.parametrize("path", ODD_PATHS)
    def test_odd_characters_are_kept(self, store: ObjectStore, path: str):
        store.put(path, b"1")
        assert store.get(path) == b"1"
        assert list(store.list()) == [path]

    @pytest.mark.parametrize("path", WRONG_PATHS)
    def test_a_path_that_leaves_the_store_is_refused(self, store: ObjectStore, path: str):
        asks = (
            lambda: store.put(path, b"1"),
            lambda: store.get(path),
            lambda: store.get_range(path, 0, 1),
            lambda: store.exists(path),
            lambda: store.size(path),
            lambda: store.delete(path),
        )
        for ask in asks:
            with pytest.raises(StorageError, match="not a path inside of a store"):
                ask()
        assert list(store.list()) == []

    def test_readers_see_the_old_object_or_the_new_one_whole(self, store: ObjectStore):
        versions = [bytes([number]) * 300_000 for number in range(8)]
        store.put("a", versions[0])
        is_over = threading.Event()

        def read() -> int:
            n_reads = 0
            while not is_over.is_set():
                assert store.get("a") in versions
                n_reads += 1
            return n_reads

        with ThreadPoolExecutor(4) as threads:
            readers = [threads.submit(read) for _ in range(2)]
            try:
                for _ in threads.map(lambda data: store.put("a", data), versions * 3):
                    pass
            finally:
                is_over.set()
            assert all(reader.result() for reader in readers)
        assert list(store.list()) == ["a"]

    def test_many_may_put_one_content_at_once(self, store: ObjectStore):
        content = ContentStore("raw", store)
        with ThreadPoolExecutor(8) as threads:
            references = set(threads.map(content.put, [b"the same"] * 24))
        assert len(references) == 1
        assert content.get(references.pop()) == b"the same"
        assert len(list(store.list())) == 1

    def test_an_object_that_changed_in_the_store_is_corrupted(self, store: ObjectStore):
        content = ContentStore("raw", store)
        reference = content.put(b"what was measured")
        for damage in (b"what was MEASURED", b"", b"what was measured, and more"):
            store.put(reference.path, damage)
            with pytest.raises(ObjectCorruptedError, match=reference.path):
                content.get(reference)

    def test_a_torn_object_is_written_anew(self, store: ObjectStore):
        content = ContentStore("raw", store)
        reference = content.put(b"what was measured")
        store.put(reference.path, b"what was")
        assert content.put(b"what was measured") == reference
        assert content.get(reference) == b"what was measured"

    def test_a_removed_object_is_missing_by_its_address(self, store: ObjectStore):
        content = ContentStore("raw", store)
        reference = content.put(b"1")
        store.delete(reference.path)
        with pytest.raises(ObjectMissingError, match=reference.path):
            content.get(reference)

    def test_a_reference_that_leaves_the_store_is_refused(self, store: ObjectStore):
        content = ContentStore("raw", store)
        reference = Reference("raw", "../../etc/passwd", "sha256:" + "0" * 64, 1)
        with pytest.raises(StorageError, match="not a path inside of a store"):
            content.get(reference)
