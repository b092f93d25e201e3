"""Files and folders in rows and stores, on every database and kind of store."""

from __future__ import annotations

import pytest

import djq as dj
from djq.errors import ObjectCorruptedError, RowError
from djq.settings import StoreSettings, load
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

    fetched = tmp_path / "fetched"
    assert list(found) == [str(fetched / n) for n in ("a.txt", "a_1.txt", "a.txt")]
    assert sorted(path.name for path in fetched.iterdir()) == ["a.txt", "a_1.txt"]


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
