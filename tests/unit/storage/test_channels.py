"""Messages between two processes."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from djq.errors import ObjectMissingError
from djq.storage.channels import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = bytes(range(256)) * 40_000


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = map(Channel, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "message",
    [
        None,
        ("verb", ("a" * 100_000, 1, None)),
        "\ud800",
        [memoryview(b"1"), memoryview(b""), memoryview(LARGE), memoryview(LARGE)[7:-3]],
        (None, (memoryview(bytearray(b"x" * 70_000)), "after")),
    ],
)
def test_a_message_comes_as_it_was_sent(ends: tuple[Channel, Channel], message: object):
    with ThreadPoolExecutor(1) as threads:
        sending = [threads.submit(ends[0].send, each) for each in (message, "next")]
        assert ends[1].receive() == message
        assert ends[1].receive() == "next"
        for each in sending:
            each.result()


def test_views_come_as_views_of_bytes_that_nobody_writes_to(ends: tuple[Channel, Channel]):
    ends[0].send([memoryview(bytearray(b"0123")), memoryview(b"")])
    for view in ends[1].receive():
        assert isinstance(view, memoryview)
        assert (view.format, view.ndim, view.readonly) == ("B", 1, True)


def test_errors_and_what_a_store_says_are_messages_too(ends: tuple[Channel, Channel]):
    ends[0].send(ObjectMissingError("no object at 'a'"))
    found = ends[1].receive()
    assert type(found) is ObjectMissingError
    assert str(found) == "no object at 'a'"


def test_a_closed_end_is_an_end(ends: tuple[Channel, Channel]):
    ends[0].close()
    ends[0].close()
    with pytest.raises(EOFError):
        ends[1].receive()
    with pytest.raises(OSError, match="Broken pipe"):
        ends[1].send(LARGE)
