"""`dj.fsck`: references without objects, and objects without their content."""

from __future__ import annotations

import json

import pytest

import djq as dj
from djq.errors import StorageError, UsageError
from djq.storage.content import FOLDER
from djq.tables import checking

N = 40


@pytest.fixture
def picture(schema):
    """Rows with an object each, in two stores."""

    @schema
    class Picture(dj.Manual):
        definition = """
        picture : int32
        ---
        pixels : <blob@raw>
        mask = null : <blob@masks>
        """

    Picture.insert({"picture": i, "pixels": f"pixels {i}"} for i in range(N))
    Picture.insert1({"picture": N, "pixels": "pixels 0", "mask": "mask"})
    return Picture


def path_of(connection, picture, number: int) -> str:
    name = picture.spec.name
    table = f'"{name}"' if connection.database.is_sqlite else f"`{name.schema}`.`{name.table}`"
    ((text,),) = connection.query(f"SELECT pixels FROM {table} WHERE picture = {number}")
    return json.loads(text)["path"]


def write(connection, table, attribute: str, where: str, text: str) -> None:
    """Let a row hold a text that djq would not write."""
    name = table.spec.name
    shown = f'"{name}"' if connection.database.is_sqlite else f"`{name.schema}`.`{name.table}`"
    connection.query(f"UPDATE {shown} SET {attribute} = '{text}' WHERE {where}")


def write_pixels(connection, picture, number: int, text: str) -> None:
    write(connection, picture, "pixels", f"picture = {number}", text)


def test_all_is_well(connection, picture):
    found = dj.fsck(connection=connection, verify=True)
    assert (found.n_references, found.n_verified, found.n_damages) == (N + 2, N + 1, 0)
    assert str(found) == f"{N + 2} references, {N + 1} objects read: 0 damages"


def test_missing_and_torn_objects_are_named_with_each_row_that_refers_to_them(connection, picture):
    # Given: an object of two rows that is gone, and one of another size.
    store = connection.store("raw").store
    gone, torn = path_of(connection, picture, 0), path_of(connection, picture, 1)
    store.delete(gone)
    store.put(torn, b"torn")

    seen: list[checking.Damage] = []
    found = dj.fsck(picture.spec.name.schema, connection=connection, each=seen.append)

    table = str(picture.spec.name)
    assert {(d.kind, d.path, d.key["picture"]) for d in seen} == {
        ("missing", gone, 0),
        ("missing", gone, N),
        ("size", torn, 1),
    }
    assert {(d.table, d.attribute, d.store) for d in seen} == {(table, "pixels", "raw")}
    assert list(found.damages) == seen
    assert f"missing: {table} picture=0 pixels: {gone} in raw" in {str(d) for d in seen}


def test_other_bytes_of_the_same_size_are_found_when_they_are_read(connection, picture):
    store = connection.store("raw").store
    path = path_of(connection, picture, 2)
    size = store.stat(path).size
    store.put(path, b"x" * size)

    assert dj.fsck(connection=connection).n_damages == 0
    found = dj.fsck(connection=connection, verify=True)
    # The object itself, and the row that refers to it.
    assert [(d.kind, d.path, d.table is None) for d in found.damages] == [
        ("content", path, True),
        ("content", path, False),
    ]
    assert dj.fsck(connection=connection, store="masks", verify=True).n_damages == 0


BROKEN = {
    "no JSON at all": "what",
    "another value": "[1, 2]",
    "no path": '{"store": "../x"}',
    "a store outside": '{"store": "../x", "path": "a", "hash": "b", "size": 1}',
    "an unknown store": '{"store": "no-such", "path": "a"}',
    "a path outside": '{"store": "raw", "path": "../../secret"}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_row_that_leads_to_no_object_is_damage_and_the_others_are_looked_at(
    connection, picture, text
):
    # Given: such a row in front, and a missing object behind it.
    if connection.database.dialect.backend != "sqlite" and text == "what":
        pytest.skip("the server keeps it out of a column of JSON")
    gone = path_of(connection, picture, N - 1)
    connection.store("raw").store.delete(gone)
    write_pixels(connection, picture, 3, text)

    found = dj.fsck(connection=connection, verify=True)

    kinds = [(d.kind, d.table, d.key, d.attribute) for d in found.damages]
    table = str(picture.spec.name)
    assert kinds == [
        ("reference", table, {"picture": 3}, "pixels"),
        ("missing", table, {"picture": N - 1}, "pixels"),
    ]
    assert found.n_references == N + 2
    assert f"reference: {table} picture=3 pixels: " in str(found.damages[0])


def test_a_file_that_no_reference_leads_to_is_damage_and_stops_a_collection(connection, session):
    write(connection, session, "data", "session = 1", '{"store": "raw"}')

    assert damages(connection) == [("reference", '{"store": "raw"}', 1)]
    with pytest.raises(StorageError, match=r"\.data of the row session=1: .* not a reference"):
        dj.gc.scan(store="raw", connection=connection)


# --- files and folders ---------------------------------------------------------------------------


@pytest.fixture
def session(schema, connection, tmp_path):
    """A row with a file, one with a folder of two, and one with the user's own folder and file."""

    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        ---
        data : <object@raw>
        notes = null : <filepath@raw>
        """

    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"aaa")
    (folder / "deep" / "b.txt").write_bytes(b"bbbb")
    for path in ("users/notes.txt", "users/deep/notes.txt"):
        connection.store("raw").store.put(path, b"theirs")
    Session.insert1({"session": 1, "data": (".bin", b"file"), "notes": "users/notes.txt"})
    Session.insert1({"session": 2, "data": folder, "notes": "users"})
    return Session


def damages(connection, *, verify: bool = False) -> list[tuple[str, str, int]]:
    found = dj.fsck(connection=connection, verify=verify)
    return [(d.kind, d.path, d.key["session"]) for d in found.damages]


def test_files_and_folders_are_well(connection, session):
    assert damages(connection) == []
    found = dj.fsck(connection=connection, verify=True)
    # A folder is one reference; its two files are read, and the other row's one.
    assert (found.n_references, found.n_verified, found.n_damages) == (4, 3, 0)


@pytest.mark.parametrize("subpath", [None, "a.txt", "deep/b.txt"])
def test_damage_of_a_file_or_of_one_in_a_folder_is_found_by_what_it_takes(
    connection, session, subpath
):
    # Given
    store = connection.store("raw").store
    number = 1 if subpath is None else 2
    path = (session & {"session": number}).fetch1("data").path
    path = path if subpath is None else f"{path}/{subpath}"
    size = store.stat(path).size

    # When, then: other bytes of the same size, other bytes of another size, nothing.
    store.put(path, b"x" * size)
    assert damages(connection) == []
    assert damages(connection, verify=True) == [("content", path, number)]
    store.put(path, b"x")
    assert damages(connection) == [("size", path, number)]
    assert damages(connection, verify=True) == [("size", path, number)]
    store.delete(path)
    assert damages(connection) == [("missing", path, number)]
    assert damages(connection, verify=True) == [("missing", path, number)]


def test_a_manifest_that_is_lost_or_another_one_is_found(connection, session):
    store = connection.store("raw").store
    path = (session & {"session": 2}).fetch1("data").path + ".manifest.json"
    text = bytes(store.get(path))

    store.put(path, text.replace(b"a.txt", b"c.txt"))
    assert damages(connection) == [("content", path, 2)]
    store.delete(path)
    assert damages(connection) == [("missing", path, 2)]


def test_a_folder_of_the_user_that_is_gone_is_missing(connection, session):
    store = connection.store("raw").store
    store.delete("users/deep/notes.txt")
    assert damages(connection) == []
    store.delete("users/notes.txt")
    assert damages(connection) == [("missing", "users/notes.txt", 1), ("missing", "users", 2)]


# --- races, refusals, sizes ----------------------------------------------------------------------


def test_rows_that_go_meanwhile_are_no_damage(connection, another, picture, monkeypatch):
    judge = checking._Check._judge
    name = picture.spec.name
    table = f'"{name}"' if connection.database.is_sqlite else f"`{name.schema}`.`{name.table}`"
    store = connection.store("raw").store
    gone = path_of(connection, picture, 5)
    done: list[bool] = []

    def judge_late(check, found):
        if found.pointer.path == gone and not done:  # as a delete and a collection would
            done.append(True)
            with dj.Connection(connection.settings) as other:
                other.query(f"DELETE FROM {table} WHERE picture = 5")
            store.delete(gone)
        return judge(check, found)

    monkeypatch.setattr(checking._Check, "_judge", judge_late)
    assert dj.fsck(connection=connection).n_damages == 0
    assert done


def test_a_schema_that_is_not_there_is_refused(connection, picture):
    with pytest.raises(UsageError, match=r'no schema "nowhere"'):
        dj.fsck("nowhere", connection=connection)


def test_all_of_a_lost_store_is_reported_and_the_result_stays_small(
    connection, picture, monkeypatch
):
    monkeypatch.setattr(checking, "MAX_SHOWN", 10)
    store = connection.store("raw").store
    for found in list(store.list(FOLDER)):
        store.delete(found.path)

    seen: list[checking.Damage] = []
    result = dj.fsck(connection=connection, each=seen.append)
    assert (result.n_damages, len(seen), len(result.damages)) == (N + 1, N + 1, 10)
