"""What a row says of an object, djq's or DataJoint's."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from djq.codecs.codec import Context
from djq.codecs.registry import get
from djq.errors import (
    ConfigError,
    DjqError,
    ObjectCorruptedError,
    ObjectMissingError,
    StorageError,
    StoreUnavailableError,
    UsageError,
)
from djq.objects.handle import ObjectRef
from djq.objects.manifest import Member
from djq.objects.tree import Tree
from djq.storage.content import ContentStore
from djq.storage.filesystem import FolderStore
from tests.support.memory_store import MemoryStore

FILE = {
    "path": "_schema/lab/scan/n=3/raw_rqC-tyGM.dat",
    "store": "raw",
    "size": 3,
    "ext": ".dat",
    "is_dir": False,
    "item_count": None,
    "timestamp": "2026-11-23T22:30:57.614595+00:00",
}


def test_what_datajoint_wrote_is_read():
    found = ObjectRef.from_json(FILE)

    assert (found.name, found.ext, found.size) == ("raw_rqC-tyGM.dat", ".dat", 3)
    assert found.timestamp == datetime(2026, 11, 23, 22, 30, 57, 614595, UTC)
    assert found.to_json() == {**FILE, "sha256": None}


def test_what_is_written_is_read_again():
    ref = ObjectRef("a", "raw", 5, True, ".zarr", 2, "00", datetime(2026, 1, 2, tzinfo=UTC))
    assert ObjectRef.from_json(ref.to_json()) == ref
    assert hash(ref) == hash(ObjectRef.from_json(ref.to_json()))


@pytest.mark.parametrize(
    "stored",
    [
        *(None, 3, "text", [], {}, {"path": "a"}, {"store": "raw"}, {**FILE, "path": 3}),
        *({**FILE, "size": "3"}, {**FILE, "is_dir": 3}, {**FILE, "sha256": 3}),
    ],
)
def test_what_is_no_reference_is_refused(stored):
    with pytest.raises(StorageError, match=r"is not a reference to a file or folder"):
        ObjectRef.from_json(stored)


def test_an_odd_time_is_no_time():
    assert ObjectRef.from_json({**FILE, "timestamp": "yesterday"}).timestamp is None


def test_a_handle_without_a_table_says_so():
    with pytest.raises(StorageError, match=r'store "raw" is out of reach'):
        ObjectRef.from_json(FILE).read()


def test_a_tree_has_the_folders_that_files_are_in():
    tree = Tree("x", [Member("a", 1), Member("b/c/d", 2), Member("b/e", 3), Member("bb", 4)])

    assert tree.entries() == (["b"], ["a", "bb"])
    assert tree.entries("b") == tree.entries("b/") == (["c"], ["e"])
    assert tree.below("b") == (Member("c/d", 2), Member("e", 3))
    assert tree.file("b/c/d") == Member("b/c/d", 2)
    with pytest.raises(ObjectMissingError, match=r"there is no 'c' in x"):
        tree.entries("c")


def fetched(value, store) -> ObjectRef:
    context = Context(store_name="raw", open_store=lambda name: ContentStore(name, store))
    codec = get("object")
    return codec.decode(codec.encode(value, context=context), context=context)


def test_a_handle_of_a_folder_store_survives_pickling_twice(tmp_path):
    ref = fetched(b"123", FolderStore(tmp_path / "raw"))
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(ref))))
    assert again == ref
    assert again.read() == b"123"
    assert copy.deepcopy(ref) is copy.copy(ref) is ref


def test_a_part_of_a_folder_that_was_pickled_is_verified_still(tmp_path):
    source, store = tmp_path / "source", FolderStore(tmp_path / "raw")
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.bin").write_bytes(b"123")
    (part,) = fetched(source, store).iterdir()
    (file,) = pickle.loads(pickle.dumps(part)).members
    assert file == part.members[0]
    assert file.sha256 is not None


def test_a_handle_of_another_store_is_opened_by_the_settings_of_the_other_process(
    tmp_path, monkeypatch
):
    store = MemoryStore()
    ref = fetched(b"123", store)
    pickled = pickle.dumps(ref)
    assert b"MemoryStore" not in pickled
    FolderStore(tmp_path / "there").put(ref.path, b"123")
    monkeypatch.setenv("DJQ_STORES__RAW__URL", str(tmp_path / "there"))
    again = pickle.loads(pickled)
    assert again.read() == b"123"
    assert again.objects is again.objects
    monkeypatch.delenv("DJQ_STORES__RAW__URL")
    monkeypatch.setenv("DJQ_DATABASE_URL", "mysql+pymysql://far.example/")
    with pytest.raises(ConfigError, match='store "raw" is not set'):
        pickle.loads(pickled).read()


def test_a_handle_without_a_table_is_pickled_as_it_is():
    assert pickle.loads(pickle.dumps(ObjectRef.from_json(FILE))) == ObjectRef.from_json(FILE)


def a_folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.bin").write_bytes(b"123")
    return source


def refuses(asks, error: type[DjqError], path: str) -> None:
    for ask in asks:
        with pytest.raises(error) as caught:
            ask()
        assert 'store "raw"' in str(caught.value)
        assert str(caught.value).count('store "raw"') == 1
        assert path in str(caught.value)


def test_errors_name_the_store_and_the_path_of_a_file(tmp_path):
    store = FolderStore(tmp_path / "raw")
    ref = fetched(b"123", store)
    file = ref.open()
    refuses([ref.listdir, lambda: ref.open("a"), lambda: ref.fsmap], UsageError, ref.path)
    asks = [ref.read, ref.verify, lambda: ref.open().read(), lambda: ref.download(tmp_path / "x")]
    store.put(ref.path, b"124")
    refuses([*asks, file.read], ObjectCorruptedError, ref.path)
    store.put(ref.path, b"1234")
    refuses(asks, ObjectCorruptedError, ref.path)
    store.delete(ref.path)
    refuses([*asks, file.read], ObjectMissingError, ref.path)


def test_errors_name_the_store_and_the_path_of_a_folder(tmp_path):
    store = FolderStore(tmp_path / "raw")
    ref = fetched(a_folder(tmp_path), store)
    known = pickle.loads(pickle.dumps(ref))
    assert known.members
    refuses([ref.read, ref.open], UsageError, ref.path)
    refuses([lambda: ref.listdir("no"), lambda: ref.open("no")], ObjectMissingError, ref.path)
    asks = [
        known.verify,
        lambda: known.open("a.bin").read(),
        lambda: known.download(tmp_path / "x"),
        lambda: known.download(tmp_path / "y", "a.bin"),
    ]
    store.put(f"{ref.path}/a.bin", b"124")
    refuses(asks, ObjectCorruptedError, f"{ref.path}/a.bin")
    store.delete(f"{ref.path}/a.bin")
    refuses(asks, ObjectMissingError, f"{ref.path}/a.bin")
    manifest = f"{ref.path}.manifest.json"
    asks = [lambda: fresh(ref).listdir(), lambda: fresh(ref).open("a.bin"), fresh(ref).verify]
    store.put(manifest, b"{}")
    refuses(asks, ObjectCorruptedError, manifest)
    store.delete(manifest)
    refuses(asks, ObjectMissingError, manifest)


def fresh(ref: ObjectRef) -> ObjectRef:
    """Return a handle of the same that has read nothing."""
    return replace(ref)


def test_a_store_that_does_not_answer_is_named(monkeypatch):
    store = MemoryStore()
    ref = fetched(b"123", store)

    def fail(path: str, *rest: object) -> None:
        message = f"{path}: away"
        raise StoreUnavailableError(message)

    for name in ("stat", "iterate", "list"):
        monkeypatch.setattr(store, name, fail)
    refuses([ref.exists, ref.read, ref.open, ref.verify], StoreUnavailableError, ref.path)
