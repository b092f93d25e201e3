"""Rows whose objects are written before them: both are there at the end, or neither."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest

import djq as dj
from djq.errors import (
    BrokenReferenceError,
    ConfigError,
    DuplicateError,
    LostConnectionError,
    RowError,
    StorageError,
    UsageError,
)
from djq.objects import staged as staging
from djq.settings import load
from djq.storage.filesystem import FolderStore
from tests.integration.test_files import paths, raw, tree
from tests.support.s3 import s3_settings

__all__ = ["raw", "s3_settings"]


class OopsError(Exception):
    pass


@pytest.fixture
def recording(schema, raw):
    return declare(schema)


def declare(schema):
    @schema
    class Rig(dj.Lookup):
        definition = """
        rig : varchar(8)
        """
        contents = (("one",),)

    @schema
    class Recording(dj.Manual):
        definition = """
        recording : int32
        ---
        -> Rig
        raw = null : <object@raw>
        note = null : <object@raw>
        inline = null : <blob>
        """

    return Recording


ROW = {"recording": 1, "rig": "one"}


def stage(table, fill):
    with table.staged_insert1 as staged:
        staged.rec.update(ROW)
        fill(staged)


def test_a_file_is_written_in_the_block_and_a_row_is_there_after_it(recording, raw):
    with recording.staged_insert1 as staged:
        staged.rec.update(ROW)
        with staged.open("raw", ".bin") as file:
            file.write(b"12345")
            file.seek(1)
            file.write(b"x")
        with staged.open("note", "txt", "w") as file:
            file.write("ä\n")
        assert paths(raw) == []
        assert len(recording) == 0

    row = recording.fetch1()
    assert row["raw"].read() == b"1x345"
    assert row["raw"].verify()
    assert row["raw"].path.startswith(
        f"object/{recording.spec.name.schema}/recording/recording=1/raw_"
    )
    assert (row["raw"].ext, row["note"].ext) == (".bin", ".txt")
    assert row["note"].open(mode="r").read() == "ä\n"
    assert len(paths(raw)) == 2


def test_a_file_that_is_left_open_is_stored_whole(recording):
    with recording().staged_insert1 as staged:
        file = staged.open("raw")
        file.write(b"12345")
        staged.rec.update(ROW)

    assert file.closed
    assert recording.fetch1("raw").read() == b"12345"


def test_a_folder_is_stored_with_its_hashes(recording, tmp_path):
    with recording.staged_insert1 as staged:
        folder = staged.folder("raw", ".zarr")
        (folder / "c").mkdir()
        (folder / "c" / "0").write_bytes(b"zero")
        staged.rec.update(ROW)

    found = recording.fetch1("raw")
    assert (found.is_dir, found.ext, found.size) == (True, ".zarr", 4)
    assert tree(found.download(tmp_path / "x")) == {"c/0": b"zero"}
    assert not folder.exists()


def test_a_mapping_writes_straight_into_the_store(recording, raw):
    pytest.importorskip("fsspec")
    with recording.staged_insert1 as staged:
        staged.rec.update(ROW)
        mapping = staged.store("raw", ".zarr")
        mapping[".zgroup"] = b"{}"
        mapping["c/0/1"] = b"chunk"
        mapping["gone"] = b""
        del mapping["gone"]
        with mapping.fs.open(f"{mapping.root}/file", "wb") as file:
            file.write(b"file")
        with pytest.raises(PermissionError):
            mapping.fs.pipe_file("hash/x", b"")
        with pytest.raises(StorageError, match=r"not a path inside of a store"):
            mapping["../x"] = b""
        assert len(paths(raw)) == 3

    found = recording.fetch1("raw")
    assert dict(found.fsmap) == {".zgroup": b"{}", "c/0/1": b"chunk", "file": b"file"}
    assert (found.item_count, found.size, found.ext) == (3, 11, ".zarr")
    assert found.verify()


def test_what_was_written_long_ago_is_written_again_before_its_row(recording, raw, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setattr(staging, "FRESH", timedelta(seconds=-1))
    again = []
    with recording.staged_insert1 as staged:
        staged.rec.update(ROW)
        staged.store("raw")["a"] = b"1"
        put = raw.put
        monkeypatch.setattr(raw, "put", lambda path, data: (again.append(path), put(path, data)))

    found = recording.fetch1("raw")
    assert f"{found.path}/a" in again
    assert found.verify()


@pytest.mark.parametrize("kind", ["open", "folder", "store"])
def test_an_error_in_the_block_leaves_neither_row_nor_object(recording, raw, kind):
    if kind == "store":
        pytest.importorskip("fsspec")
    folders = []

    def fill(staged):
        if kind == "open":
            staged.open("raw").write(b"1")
        elif kind == "folder":
            folders.append(staged.folder("raw"))
            (folders[0] / "a").write_bytes(b"1")
        else:
            staged.store("raw")["a"] = b"1"
            assert len(paths(raw)) == 1
        raise OopsError

    with pytest.raises(OopsError):
        stage(recording, fill)

    assert len(recording) == 0
    assert paths(raw) == []
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, DuplicateError),
        ({"recording": 2, "rig": "none"}, BrokenReferenceError),
        ({"recording": 2, "more": 1}, RowError),
        ({"recording": 2, "inline": object()}, RowError),
        ({"recording": 2, "raw": b"1"}, UsageError),
        ({"recording": None}, RowError),
    ],
)
def test_a_row_that_is_refused_takes_its_objects_with_it(recording, raw, change, error):
    recording.insert1(ROW)

    def fill(staged):
        staged.rec.update(change)
        staged.open("raw").write(b"1")
        (staged.folder("note") / "a").write_bytes(b"1")

    with pytest.raises(error):
        stage(recording, fill)

    assert recording.to_dicts() == [{**ROW, "raw": None, "note": None, "inline": None}]
    assert paths(raw) == []


def test_objects_stay_where_nobody_knows_whether_the_row_is_there(recording, monkeypatch):
    database = type(recording().connection.database)
    insert = database.insert

    def insert_and_lose(*args, **options):
        insert(*args, **options)
        raise LostConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(database, "insert", insert_and_lose)
        with pytest.raises(LostConnectionError):
            stage(recording, lambda staged: staged.open("raw").write(b"1"))

    assert recording.fetch1("raw").read() == b"1"


def test_a_store_that_fails_in_the_end_leaves_no_row_and_says_so(recording, raw, monkeypatch):
    def fail(path, data):
        message = "the disk is full"
        raise StorageError(message)

    monkeypatch.setattr(raw, "put", fail)
    with pytest.raises(StorageError, match=r"disk is full"):
        stage(recording, lambda staged: staged.open("raw").write(b"1"))

    assert len(recording) == 0


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.open("row"), r'Recording: "row" is no attribute. Did you mean "raw"'),
        (lambda s: s.open("inline"), r'"inline" is <blob>, and only <object@store> can be staged'),
        (lambda s: s.folder("rig"), r'"rig" is varchar\(8\), and only'),
        (lambda s: s.open("raw", "../x"), r"is not an extension"),
        (lambda s: s.open("raw", mode="rb"), r"a new object is written"),
        (lambda s: (s.open("raw"), s.open("raw")), r'"raw" is staged already'),
    ],
)
def test_what_cannot_be_staged_is_refused_at_once(recording, raw, ask, words):
    with pytest.raises(UsageError, match=words):
        stage(recording, ask)
    assert len(recording) == 0


def test_a_path_needs_the_key(recording):
    pytest.importorskip("fsspec")
    with (
        pytest.raises(RowError, match=r'"recording" is not in rec yet'),
        recording.staged_insert1 as s,
    ):
        s.store("raw")


def test_nothing_is_staged_outside_of_the_block(recording):
    with recording.staged_insert1 as staged:
        staged.rec.update(ROW)
    with pytest.raises(UsageError, match=r"is used in a with block"):
        staged.open("raw")
    with pytest.raises(UsageError, match=r"is used in a with block"):
        recording.staged_insert1.folder("raw")


def test_a_make_stages_its_rows(schema, recording, raw):
    @schema
    class Spectrum(dj.Computed):
        definition = """
        -> Recording
        ---
        data : <object@raw>
        """

        def make(self, key):
            with self.staged_insert1 as staged:
                staged.rec.update(key)
                staged.open("data", ".bin").write(b"%d" % key["recording"])
                if key["recording"] == 2:
                    raise OopsError

    recording.insert({**ROW, "recording": i} for i in range(3))
    Spectrum.populate(suppress_errors=True)

    assert [ref.read() for ref in Spectrum.to_arrays("data", order_by="KEY")] == [b"0", b"1"]
    assert len(paths(raw)) == 2
    with pytest.raises(UsageError, match=r"is filled by make"), Spectrum.staged_insert1:
        pass


def test_without_fsspec_it_is_said_what_to_install(recording, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name="fsspec")

    monkeypatch.setattr("djq.objects.handle.pkgutil.resolve_name", missing)
    with pytest.raises(ConfigError, match=r"djq\[fsspec\]"):
        stage(recording, lambda staged: staged.store("raw"))


KILLED = """
import os, signal, sys
import djq as dj
from djq.settings import load
from djq.sql.engine import Database
from tests.integration.test_staged_inserts import declare, ROW

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

table = declare(dj.Schema(sys.argv[1], connection=dj.Connection(load())))
with table.staged_insert1 as staged:
    staged.rec.update(ROW)
    staged.open("raw").write(b"1")
    (staged.folder("note") / "a").write_bytes(b"1")
    if sys.argv[2] == "in the block":
        die()
    Database.insert = die
"""


@pytest.mark.parametrize(("when", "n_objects"), [("in the block", 0), ("before the row", 3)])
def test_a_killed_process_leaves_no_row(
    connection, schema_name, start_process, tmp_path, when, n_objects
):
    settings = load(
        database_url=connection.settings.resolved_database_url,
        state_dir=tmp_path / ".djq",
        stores={"raw": {"url": str(tmp_path / "raw")}},
    )
    env = {"TMPDIR": str(tmp_path)}
    process = start_process("-c", KILLED, schema_name, when, settings=settings, env=env)

    assert process.wait(60) == -signal.SIGKILL, process.text()

    recording = declare(dj.Schema(schema_name, connection=connection))
    assert len(recording) == 0
    assert len(paths(FolderStore(tmp_path / "raw"))) == n_objects
