"""Files and folders in rows and stores, on every database and kind of store."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
from pathlib import Path

import pytest

import djq as dj
from djq.errors import (
    DuplicateError,
    ObjectCorruptedError,
    ObjectMissingError,
    RowError,
    StorageError,
    UsageError,
)
from djq.objects.managed import ObjectCodec
from djq.settings import StoreSettings, load
from djq.storage.filesystem import FolderStore
from djq.tables.connection import Connection
from tests.support.s3 import s3_settings

__all__ = ["s3_settings"]


@pytest.fixture(params=["folder", "bucket"])
def raw(request, connection, tmp_path):
    """The store `raw`; its settings are part of the connection's."""
    if request.param == "folder":
        settings = StoreSettings(url=str(tmp_path / "raw"))
    else:
        settings = request.getfixturevalue("s3_settings")
    connection._settings = load(
        database_url=connection.settings.resolved_database_url,
        state_dir=connection.settings.state_dir,
        stores={"raw": settings.model_dump()},
        download_path=tmp_path / "fetched",
    )
    store = connection.store("raw").store
    yield store
    # pytest keeps fixtures longer than the check for open connections lasts.
    vars(store).pop("_client", None)


def paths(store):
    return sorted(found.path for found in store.list() if not found.path.startswith(".djq"))


def referenced(ref):
    return {path for path, _ in ObjectCodec().referenced_paths(ref.to_json())}


def tree(folder):
    """Return the files below a folder, by their paths."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def written(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


# --- attachments -------------------------------------------------------------------------------


@pytest.fixture
def protocol(schema, raw):
    @schema
    class Protocol(dj.Manual):
        definition = """
        protocol : int32
        ---
        text = null : <attach>
        scan = null : <attach@raw>
        """

    return Protocol


@pytest.mark.parametrize("name", ["text", "scan"])
def test_an_attachment_comes_back_as_a_file_of_its_name(protocol, tmp_path, name):
    source = written(tmp_path / "a", "Größe 1.txt", b"one\0two")
    protocol.insert1({"protocol": 1, name: source})
    protocol.insert1({"protocol": 2, name: str(source)})

    found = protocol.to_arrays(name)

    assert list(found) == [str(tmp_path / "fetched" / "Größe 1.txt")] * 2
    assert (tmp_path / "fetched" / "Größe 1.txt").read_bytes() == b"one\0two"


@pytest.mark.parametrize("name", ["text", "scan"])
def test_attachments_of_one_name_and_other_content_stay_apart(protocol, tmp_path, name):
    for i in range(3):
        source = written(tmp_path / str(i), "a.txt", b"%d" % (i % 2))
        protocol.insert1({"protocol": i, name: source})

    found = protocol.to_arrays(name, order_by="KEY")

    assert [Path(path).read_bytes() for path in found] == [b"0", b"1", b"0"]
    assert found[0] == found[2]
    assert tree(tmp_path / "fetched").keys() == {"a.txt", "a_1.txt"}


def test_equal_attachments_are_one_object(protocol, raw, tmp_path):
    source = written(tmp_path, "a.txt", b"same")
    protocol.insert({"protocol": i, "scan": source} for i in range(3))

    assert len(paths(raw)) == 1
    assert bytes(raw.get(paths(raw)[0])) == b"a.txt\0same"


@pytest.mark.parametrize("name", ["text", "scan"])
def test_what_is_no_file_is_refused_with_its_place(protocol, raw, tmp_path, name):
    for value, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "no", "is no file"),
        ("", "the path is empty"),
        (3, "the path"),
    ):
        with pytest.raises(RowError, match=rf'Protocol, row 1, attribute "{name}": .*{words}'):
            protocol.insert1({"protocol": 1, name: value})

    assert len(protocol) == 0
    assert paths(raw) == []


def test_a_damaged_attachment_leaves_no_file(protocol, raw, tmp_path):
    protocol.insert1({"protocol": 1, "scan": written(tmp_path, "a.txt", b"right")})
    raw.put(paths(raw)[0], b"a.txt\0wrong")

    with pytest.raises(ObjectCorruptedError, match=r"is damaged"):
        protocol.fetch1("scan")
    assert not [*(tmp_path / "fetched").iterdir()]


def test_an_attachment_of_several_parts_streams(protocol, tmp_path):
    content = bytes(range(256)) * (20 << 12)
    protocol.insert1({"protocol": 1, "scan": written(tmp_path, "large.bin", content)})

    with open(protocol.fetch1("scan"), "rb") as file:
        assert file.read() == content


# --- references to files that are in the store ---------------------------------------------------


@pytest.fixture
def movie(schema, raw):
    @schema
    class Movie(dj.Manual):
        definition = """
        movie : int32
        ---
        file : <filepath@raw>
        """

    return Movie


def test_a_file_of_the_store_is_referred_to_and_not_copied(movie, raw):
    raw.put("rig/one.avi", b"12345")
    movie.insert1({"movie": 1, "file": "rig/one.avi"})

    found = movie.fetch1("file")

    assert (found.path, found.store, found.size, found.is_dir) == ("rig/one.avi", "raw", 5, False)
    assert found.read() == b"12345"
    assert paths(raw) == ["rig/one.avi"]


def test_a_folder_of_the_store_is_referred_to(movie, raw, tmp_path):
    raw.put("rig/a/1.tif", b"1")
    raw.put("rig/a/b/2.tif", b"22")
    movie.insert1({"movie": 1, "file": "rig/a/"})

    found = movie.fetch1("file")

    assert found.is_dir
    assert found.listdir() == ["1.tif", "b"]
    assert found.open("b/2.tif").read() == b"22"
    assert found.verify()
    assert (found.download(tmp_path / "x") / "b" / "2.tif").read_bytes() == b"22"


def test_a_handle_refers_to_the_same_file_in_another_row(movie, raw):
    raw.put("one.avi", b"1")
    movie.insert1({"movie": 1, "file": "one.avi"})
    movie.insert1({"movie": 2, "file": movie.fetch1("file")})

    assert {ref.path for ref in movie.to_arrays("file")} == {"one.avi"}


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("rig/none.avi", ObjectMissingError, r"rig/none.avi is not in the store \"raw\""),
        ("hash/aa/x", RowError, r"objects come and go with rows"),
        ("object/lab/x", RowError, r"objects come and go with rows"),
        ("_schema/lab/x", RowError, r"objects come and go with rows"),
        (".djq-incoming/x", RowError, r"objects come and go with rows"),
        ("../x", StorageError, r"is not a path inside of a store"),
        ("/etc/passwd", StorageError, r"is not a path inside of a store"),
        ("", RowError, r"the path is empty"),
        (b"one", RowError, r"takes a path within the store"),
    ],
)
def test_a_wrong_path_is_refused_with_its_place(movie, raw, path, error, words):
    raw.put("rig/one.avi", b"1")
    rows = [{"movie": 1, "file": "rig/one.avi"}, {"movie": 2, "file": path}]

    with pytest.raises(error, match=rf'Movie, row 2, attribute "file": .*{words}'):
        movie.insert(rows)
    assert len(movie) == 0


def test_an_absolute_path_into_a_folder_store_becomes_one_within_it(movie, raw):
    if not isinstance(raw, FolderStore):
        pytest.skip("a bucket has no paths on this machine")
    raw.put("rig/one.avi", b"1")
    movie.insert1({"movie": 1, "file": raw.root / "rig" / "one.avi"})

    assert movie.fetch1("file").path == "rig/one.avi"


# --- files that belong to their row --------------------------------------------------------------


@pytest.fixture
def scan(schema, raw):
    @schema
    class Scan(dj.Manual):
        definition = """
        subject : varchar(32)
        scan : int32
        ---
        data = null : <object@raw>
        """

    return Scan


def a_folder(tmp_path):
    written(tmp_path / "frames", "0.bin", b"zero")
    written(tmp_path / "frames" / "deep" / "er", "1.bin", b"one")
    written(tmp_path / "frames", "empty", b"")
    return tmp_path / "frames"


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "pair", "stream", "handle"])
def test_a_value_becomes_an_object_of_its_own(scan, raw, tmp_path, kind):
    content = bytes(range(256)) * 300
    source = written(tmp_path, "a.bin", content)
    if kind == "handle":
        scan.insert1({"subject": "other", "scan": 1, "data": source})
    values = {
        "path": source,
        "text": str(source),
        "bytes": content,
        "pair": (".bin", memoryview(content)),
        "stream": (".bin", io.BytesIO(content)),
        "handle": (scan & "subject = 'other'").fetch1("data") if kind == "handle" else None,
    }
    scan.insert1({"subject": "m 1/ä", "scan": 7, "data": values[kind]})

    found = (scan & "scan = 7").fetch1("data")

    place = (
        rf"object/{scan.spec.name.schema}/scan/subject=m%201%2F%C3%A4/scan=7/data_[0-9a-f]{{16}}"
    )
    ext = "" if kind == "bytes" else ".bin"
    assert re.fullmatch(place + re.escape(ext), found.path), found.path
    assert (found.size, found.ext, found.is_dir) == (len(content), ext or None, False)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.read() == content
    assert len(paths(raw)) == (2 if kind == "handle" else 1)


def test_nothing_is_asked_of_the_store_before_the_content_is(scan, raw, monkeypatch):
    scan.insert1({"subject": "a", "scan": 1, "data": b"123"})
    monkeypatch.setattr(Connection, "store", None)

    found = scan.fetch1("data")

    assert repr(found).startswith("ObjectRef(file 'object/")
    assert found.size == 3
    assert referenced(found) == {found.path}


def test_a_stored_file_is_read_where_it_is_asked_for(scan):
    content = b"line 1\nline 2 \xc3\xa4\n"
    scan.insert1({"subject": "a", "scan": 1, "data": content})
    found = scan.fetch1("data")

    with found.open() as file:
        assert file.seek(-4, io.SEEK_END) == len(content) - 4
        assert file.read() == content[-4:]
        assert file.seek(5) == 5
        assert file.read(3) == content[5:8]
        assert file.read() == content[8:]
        assert file.read() == b""
    with found.open(mode="r") as file:
        assert list(file) == ["line 1\n", "line 2 ä\n"]
    with pytest.raises(UsageError, match=r"an object is never changed"):
        found.open(mode="wb")


def test_a_folder_becomes_a_folder_with_a_manifest(scan, raw, tmp_path):
    scan.insert1({"subject": "a", "scan": 1, "data": a_folder(tmp_path)})

    found = scan.fetch1("data")

    assert (found.is_dir, found.size, found.item_count, found.ext) == (True, 7, 3, None)
    assert paths(raw) == sorted(
        f"{found.path}{end}" for end in ("/0.bin", "/deep/er/1.bin", "/empty", ".manifest.json")
    )
    assert found.listdir() == ["0.bin", "deep", "empty"]
    assert found.listdir("deep") == ["er"]
    assert list(found.walk()) == [
        ("", ["deep"], ["0.bin", "empty"]),
        ("deep", ["er"], []),
        ("deep/er", [], ["1.bin"]),
    ]
    assert found.open("deep/er/1.bin").read() == b"one"
    assert [(part.name, part.is_dir, part.size) for part in found.iterdir()] == [
        ("0.bin", False, 4),
        ("deep", True, 3),
        ("empty", False, 0),
    ]
    assert found.exists()
    assert found.exists("deep/er")
    assert not found.exists("deep/no")
    assert found.verify()
    assert referenced(found) == {found.path, f"{found.path}.manifest.json"}


def test_a_folder_comes_back_as_it_was(scan, tmp_path):
    source = a_folder(tmp_path)
    for i in range(30):
        written(source / "many", f"{i}.bin", b"%d" % i)
    scan.insert1({"subject": "a", "scan": 1, "data": source})
    found = scan.fetch1("data")

    target = found.download(tmp_path / "here")

    assert target == tmp_path / "here" / found.name
    assert tree(target) == tree(source)
    assert tree(tmp_path / "here").keys() == {f"{found.name}/{name}" for name in tree(source)}
    with pytest.raises(UsageError, match=r"is there already"):
        found.download(tmp_path / "here")
    part = found.download(tmp_path / "one.bin", "deep/er/1.bin")
    assert part.read_bytes() == b"one"


def test_a_copy_of_a_folder_belongs_to_its_own_row(scan, raw, tmp_path):
    scan.insert1({"subject": "a", "scan": 1, "data": a_folder(tmp_path)})
    first = scan.fetch1("data")
    scan.insert1({"subject": "a", "scan": 2, "data": first})
    for path in paths(raw):
        if path.startswith(first.path):
            raw.delete(path)

    second = (scan & "scan = 2").fetch1("data")

    assert second.verify()
    assert tree(second.download(tmp_path / "x")) == tree(tmp_path / "frames")
    assert not first.exists()


def test_a_file_goes_where_it_is_wanted(scan, tmp_path):
    scan.insert1({"subject": "a", "scan": 1, "data": (".txt", b"123")})
    found = scan.fetch1("data")
    (tmp_path / "folder").mkdir()

    assert found.download(tmp_path / "folder") == tmp_path / "folder" / found.name
    assert found.download(tmp_path / "new" / "a.txt") == tmp_path / "new" / "a.txt"
    assert tree(tmp_path / "new") == {"a.txt": b"123"}


@pytest.mark.parametrize("is_folder", [False, True])
def test_damage_is_found_and_leaves_no_file(scan, raw, tmp_path, is_folder):
    source = a_folder(tmp_path) if is_folder else b"zero"
    scan.insert1({"subject": "a", "scan": 1, "data": source})
    found = scan.fetch1("data")
    damaged = f"{found.path}/0.bin" if is_folder else found.path
    raw.put(damaged, b"nine")

    asks = [found.verify, lambda: found.download(tmp_path / "x")]
    asks.append(lambda: found.open("0.bin" if is_folder else None).read())
    for ask in asks if is_folder else [*asks, found.read]:
        with pytest.raises(ObjectCorruptedError, match=re.escape(damaged)):
            ask()
    assert not (tmp_path / "x").exists() or tree(tmp_path / "x") == {}
    raw.delete(damaged)
    with pytest.raises(ObjectMissingError):
        found.verify()


def test_a_folder_with_hostile_names_is_not_written_outside(scan, raw, tmp_path):
    scan.insert1({"subject": "a", "scan": 1, "data": a_folder(tmp_path)})
    found = scan.fetch1("data")
    manifest = json.dumps({"files": [{"path": "../../evil", "size": 4}]}).encode()
    raw.put(f"{found.path}.manifest.json", manifest)

    with pytest.raises(ObjectCorruptedError, match=r"another hash than its row says"):
        found.download(tmp_path / "x")
    believed = dataclasses.replace(found, sha256=hashlib.sha256(manifest).hexdigest())
    with pytest.raises(StorageError, match=r"is not the name of a file in a folder"):
        believed.download(tmp_path / "x")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "takes the path of a file or folder"),
        ("no such file", "is no file or folder"),
        ("", "the path is empty"),
        ((".bin", ""), "the path is empty"),
        ("a\0b", "is no file or folder|cannot be read"),
        (("../x", b"1"), "is not an extension"),
        ((1, 2, 3), "a tuple is an extension and a value"),
        (io.StringIO("text"), "open it as binary"),
        (type("Odd", (), {"read": lambda self, n: "text"})(), "open it as binary"),
    ],
)
def test_what_is_no_object_is_refused_with_its_place(scan, raw, value, words):
    with pytest.raises(RowError, match=rf'Scan, row 1, attribute "data": .*({words})'):
        scan.insert1({"subject": "a", "scan": 1, "data": value})
    assert len(scan) == 0
    assert paths(raw) == []


def test_a_folder_with_a_link_to_a_folder_is_refused(scan, tmp_path):
    source = a_folder(tmp_path)
    (source / "loop").symlink_to(source)
    with pytest.raises(RowError, match=r"row 1, attribute \"data\": .*loop is neither a file"):
        scan.insert1({"subject": "a", "scan": 1, "data": source})


def test_a_row_that_is_refused_leaves_only_objects_that_nothing_refers_to(scan, raw):
    scan.insert1({"subject": "a", "scan": 1, "data": b"1"})
    with pytest.raises(DuplicateError):
        scan.insert1({"subject": "a", "scan": 1, "data": b"2"})

    assert scan.fetch1("data").read() == b"1"
    assert len(paths(raw)) == 2


def test_a_handle_opens_as_a_mapping(scan, tmp_path):
    pytest.importorskip("fsspec")
    scan.insert1({"subject": "a", "scan": 1, "data": a_folder(tmp_path)})
    found = scan.fetch1("data").fsmap

    assert sorted(found) == ["0.bin", "deep/er/1.bin", "empty"]
    assert found["deep/er/1.bin"] == b"one"
    assert "no" not in found
    assert found.fs.cat_file(f"{found.root}/0.bin", 1, 3) == b"er"
    assert found.fs.ls(found.root, detail=False) == [
        f"{found.root}/{name}" for name in ("0.bin", "deep", "empty")
    ]
    with pytest.raises(PermissionError, match=r"objects of rows are never changed"):
        found["0.bin"] = b"new"


def test_populate_makes_files(schema, scan, tmp_path):
    @schema
    class Report(dj.Computed):
        definition = """
        -> Scan
        ---
        page : <object@raw>
        note : <attach>
        """

        def make(self, key):
            data = (scan & key).fetch1("data").read()
            note = written(tmp_path / str(key["scan"]), "note.txt", b"%d" % key["scan"])
            self.insert1({**key, "page": (".txt", data.upper()), "note": note})

    scan.insert({"subject": "a", "scan": i, "data": b"page %d" % i} for i in range(3))

    Report.populate()

    assert [page.read() for page in Report.to_arrays("page", order_by="KEY")] == [
        b"PAGE %d" % i for i in range(3)
    ]
    assert len(set(Report.to_arrays("note"))) == 3


def test_a_make_of_three_parts_fetches_handles_and_compares_what_their_rows_say(schema, scan):
    @schema
    class Length(dj.Computed):
        definition = """
        -> Scan
        ---
        n_bytes : int32
        """

        def make_fetch(self, key):
            return (scan & key).fetch1("data"), (scan & key).fetch()

        def make_compute(self, key, data, rows):
            return (len(data.read()),)

        def make_insert(self, key, n_bytes):
            self.insert1({**key, "n_bytes": n_bytes})

    scan.insert({"subject": "a", "scan": i, "data": b"1" * i} for i in range(3))

    Length.populate()

    assert list(Length.to_arrays("n_bytes", order_by="KEY")) == [0, 1, 2]
