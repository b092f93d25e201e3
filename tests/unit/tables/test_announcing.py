"""The thread that announces inserts, and the channel that it sends through."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from djq.tables import announcing
from djq.tables.announcing import Announcer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from djq.tables.announcing import News

NEWS: News = {"`lab`.`subject`": [(1,)]}


class Channel:
    """A channel to a server that does not answer until it may."""

    def __init__(self) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()
        self.n_sent, self.is_closed = 0, False

    def send(self, news: News) -> None:
        assert news == NEWS
        self.is_asked.set()
        self.may_answer.wait(10)
        assert not self.is_closed
        self.n_sent += 1

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> list[Channel]:
    """All channels that were opened."""
    opened: list[Channel] = []

    def open_channel(_: object) -> Channel:
        opened.append(Channel())
        return opened[-1]

    monkeypatch.setattr(announcing.pkgutil, "resolve_name", lambda _: open_channel)
    return opened


@pytest.fixture
def announcer() -> Announcer:
    return Announcer(lambda: cast("Any", SimpleNamespace(names_redis=True)))


def begun(announcer: Announcer, channels: list[Channel]) -> Channel:
    """Return the channel through which something is being sent."""
    n_open = len(channels)
    announcer.tell(NEWS)
    wait_until(lambda: len(channels) > n_open, what="a channel")
    assert channels[-1].is_asked.wait(10)
    return channels[-1]


def test_a_channel_that_is_in_use_is_closed_behind_what_is_sent(
    announcer: Announcer, channels: list[Channel]
) -> None:
    # Given: Redis takes its time.
    channel = begun(announcer, channels)
    # When: the connection is closed meanwhile.
    announcer.close(0)
    assert not channel.is_closed
    channel.may_answer.set()
    # Then: what was on its way arrives, and nothing stays open.
    wait_until(lambda: channel.is_closed, what="the end of the channel")
    assert [its.n_sent for its in channels] == [1]


def test_what_is_told_after_a_close_goes_through_another_channel(
    announcer: Announcer, channels: list[Channel]
) -> None:
    begun(announcer, channels).may_answer.set()
    announcer.close(10)
    begun(announcer, channels).may_answer.set()
    announcer.close(10)
    assert [(its.n_sent, its.is_closed) for its in channels] == [(1, True), (1, True)]
