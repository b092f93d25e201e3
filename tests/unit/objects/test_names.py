"""Names out of rows and stores stay where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djq.errors import StorageError
from djq.objects.names import check_member, check_name

UNSAFE = (
    *("", ".", "..", "/", "a/b", "/etc/passwd", "../x", "a\\b", "..\\x", "\\\\host\\share"),
    *("a\0", "\0", "a\n", "\x7f", "\ud800", "x" * 256, "ä" * 128),
)
ON_WINDOWS = (
    *("C:", "C:x", "a:stream", "CON", "con.txt", "aux", "NUL .txt", "LPT1.md", "COM¹", "x.", "x "),
    *("a?", "a*", "<a>", 'a"b', "a|b", "CONIN$"),
)


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_leaves_its_folder_is_refused(name):
    with pytest.raises(StorageError, match=r"is not the name of a file in a folder"):
        check_name(name)


@pytest.mark.parametrize("name", ON_WINDOWS)
def test_what_windows_reserves_is_refused_there_and_only_there(name):
    with pytest.raises(StorageError, match=r"is not the name of a file"):
        check_name(name, is_windows=True)
    assert check_name(name, is_windows=False) == name


@pytest.mark.parametrize(
    "name", ["a", "a b.txt", ".zarray", "..a", "Größe.csv", "console.log", "x" * 255]
)
def test_common_names_pass_everywhere(name):
    assert check_name(name, is_windows=True) == check_name(name, is_windows=False) == name


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "a/../b", "./a", "a/..", "a/b\\c", "C:/x"]
)
def test_a_member_that_leaves_its_folder_is_refused(path):
    with pytest.raises(StorageError, match=r"is not the name of a file"):
        check_member(path, is_windows=True)


@given(path=st.text(st.sampled_from("ab./\\\0:~ \nä") | st.characters(), max_size=20))
def test_whatever_passes_is_inside_of_its_folder(path):
    folder = Path("/data/target")
    try:
        member = check_member(path)
    except StorageError:
        return
    target = (folder / member).resolve()
    assert target != folder
    assert target.is_relative_to(folder)
    assert str(member) == path
