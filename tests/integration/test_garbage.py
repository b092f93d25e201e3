"""`dj.gc`: what no row refers to goes, and nothing else, on every database."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.codecs import codec as codecs
from djq.errors import StorageError, UsageError
from djq.settings import load
from djq.sql.identity import identity_of
from djq.storage import collecting, content, sweeps
from djq.storage.clock import CLOCK
from djq.storage.owners import FOLDER as MARKS
from djq.tables import coding, garbage
from tests.support.s3 import closing_bucket

if TYPE_CHECKING:
    from djq.storage.filesystem import FolderStore

DAY_S = 86_400
OLD_S = 3 * DAY_S


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Nobody else puts objects: nobody needs to hear of it before they go."""
    monkeypatch.setattr(sweeps, "LEAD_S", 0)


@pytest.fixture
def picture(schema):
    """A table with an object for each row, and a part with one, too."""

    @schema
    class Picture(dj.Manual):
        definition = """
        picture : int32
        ---
        pixels : <blob@raw>
        mask = null : <blob@raw>
        """

        class Piece(dj.Part):
            definition = """
            -> master
            piece : int32
            ---
            cut : <blob@raw>
            """

    return Picture


@pytest.fixture
def collector(connection):
    return garbage.GarbageCollector(store="raw", connection=connection)


def row(number: int, seed: int | None = None) -> dict[str, object]:
    return {"picture": number, "pixels": f"pixels {number if seed is None else seed}"}


def paths(connection) -> set[str]:
    """The paths of all objects that djq put."""
    return {found.path for found in connection.store("raw").store.list(content.FOLDER)}


def age(connection, seconds: float = OLD_S) -> None:
    """Make all objects older."""
    store: FolderStore = connection.store("raw").store
    for found in store.list():
        if found.path.startswith(collecting.FOLDERS):
            then = found.modified.timestamp() - seconds
            os.utime(store.root / found.path, (then, then))


def put(connection, *names: str) -> set[str]:
    """Put objects that no row refers to."""
    return {connection.store("raw").put(name.encode()).path for name in names}


def test_what_nothing_refers_to_goes_and_the_rest_stays(connection, picture, collector):
    # Given: rows and parts with objects, one of which two rows share; a deleted row; garbage.
    picture.insert([row(i) for i in range(5)] + [row(6, seed=0)])
    picture.Piece.insert([{"picture": i, "piece": 0, "cut": f"cut {i}"} for i in range(3)])
    kept = paths(connection)
    picture.insert1(row(7))
    gone = paths(connection) - kept | put(connection, "a", "b")
    (picture & "picture = 7").delete(prompt=False)
    (picture & "picture = 0").delete(prompt=False)
    kept -= {p for p in kept if p not in referenced(connection, picture)}
    age(connection)
    before = paths(connection)

    # When
    dry = collector.collect()
    assert paths(connection) == before
    done = collector.collect(dry_run=False, claim=True)

    # Then: and what is left can be read.
    assert paths(connection) == kept
    assert gone.isdisjoint(kept)
    assert dry.n_garbage == done.n_garbage == done.n_deleted == len(before - kept)
    assert dry.n_garbage_bytes == done.n_deleted_bytes > 0
    assert (dry.n_deleted, done.n_kept, done.n_young) == (0, len(kept), 0)
    assert done.databases == (identity_of(connection.database),)
    assert {r["pixels"] for r in picture()} == {f"pixels {i}" for i in (0, 1, 2, 3, 4)}
    assert len(picture.Piece().to_dicts()) == 2
    assert collector.collect(dry_run=False).n_garbage == 0


def referenced(connection, picture) -> set[str]:
    found = connection.query(f"SELECT pixels FROM {stored_name(connection, picture)}")
    parts = connection.query(f"SELECT cut FROM {stored_name(connection, picture.Piece)}")
    return {text.split('"path": "')[1].split('"')[0] for (text,) in [*found, *parts]}


def stored_name(connection, table) -> str:
    name = table.spec.name
    return f'"{name}"' if connection.database.is_sqlite else f"`{name.schema}`.`{name.table}`"


def test_nothing_that_somebody_else_keeps_in_the_store_is_garbage(connection, picture, collector):
    store = connection.store("raw").store
    others = ["notes.txt", "hash/readme", "hash/ab/cdef", f"hash/ab/{'c' * 64}", "hash_/x/y"]
    for path in [*others, "hash/lab/" + "a" * 26, "deep/hash/aa/" + "a" * 64]:
        store.put(path, b"theirs")
    (mine,) = put(connection, "mine")
    age(connection)

    found: list[str] = []
    done = collector.collect(dry_run=False, claim=True, each=found.append)

    assert found == [mine]
    assert done.n_deleted == 1
    assert all(bytes(store.get(path)) == b"theirs" for path in others)


def test_files_and_folders_of_rows_that_are_gone_go_and_those_of_users_stay(
    connection, schema, collector, tmp_path
):
    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        ---
        files : <object@raw>
        notes = null : <filepath@raw>
        """

    store = connection.store("raw").store
    store.put("users/notes.txt", b"theirs")
    folder = tmp_path / "files"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "deep" / "b.txt").write_bytes(b"b")
    Session.insert1({"session": 1, "files": folder, "notes": "users/notes.txt"})
    kept = {found.path for found in store.list()}
    Session.insert([{"session": 2, "files": folder}, {"session": 3, "files": (".bin", b"c")}])
    (Session & "session > 1").delete(prompt=False)
    age(connection)

    done = collector.collect(dry_run=False, claim=True)

    left = {found.path for found in store.list() if not found.path.startswith(".djq-")}
    assert left == {path for path in kept if not path.startswith(".djq-")}
    assert done.n_deleted >= 3
    assert dj.fsck(connection=connection, verify=True).n_damages == 0


def test_files_in_rows_refer_to_no_store(connection, schema, picture, collector, tmp_path):
    """`<attach>` is bytes of the row; `<attach@raw>` is an object, and stays."""

    @schema
    class Protocol(dj.Manual):
        definition = """
        protocol : int32
        ---
        scan : <attach>
        original : <attach@raw>
        """

    file = tmp_path / "f.txt"
    file.write_bytes(b"x")
    Protocol.insert1({"protocol": 1, "scan": file, "original": file})
    kept = paths(connection)
    put(connection, "a")
    age(connection)

    done = collector.collect(dry_run=False, claim=True)

    assert (done.n_references, done.n_deleted, paths(connection)) == (1, 1, kept)
    assert dj.fsck(connection=connection, verify=True).n_damages == 0


def test_a_store_that_a_codec_chooses_for_an_attribute_without_one_counts(
    connection, schema, collector
):
    class ChoosingCodec(dj.Codec):
        name = "choosing_for_garbage"
        writes_objects = True

        def get_dtype(self, is_store: bool) -> str:
            return "json"

        def encode(self, value, *, context=None):
            return context.open_store("raw").put(value).to_json()

        def decode(self, stored):
            return stored

    @schema
    class Choice(dj.Manual):
        definition = """
        choice : int32
        ---
        wave : <choosing_for_garbage>
        """

    try:
        Choice.insert1({"choice": 1, "wave": b"la"})
        age(connection)
        assert collector.collect(dry_run=False, claim=True).n_deleted == 0
        assert len(paths(connection)) == 1
    finally:
        del codecs.registered["choosing_for_garbage"]
        coding._chain.cache_clear()


def test_young_objects_stay(connection, picture, collector):
    put(connection, "a")
    age(connection, DAY_S / 2)
    assert collector.collect(dry_run=False, claim=True).n_young == 1
    assert collector.collect(dry_run=False, grace=DAY_S / 4).n_deleted == 1


def test_a_grace_period_shorter_than_an_insert_is_refused(connection, collector):
    put(connection, "a")
    with pytest.raises(UsageError, match=r"longer than 1 h 11 min"):
        collector.collect(grace=71 * 60)
    assert collector.collect(grace=71 * 60 + 1).n_young == 1


def test_rows_of_all_schemas_count_whoever_declared_them(
    connection, schema_name, picture, collector
):
    # Given: a schema that no class of this process stands for, and a hidden table.
    other = dj.Schema(f"{schema_name}_other", connection=connection)

    @other
    class Sound(dj.Manual):
        definition = """
        sound : int32
        ---
        wave : <blob@another_name>
        """

    settings = connection.settings.model_copy(
        update={"stores": {"another_name": connection.settings.store("raw")}}
    )
    with dj.Connection(settings) as theirs:
        dj.FreeTable(theirs, str(Sound.spec.name)).insert1({"sound": 1, "wave": "la"})
    connection.catalog.forget()
    age(connection)

    assert collector.collect(dry_run=False, claim=True).n_deleted == 0
    assert len(paths(connection)) == 1


def test_a_row_copied_by_the_server_while_it_is_collected_keeps_its_object(
    connection, another, schema, picture, monkeypatch
):
    """No table is read at another moment than the others."""

    @schema
    class Archive(dj.Manual):  # read before Picture
        definition = """
        archived : int32
        ---
        pixels : <blob@raw>
        """

    picture.insert1(row(1))
    age(connection)
    read = garbage.read
    source, target = stored_name(connection, picture), stored_name(connection, Archive)
    moved: list[bool] = []

    def read_and_move(snapshot, place, where):
        yield from read(snapshot, place, where)
        if place.table == Archive.spec.name:  # between the two tables
            another.query(f"INSERT INTO {target} SELECT picture, pixels FROM {source}")
            another.query(f"DELETE FROM {source}")
            moved.append(True)

    monkeypatch.setattr(garbage, "read", read_and_move)
    done = garbage.collect(store="raw", connection=connection, dry_run=False, claim=True)

    assert moved
    assert done.n_deleted == 0
    assert Archive.fetch1("pixels") == "pixels 1"


# --- refusals ------------------------------------------------------------------------------------


def test_a_store_that_was_never_claimed_is_looked_at_and_not_touched(connection, collector):
    put(connection, "a")
    age(connection)
    assert collector.collect().n_garbage == 1
    with pytest.raises(UsageError, match=r"never claimed by .*djq gc raw --claim"):
        collector.collect(dry_run=False)
    assert len(paths(connection)) == 1


def test_a_store_of_another_database_is_not_touched_unless_that_is_asked_too(
    connection, collector, tmp_path
):
    # Given: another database, whose row refers to an object of the same store.
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    with dj.Connection(load(database_url=url, state_dir=tmp_path / ".djq")) as other:
        theirs = dj.Schema("theirs", connection=other)

        @theirs
        class Sound(dj.Manual):
            definition = """
            sound : int32
            ---
            wave : <blob@raw>
            """

        Sound.insert1({"sound": 1, "wave": "la"})
        put(connection, "a")
        age(connection)
        assert other.store("raw").store.root == connection.store("raw").store.root
        of_theirs = garbage.GarbageCollector(store="raw", connection=other)
        assert of_theirs.collect(claim=True).n_garbage == 1

        # When, then
        wanted = rf"also used by {identity_of(other.database)}.* \(djq gc raw --also URL\)"
        with pytest.raises(UsageError, match=wanted):
            collector.collect(dry_run=False, claim=True)
        assert len(paths(connection)) == 2
        both = garbage.GarbageCollector(store="raw", connection=connection, also=[other])
        assert both.collect(dry_run=False).n_deleted == 1
        assert Sound.fetch1("wave") == "la"


def test_a_value_that_is_no_reference_stops_it(connection, picture, collector):
    picture.insert1(row(1))
    put(connection, "a")
    age(connection)
    table = stored_name(connection, picture)
    connection.query(f"""UPDATE {table} SET pixels = '{{"path": 3}}'""")

    with pytest.raises(
        StorageError, match=r"picture\.pixels of the row picture=1: .* is not a ref"
    ):
        collector.collect(dry_run=False, claim=True)
    assert len(paths(connection)) == 2


def test_a_codec_that_is_not_known_here_stops_it(connection, schema, collector):
    class SketchCodec(dj.Codec):
        name = "sketch_for_garbage"

        def get_dtype(self, is_store: bool) -> str:
            return "<blob>"

        def encode(self, value, *, key=None):
            return value

        def decode(self, stored, *, key=None):
            return stored

    @schema
    class Sketch(dj.Manual):
        definition = """
        sketch : int32
        ---
        lines : <sketch_for_garbage@raw>
        """

    try:
        Sketch.insert1({"sketch": 1, "lines": [1, 2]})
        age(connection)
        # The definition names no store; the codec does.
        assert collector.collect(dry_run=False, claim=True).n_deleted == 0
    finally:
        del codecs.registered["sketch_for_garbage"]
        coding._chain.cache_clear()
    with pytest.raises(UsageError, match=r"lines: .* unknown codec .*--import"):
        collector.collect(dry_run=False)
    assert len(paths(connection)) == 1


def test_a_listing_that_breaks_off_is_an_error(connection, picture, collector, monkeypatch):
    put(connection, "a", "b")
    age(connection)
    store = connection.store("raw").store

    def broken(prefix=""):
        yield from ()
        raise StorageError("the listing broke off")  # noqa: EM101, TRY003 - as a server's

    monkeypatch.setattr(store, "list", broken)
    with pytest.raises(StorageError, match=r"broke off"):
        collector.collect(dry_run=False, claim=True)
    monkeypatch.undo()
    assert len(paths(connection)) == 2


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_store_that_is_not_there_is_refused_and_not_made(connection, picture, dry_run):
    put(connection, "a")
    folders = sorted(connection.settings.state_dir.glob("stores/*"))
    collector = garbage.GarbageCollector(store="row", connection=connection)
    with pytest.raises(UsageError, match=r'no store "row".*Did you mean "raw"\?.*stores: raw$'):
        collector.collect(dry_run, claim=not dry_run)
    with pytest.raises(UsageError, match=r'no store "row"'):
        dj.fsck(store="row", connection=connection)
    assert sorted(connection.settings.state_dir.glob("stores/*")) == folders


def test_a_dry_run_writes_nothing(connection, picture, collector):
    store = connection.store("raw").store
    put(connection, "a")
    age(connection)
    store.delete(CLOCK)
    before = list(store.list())

    assert collector.collect().n_garbage == 1

    assert list(store.list()) == before


def test_clocks_that_differ_by_hours_stop_it(connection, collector, monkeypatch):
    put(connection, "a")
    now = connection.database.clock()
    monkeypatch.setattr(connection.database, "clock", lambda: now - dt.timedelta(hours=3))
    with pytest.raises(UsageError, match=r"differ by (3 h|2 h 59 min)"):
        collector.collect(dry_run=False, claim=True)


@pytest.mark.needs_row_locks(reason="and has no users")
def test_a_user_from_whom_schemas_are_hidden_names_those_that_use_stores(
    connection, schema_name, picture, tmp_path
):
    # Given: a user who sees one schema of two.
    hidden = dj.Schema(f"{schema_name}_hidden", connection=connection)

    @hidden
    class Sound(dj.Manual):
        definition = """
        sound : int32
        ---
        wave : <blob@raw>
        """

    user = f"u_{schema_name}"
    connection.query(f"CREATE USER {user} IDENTIFIED BY 'secret'")
    try:
        connection.query(f"GRANT SELECT ON `{schema_name}`.* TO {user}")
        url = connection.database.url.set(username=user, password="secret")
        mine = load(
            database_url=url.render_as_string(hide_password=False), state_dir=tmp_path / ".djq"
        )
        put(connection, "a")
        age(connection)
        with dj.Connection(mine) as opened:
            # When, then: refused, and refused to lie.
            with pytest.raises(UsageError, match=r"may not read every schema .*--schema"):
                garbage.collect(store="raw", connection=opened)
            with pytest.raises(UsageError, match=r"no schema \"t_\w+_hidden\""):
                garbage.collect(hidden.name, store="raw", connection=opened)
            found = garbage.collect(
                schema_name, store="raw", connection=opened, dry_run=False, claim=True
            )
            assert found.n_deleted == 1
        connection.query(f"GRANT SELECT ON *.* TO {user}")
        with dj.Connection(mine) as opened:
            assert garbage.collect(store="raw", connection=opened).n_garbage == 0
    finally:
        connection.query(f"DROP USER {user}")


@pytest.mark.needs_row_locks(reason="and its transactions are not listed")
def test_objects_put_since_the_oldest_open_transaction_began_stay(
    connection, another, picture, collector, monkeypatch
):
    put(connection, "a")
    age(connection)
    picture.insert1(row(1))
    with another.transaction:
        another.query(f"UPDATE {stored_name(connection, picture)} SET mask = NULL")
        oldest = garbage.oldest_transaction(connection.database)
        assert oldest is not None
        assert oldest < dt.timedelta(minutes=1)
        with monkeypatch.context() as patch:
            patch.setattr(garbage, "oldest_transaction", lambda _: dt.timedelta(days=4))
            assert collector.collect(dry_run=False, claim=True).n_deleted == 0
    assert collector.collect(dry_run=False).n_deleted == 1


def test_a_bucket_is_collected_like_a_folder(
    database_url, schema_name, s3_settings, tmp_path, monkeypatch
):
    for module in (collecting, content):
        monkeypatch.setattr(module, "FRESH", dt.timedelta())
    monkeypatch.setattr(collecting, "MARGIN", dt.timedelta())
    settings = load(
        database_url=database_url, state_dir=tmp_path / ".djq", stores={"raw": s3_settings}
    )
    with dj.Connection(settings) as connection, closing_bucket(connection):
        schema = dj.Schema(schema_name, connection=connection)

        @schema
        class Sound(dj.Manual):
            definition = """
            sound : int32
            ---
            wave : <blob@raw>
            """

        Sound.insert({"sound": i, "wave": f"la {i}"} for i in range(20))
        kept = paths(connection)
        put(connection, *map(str, range(30)))
        collector = garbage.GarbageCollector(store="raw", connection=connection)
        assert collector.collect(grace=60).n_young == 50
        # Ages are whole seconds there.
        later = collecting.cutoff
        monkeypatch.setattr(
            garbage, "cutoff", lambda now, *a: later(now, *a) + dt.timedelta(seconds=70)
        )
        done = collector.collect(dry_run=False, grace=60, claim=True)

        assert done.n_deleted == 30
        assert paths(connection) == kept
        assert len(Sound().to_dicts()) == 20
        assert MARKS not in {p.partition("/")[0] for p in paths(connection)}
