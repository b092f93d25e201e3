"""Where the files of rows lie."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djq.codecs.codec import Context
from djq.errors import CodecError
from djq.objects.places import check_extension, extension_of, is_reserved, new_path
from djq.storage.base import check_path

VALUES = st.text(max_size=120) | st.integers() | st.binary(max_size=40) | st.floats() | st.dates()


def place(key, ext=""):
    return new_path(Context(schema="lab", table="scan", attribute="raw", key=key), ext)


def test_a_path_mirrors_schema_table_key_and_attribute():
    found = place({"subject": "a/b c", "n": 3}, ".bin")

    assert re.fullmatch(r"object/lab/scan/subject=a%2Fb%20c/n=3/raw_[0-9a-f]{16}\.bin", found), (
        found
    )


def test_each_path_is_new():
    assert len({place({"n": 1}) for _ in range(1000)}) == 1000


def test_bytes_are_shown_in_hexadecimal():
    value = uuid.UUID(int=5).bytes
    assert f"/id={value.hex()}/" in place({"id": value})


def test_a_long_value_ends_in_its_hash():
    one, other = place({"t": "x" * 500}), place({"t": "x" * 499 + "y"})

    assert one.split("/")[3] != other.split("/")[3]
    assert len(one.split("/")[3]) < 90


@given(
    key=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True), VALUES, max_size=12)
)
def test_every_key_gives_a_path_that_leaves_room_for_a_folder(key):
    found = place(key, ".zarr")

    assert check_path(found) == found
    assert found.startswith("object/lab/scan/")
    assert len(found.encode()) < 600
    assert ".." not in found.split("/")


@pytest.mark.parametrize(
    ("given", "wanted"), [("", ""), (".bin", ".bin"), ("bin", ".bin"), (".nii.gz", ".nii.gz")]
)
def test_an_extension_gets_its_dot(given, wanted):
    assert check_extension(given) == wanted


@pytest.mark.parametrize(
    "ext", ["/x", ".", "..", "a/../b", ". x", ".x" * 20, "..gz", ".\0", 3, None]
)
def test_what_is_no_extension_is_refused(ext):
    with pytest.raises(CodecError, match=r"is not an extension"):
        check_extension(ext)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.txt", ".txt"),
        ("scan.nii.gz", ".nii.gz"),
        ("a.gz", ".gz"),
        ("my.data.csv", ".csv"),
        (".bashrc", ""),
        ("plain", ""),
        ("a.b c", ""),
        ("a.", ""),
        ("a..gz", ".gz"),
    ],
)
def test_the_extension_of_a_name(name, wanted):
    assert extension_of(name) == wanted


def test_what_is_reserved():
    reserved = [
        "hash",
        "hash/x",
        "object/a",
        "_hash/a",
        "_schema/a",
        ".djq-incoming/x",
        ".djq-clock",
    ]
    assert all(map(is_reserved, reserved))
    assert not any(map(is_reserved, ["hashes/x", "a/hash/x", "objects", "raw", "djq"]))
