"""What a row says of an object, djq's or DataJoint's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from djq.errors import ObjectMissingError, StorageError
from djq.objects.handle import ObjectRef
from djq.objects.manifest import Member
from djq.objects.tree import Tree

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
