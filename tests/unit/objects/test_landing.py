"""Files land whole, under a free name, inside of their folder."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from djq.errors import StorageError
from djq.objects.landing import land, land_beside


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def broken():
    yield b"half"
    message = "the store is away"
    raise ConnectionError(message)


def test_other_content_takes_the_next_free_name_and_equal_content_is_reused(tmp_path):
    found = [land_beside(tmp_path / "new", "a.b.txt", [c]) for c in (b"1", b"2", b"3", b"2", b"1")]

    assert [path.name for path in found] == [
        "a.b.txt",
        "a.b_1.txt",
        "a.b_2.txt",
        "a.b_1.txt",
        "a.b.txt",
    ]
    assert [path.read_bytes() for path in found] == [b"1", b"2", b"3", b"2", b"1"]
    assert names(tmp_path / "new") == ["a.b.txt", "a.b_1.txt", "a.b_2.txt"]


def test_a_folder_and_a_link_that_leads_nowhere_take_a_name(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x_1").symlink_to(tmp_path / "elsewhere")

    assert land_beside(tmp_path, "x", [b"1"]) == tmp_path / "x_2"
    assert not (tmp_path / "elsewhere").exists()


def test_an_error_in_the_source_leaves_nothing_and_comes_as_it_is(tmp_path):
    with pytest.raises(ConnectionError, match=r"the store is away"):
        land_beside(tmp_path, "x", broken())
    (tmp_path / "y").write_bytes(b"old")
    with pytest.raises(ConnectionError):
        land(tmp_path / "y", broken())

    assert names(tmp_path) == ["y"]
    assert (tmp_path / "y").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", ""])
def test_an_unsafe_name_makes_nothing(tmp_path, name):
    with pytest.raises(StorageError, match=r"is not the name"):
        land_beside(tmp_path / "in", name, [b"1"])
    assert names(tmp_path) == []


def test_many_at_once_never_overwrite_each_other(tmp_path):
    contents = [bytes([i % 4]) * 1000 for i in range(40)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda c: land_beside(tmp_path, "n.bin", [c]), contents))

    assert [path.read_bytes() for path in found] == contents
    assert not [name for name in names(tmp_path) if name.startswith(".djq")]


def test_a_file_system_without_links_works_alike(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    found = [land_beside(tmp_path, "a", [c]).name for c in (b"1", b"2", b"1")]

    assert found == ["a", "a_1", "a"]


def test_a_folder_that_is_a_file_is_our_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot be written"):
        land_beside(tmp_path / "file", "x", [b"1"])
