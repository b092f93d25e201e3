"""Objects as files: what is read in order is verified, at the end."""

from __future__ import annotations

import hashlib
import io

import pytest

from djq.errors import ObjectCorruptedError
from djq.objects.reading import BUFFER_BYTES, open_object
from tests.support.memory_store import MemoryStore

CONTENT = bytes(range(256)) * ((2 * BUFFER_BYTES + 1000) // 256)
#: Of the same size; the last byte is another one.
CHANGED = CONTENT[:-1] + b"!"


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.put("a", CONTENT)
    return made


def opened(store, mode: str = "rb"):
    return open_object(store, "a", mode, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def in_pieces(file) -> bytes:
    return b"".join(iter(lambda: file.read(100_000), b""))


def by_lines(file) -> bytes:
    return b"".join(file)


def after_looking_back(file) -> bytes:
    head = file.read(BUFFER_BYTES + 10)
    file.seek(5)
    assert file.read(3) == head[5:8]
    file.seek(len(head))
    return head + file.read()


WAYS = [lambda file: file.read(), in_pieces, by_lines, after_looking_back]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_read_in_order_is_verified(store, way):
    with opened(store) as file:
        assert way(file) == CONTENT
    store.put("a", CHANGED)
    with opened(store) as file:
        for _ in range(2):
            with pytest.raises(ObjectCorruptedError, match=r"at a is not the one .*hash is anoth"):
                way(file)
            file.seek(0)


def test_a_text_is_verified_too():
    store = MemoryStore()
    store.put("a", b"line 1\nline 3\n")
    sha256 = hashlib.sha256(b"line 1\nline 2\n").hexdigest()
    with (
        open_object(store, "a", "r", 14, sha256) as file,
        pytest.raises(ObjectCorruptedError, match=r"its hash is another"),
    ):
        list(file)


def test_what_is_read_with_a_gap_has_no_hash_to_compare(store):
    store.put("a", CHANGED)
    with opened(store) as file:
        file.seek(-3, io.SEEK_END)
        assert file.read() == CHANGED[-3:]


def test_an_object_of_another_size_is_not_opened(store):
    store.put("a", CONTENT[:-1])
    with pytest.raises(ObjectCorruptedError, match=r"it has \d+ of \d+ bytes"):
        opened(store)


def test_an_object_that_is_cut_off_after_it_was_opened_does_not_end_early(store):
    with opened(store) as file:
        store.put("a", CONTENT[:10])
        with pytest.raises(ObjectCorruptedError, match=rf"it ends at byte 10 of {len(CONTENT)}"):
            file.read()


def test_of_an_object_of_unknown_hash_nothing_is_compared(store):
    store.put("a", CHANGED)
    with open_object(store, "a", "rb") as file:
        assert file.read() == CHANGED
