"""What is read later names its row when it fails, as what is read at once does."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import djq as dj
from djq.errors import ObjectCorruptedError, ObjectMissingError


class DoubledCodec(dj.Codec):
    """Twice an array, when it is asked for."""

    name = "doubled_in_tests"

    def get_dtype(self, is_store):
        return "<array@>"

    def encode(self, value):
        return value

    def decode(self, stored):
        return lambda: 2 * stored.load()


READ = {
    "wave": lambda ref: ref[3:5],
    "whole": lambda ref: ref.load(),
    "file": lambda ref: ref.load(),
    "data": lambda ref: ref.read(),
    "notes": lambda ref: ref.open().read(),
}


@pytest.fixture
def sound(schema, connection):
    @schema
    class Sound(dj.Manual):
        definition = """
        rig : varchar(9)
        sound : int32
        ---
        wave : <array@raw>
        whole : <array@raw>
        file : <npy@raw>
        data : <object@raw>
        notes : <filepath@raw>
        """

    for i in range(2):
        connection.store("raw").store.put(f"users/{i}.txt", b"notes")
        values = [np.arange(9) + 10 * (n + 3 * i) for n in range(3)]
        Sound.insert1(("a", i, *values, (".bin", bytes([i])), f"users/{i}.txt"))
    return Sound


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("is_pickled", [False, True])
def test_a_missing_or_damaged_object_is_an_error_that_names_the_row(
    connection, sound, name, is_pickled
):
    # Given
    other, handle = (row[name] for row in sound.to_dicts(order_by="KEY"))
    if is_pickled:
        handle = pickle.loads(pickle.dumps(handle))
    store = connection.store("raw").store
    row = f'{sound.spec.name}, attribute "{name}" of the row rig=a sound=1: store "raw"'

    # When, then: other bytes, no bytes.
    store.put(handle.path, b"damaged")
    with pytest.raises(ObjectCorruptedError) as damaged:
        READ[name](handle)
    store.delete(handle.path)
    with pytest.raises(ObjectMissingError) as missing:
        READ[name](handle)
    for caught in (damaged, missing):
        assert str(caught.value).startswith(row)
        assert handle.path in str(caught.value)
        assert str(caught.value).count("of the row") == 1
    READ[name](other)


def test_the_files_of_a_folder_name_the_row_of_the_folder(connection, schema, tmp_path):
    @schema
    class Run(dj.Manual):
        definition = "run : int32\n---\nfiles : <object@raw>"

    deep = tmp_path / "folder" / "deep"
    deep.mkdir(parents=True)
    (deep / "a.txt").write_bytes(b"a")
    Run.insert1((7, deep.parent))
    folder = Run.fetch1()["files"]
    connection.store("raw").store.delete(f"{folder.path}/deep/a.txt")

    row = rf'{Run.spec.name}, attribute "files" of the row run=7: store "raw"'
    (deep,) = folder.iterdir()
    (file,) = deep.iterdir()
    for fail in (file.read, folder.verify, lambda: folder.open("deep/a.txt")):
        with pytest.raises(ObjectMissingError, match=row):
            fail()


def test_a_codec_of_the_users_gets_handles_that_know_their_row(connection, schema):
    @schema
    class Sound(dj.Manual):
        definition = "sound : int32\n---\nwave : <doubled_in_tests@raw>\nkept : <array@raw>"

    Sound.insert1((4, np.arange(3), np.arange(3)))
    found = Sound.fetch1()
    assert found["wave"]().tolist() == [0, 2, 4]
    connection.store("raw").store.delete(found["kept"].path)

    with pytest.raises(ObjectMissingError, match=r'attribute "wave" of the row sound=4: store'):
        found["wave"]()
    # A renamed attribute is called as its table does; without the key there is no row to name.
    (renamed,) = Sound.proj(other="kept").fetch("other")
    with pytest.raises(ObjectMissingError, match=rf'^{Sound.spec.name}, attribute "kept": store'):
        renamed.load()
