"""What cannot be read names its row, also where the key is not fetched."""

from __future__ import annotations

import numpy as np
import pytest

import djq as dj
from djq.errors import (
    CodecError,
    LostConnectionError,
    ObjectCorruptedError,
    ObjectMissingError,
)
from djq.sql.bulk import MAX_STATEMENT

FETCHES = {
    "fetch": lambda q: q.fetch("v"),
    "as_dict": lambda q: q.fetch("v", as_dict=True),
    "ordered": lambda q: q.fetch("v", order_by="KEY DESC", limit=9),
    "part of the key": lambda q: q.fetch("rig", "v"),
    "to_arrays": lambda q: q.to_arrays("v"),
    "fetch1": lambda q: (q & {"rig": "b", "scan": 2}).fetch1("v"),
    "renamed": lambda q: (q & {"rig": "b", "scan": 2}).proj(w="v").fetch1("w"),
    "with its key": lambda q: q.to_dicts(),
}
ROWS = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1)]


@pytest.fixture
def scan(schema):
    """Rows with a composite key, of which each has an object and a blob of its own."""

    @schema
    class Scan(dj.Manual):
        definition = """
        rig : varchar(9)
        scan : int32
        ---
        v : <blob@raw>
        """

    Scan.insert([(*key, np.arange(9) + i) for i, key in enumerate(ROWS)])
    return Scan


@pytest.fixture
def inside(schema):
    """The same with the value in the row."""

    @schema
    class Inside(dj.Manual):
        definition = """
        rig : varchar(9)
        scan : int32
        ---
        v : <blob>
        """

    Inside.insert([(*key, np.arange(9) + i) for i, key in enumerate(ROWS)])
    return Inside


def path_of(table, connection, key):
    """Return where the object of a row is."""
    node = (table & dict(zip(("rig", "scan"), key, strict=True))).node
    reference = connection.database.fetch(node)[0][node.heading.names.index("v")]
    return str(reference["path"])


def harm(table, connection, data):
    """Put other bytes into the row b, 2."""
    shown = table.make_sql().partition("FROM ")[2].split()[0]
    mark = "?" if connection.database.is_sqlite else "%s"
    connection.query(f"UPDATE {shown} SET v = {mark} WHERE rig = 'b' AND scan = 2", (data,))


def place(table, key="rig=b scan=2"):
    return f'{table.spec.name}, attribute "v" of the row {key}: '


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
def test_a_missing_or_damaged_object_is_an_error_that_names_the_row(scan, connection, fetch):
    # Given
    path = path_of(scan, connection, ("b", 2))
    store = connection.store("raw").store

    # When, then: other bytes, no bytes.
    store.put(path, b"damaged")
    with pytest.raises(ObjectCorruptedError) as damaged:
        fetch(scan)
    store.delete(path)
    with pytest.raises(ObjectMissingError) as missing:
        fetch(scan)
    for caught in (damaged, missing):
        assert str(caught.value).startswith(f'{place(scan)}store "raw": ')
        assert path in str(caught.value)
        assert str(caught.value).count("of the row") == 1


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
def test_damage_within_a_row_is_an_error_that_names_the_row(inside, connection, fetch):
    harm(inside, connection, b"damaged")
    with pytest.raises(CodecError) as caught:
        fetch(inside)
    assert str(caught.value).startswith(place(inside))


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
def test_a_transaction_names_a_row_that_it_wrote_and_goes_on(inside, scan, connection, fetch):
    with connection.transaction:
        scan.insert1(("c", 2, "written here"))
        inside.insert1(("c", 2, "written here"))
        harm(inside, connection, b"damaged")
        connection.store("raw").store.delete(path_of(scan, connection, ("b", 2)))
        with pytest.raises(CodecError) as damaged:
            fetch(inside)
        with pytest.raises(ObjectMissingError) as missing:
            fetch(scan)
        assert connection.in_transaction
    assert str(damaged.value).startswith(place(inside))
    assert str(missing.value).startswith(place(scan))
    assert len(scan) == len(inside) == len(ROWS) + 1


def test_one_of_several_rows_with_the_same_object_is_named(scan, connection):
    for i in (3, 4):
        scan.insert1(("c", i, "alike"))
    connection.store("raw").store.delete(path_of(scan, connection, ("c", 3)))
    with pytest.raises(ObjectMissingError) as caught:
        (scan & "scan > 2").fetch("v")
    assert str(caught.value).startswith((place(scan, "rig=c scan=3"), place(scan, "rig=c scan=4")))
    with pytest.raises(ObjectMissingError) as caught:
        scan.fetch("v", order_by="KEY DESC", limit=1)
    assert str(caught.value).startswith(place(scan, "rig=c scan=4"))


def test_a_join_and_a_renamed_key_name_the_row_of_the_query(scan, connection, schema):
    @schema
    class Lens(dj.Manual):
        definition = "-> Scan\nlens : int32"

    Lens.insert1(("b", 2, 8))
    connection.store("raw").store.delete(path_of(scan, connection, ("b", 2)))
    with pytest.raises(ObjectMissingError) as joined:
        (Lens * scan).fetch("v")
    assert str(joined.value).startswith(place(scan, "rig=b scan=2 lens=8"))
    with pytest.raises(ObjectMissingError) as renamed:
        scan.proj("v", number="scan").fetch("v")
    assert str(renamed.value).startswith(place(scan, "rig=b number=2"))


def test_a_loop_goes_on_over_an_error_in_its_body(scan, connection):
    connection.store("raw").store.delete(path_of(scan, connection, ("b", 2)))
    seen = []
    for row in scan.proj():
        with pytest.raises(ObjectMissingError) as caught:
            scan.fetch("v")
        assert str(caught.value).startswith(place(scan))
        seen.append((row["rig"], row["scan"]))
    assert seen == ROWS


@pytest.mark.parametrize("fetch", [FETCHES["fetch"], FETCHES["to_arrays"]])
def test_an_untyped_blob_is_an_error_that_names_the_row(schema, connection, fetch):
    @schema
    class Old(dj.Manual):
        definition = "rig : varchar(9)\nscan : int32\n---\nv : longblob"

    Old.insert([(*key, np.arange(9) + i) for i, key in enumerate(ROWS)])
    harm(Old, connection, b"djq1" + b"damaged")
    with pytest.raises(CodecError) as caught:
        fetch(Old)
    assert str(caught.value).startswith(place(Old))


def test_a_value_that_a_server_may_refuse_to_take_is_not_looked_up_in_a_transaction(
    inside, connection
):
    harm(inside, connection, b"damaged" + bytes(MAX_STATEMENT))
    with pytest.raises(CodecError) as caught:
        inside.fetch("v")
    assert str(caught.value).startswith(place(inside))
    with connection.transaction:
        inside.insert1(("c", 2, "written here"))
        with pytest.raises(CodecError) as caught:
            inside.fetch("v")
    assert str(caught.value).startswith(f'{inside.spec.name}, attribute "v": ')
    assert len(inside) == len(ROWS) + 1


def test_a_row_that_cannot_be_looked_up_hides_no_error(scan, connection, monkeypatch):
    connection.store("raw").store.delete(path := path_of(scan, connection, ("b", 2)))

    def lost(_node):
        message = "the server went away"
        raise LostConnectionError(message)

    monkeypatch.setattr(connection.database, "stream", lost)
    with pytest.raises(ObjectMissingError) as caught:
        scan.fetch("v")
    assert str(caught.value).startswith(f'{scan.spec.name}, attribute "v": store "raw": ')
    assert path in str(caught.value)


def test_rows_are_looked_up_only_when_one_cannot_be_read(scan, connection, monkeypatch):
    asked = []
    stream = connection.database.stream
    monkeypatch.setattr(connection.database, "stream", lambda n: asked.append(n) or stream(n))
    for fetch in FETCHES.values():
        fetch(scan)
    assert asked == []
    connection.store("raw").store.delete(path_of(scan, connection, ("b", 2)))
    for name, fetch in FETCHES.items():
        asked.clear()
        with pytest.raises(ObjectMissingError):
            fetch(scan)
        assert len(asked) == (name != "with its key")
