"""Rows that somebody else wrote: what they name is not read, and errors are djq's."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress

import numpy as np
import pytest

import djq as dj
from djq.errors import CodecError, ConfigError, DatabaseError, DjqError
from djq.objects.handle import ObjectRef

VALUES = {
    "array": np.arange(3),
    "attach": "a.txt",
    "blob": {"a": 1},
    "filepath": "mine/a.txt",
    "hash": b"123",
    "npy": np.arange(3),
    "object": b"123",
}


@pytest.fixture(params=sorted(VALUES))
def scan(request, schema, connection, tmp_path, monkeypatch):
    """One row with one attribute of a codec, in a store that is not set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"123")
    connection.store("raw").store.put("mine/a.txt", b"123")

    class Scan(dj.Manual):
        definition = f"""
        scan : int32
        ---
        data : <{request.param}@raw>
        """

    schema(Scan)
    Scan.insert1((7, VALUES[request.param]))
    return Scan


def name_of(table) -> str:
    name = table.spec.name
    is_sqlite = table.connection.database.is_sqlite
    return f'"{name}"' if is_sqlite else f"`{name.schema}`.`{name.table}`"


def stored(table) -> dict:
    [(text,)] = table.connection.query(f"SELECT data FROM {name_of(table)}")
    return json.loads(text)


def overwrite(table, text: str) -> None:
    mark = "?" if table.connection.database.is_sqlite else "%s"
    table.connection.query(f"UPDATE {name_of(table)} SET data = {mark}", (text,))


def read(table) -> object:
    found = table.fetch1("data")
    if isinstance(found, ObjectRef):
        return found.read()
    return np.asarray(found) if isinstance(found, dj.ArrayRef | dj.NpyRef) else found


@pytest.mark.parametrize("way", ["absolute", "relative", "nul"])
def test_a_row_does_not_choose_among_the_folders_of_this_machine(scan, connection, tmp_path, way):
    folder = connection.store("raw").store.root
    shutil.copytree(folder, tmp_path / "secrets")
    names = {"absolute": str(tmp_path / "secrets"), "relative": "../../secrets", "nul": "\0"}
    assert (folder.parent / names["relative"]).resolve() == tmp_path / "secrets"
    overwrite(scan, json.dumps(stored(scan) | {"store": names[way]}))

    with pytest.raises(ConfigError, match=r"is not the name of a store: letters, digits"):
        read(scan)


@pytest.mark.parametrize("text", ["no json", "", "[" * 100_000], ids=lambda text: text[:7])
def test_text_that_is_no_json_is_our_error(scan, text):
    if not scan.connection.database.is_sqlite:
        pytest.skip("servers look at what a column of JSON gets")
    overwrite(scan, text)

    for ask in (lambda: scan.fetch1("data"), scan.to_dicts, lambda: list(scan)):
        with pytest.raises(DatabaseError, match=r'attribute "data": .* is no JSON'):
            ask()


@pytest.mark.parametrize("number", [-1, 2**40, 2**63, 2**70])
@pytest.mark.parametrize("name", ["size", "head", "shape", "item_count"])
def test_a_number_that_is_none_brings_no_foreign_exception(scan, name, number):
    overwrite(scan, json.dumps(stored(scan) | {name: [number] if name == "shape" else number}))

    with suppress(DjqError):
        read(scan)


@pytest.mark.parametrize("value", ["'text'", "7", "0.5"])
@pytest.mark.parametrize("type_", ["<blob>", "<arrow>", "longblob"])
def test_what_is_no_bytes_in_a_column_of_bytes_is_our_error(schema, type_, value):
    text = f"scan : int32\n---\ndata = null : {type_}"
    scan = schema(type("Scan", (dj.Manual,), {"definition": text}))
    if not scan.connection.database.is_sqlite:
        pytest.skip("servers make bytes of it")
    scan.insert1((7, None))
    scan.connection.query(f"UPDATE {name_of(scan)} SET data = {value}")
    words = r'attribute "data".*: the column holds (str|int|float) instead of bytes'
    for ask in (lambda: scan.fetch1("data"), scan.to_dicts, lambda: list(scan)):
        with pytest.raises(CodecError, match=words):
            ask()
