"""An S3 server killed in the middle of puts and gets, and started again."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import obstore
import pytest

import djq as dj
from djq.errors import StoreUnavailableError
from djq.settings import load
from djq.storage import clouds
from djq.storage.content import FOLDER
from djq.storage.open import open_store
from djq.storage.transfers import ItemError, Transfers
from tests.support.object_store_contract import paths
from tests.support.s3 import closing_bucket, s3_server, s3_settings
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from djq.settings import StoreSettings
    from djq.storage.content import ContentStore

__all__ = ["s3_settings"]

T = TypeVar("T")

N = 120
N_THREADS = 6
#: Small ones, and ones that are uploaded in pieces.
SIZES = (2_000, 200_000, 200_000, 40_000_000)
#: The server is killed when so many are through, and started again when a request has failed.
KILL_AT = (15, 50)
#: Inserts of so many rows, one of which takes a while; in the middle of some the server is killed.
N_BATCHES, N_ROWS, KILLED = 6, 6, {1, 4}


@pytest.fixture
def content(s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContentStore]:
    """A store whose client gives up soon, so that a killed server is noticed."""
    impatient = clouds.RETRIES | {"retry_timeout": timedelta(seconds=0.5)}
    monkeypatch.setattr(clouds, "RETRIES", impatient)
    content = open_store("raw", s3_settings)
    yield content
    # pytest keeps fixtures longer than the check for open connections lasts.
    del content.store._client


def value(number: int) -> bytes:
    size = SIZES[number % len(SIZES)] if number % 20 == 3 else SIZES[number % 3]
    return random.Random(number).randbytes(1000) * (size // 1000)


def up(content: ContentStore) -> None:
    s3_server().start()

    def answers() -> bool:
        try:
            content.store.put("ready", b"")
        except StoreUnavailableError:
            return False
        return True

    wait_until(answers, what="the S3 server", timeout_s=60)


def with_kills(content: ContentStore, ask: Callable[[int], T]) -> list[T | None]:
    """Ask for each number, several at once, and kill the server meanwhile; None where it failed."""
    lock, is_up = threading.Lock(), threading.Event()
    n_done, n_failed = 0, 0
    is_up.set()

    def attempt(number: int) -> T | None:
        nonlocal n_done, n_failed
        is_up.wait(60)
        try:
            return ask(number)
        except StoreUnavailableError:
            with lock:
                n_failed += 1
            return None
        finally:
            with lock:
                n_done += 1

    with ThreadPoolExecutor(N_THREADS) as threads:
        attempts = [threads.submit(attempt, number) for number in range(N)]
        for n_before in KILL_AT:
            wait_until(lambda n=n_before: n_done >= n, what="requests", timeout_s=60)
            n_known = n_failed
            s3_server().kill()
            wait_until(lambda n=n_known: n_failed > n, what="a failure", timeout_s=60)
            is_up.clear()
            up(content)
            is_up.set()
        return [attempt.result() for attempt in attempts]


def test_every_put_that_returned_is_there_and_no_other_is_half_there(content: ContentStore):
    # when
    references = with_kills(content, lambda number: content.put(value(number)))
    # then: what was put is whole
    for number, reference in enumerate(references):
        if reference is not None:
            assert content.get(reference) == value(number)
    assert 0 < references.count(None) < N
    # and: what was not is whole or absent, by the listing, too
    sizes = {found.path: found.size for found in content.store.list(FOLDER)}
    again = [content.put(value(number)) for number in range(N)]
    assert all(sizes.get(each.path, each.size) == each.size for each in again)
    assert set(paths(content.store, FOLDER)) == {each.path for each in again}


def test_every_get_is_whole_or_says_that_the_store_is_away(content: ContentStore):
    # given
    references = [content.put(value(number)) for number in range(N)]
    # when
    got = with_kills(content, lambda number: bytes(content.get(references[number])))
    # then
    assert 0 < got.count(None) < N
    for number, found in enumerate(got):
        assert found in {None, value(number)}
        assert content.get(references[number]) == value(number)


def test_rows_are_whole_or_absent(
    content: ContentStore,
    s3_settings: StoreSettings,
    database_url: str,
    schema_name: str,
    tmp_path: Path,
):
    found = load(database_url=database_url, state_dir=tmp_path, stores={"raw": s3_settings})
    with dj.Connection(found) as connection, closing_bucket(connection):
        schema = dj.Schema(schema_name, connection=connection)

        @schema
        class Wave(dj.Manual):
            definition = """
            batch : int32
            wave  : int32
            ---
            samples : <hash@raw>
            """

        def insert(batch: int) -> bool:
            rows = [(batch, i, value(20 * batch + i)) for i in range(N_ROWS)]
            killer = threading.Timer(0.05, s3_server().kill)
            if batch in KILLED:
                killer.start()
            try:
                Wave.insert(rows)
            except StoreUnavailableError:
                return False
            finally:
                if batch in KILLED:
                    killer.join()
                    up(content)
            return True

        # when
        inserted = {batch for batch in range(N_BATCHES) if insert(batch)}
        # then: of each insert there are all rows or none, and all of a row
        kept = Wave.to_dicts()
        assert {(r["batch"], r["wave"]) for r in kept} == {
            (batch, i) for batch in inserted for i in range(N_ROWS)
        }
        assert all(r["samples"] == value(20 * r["batch"] + r["wave"]) for r in kept)
        assert dj.fsck(schema_name, connection=connection, verify=True).n_damages == 0
        assert set(range(N_BATCHES)) - KILLED <= inserted < set(range(N_BATCHES))


def test_a_large_object_is_never_mixed_of_two_servers_lives(content: ContentStore):
    # given: a reader in the middle of an object that takes several requests
    large = random.Random(0).randbytes(1 << 20) * 40
    reference = content.put(large)
    chunks = content.store.iterate(reference.path, 1 << 20)
    begun = bytes(next(chunks))
    # when
    s3_server().kill()
    with pytest.raises(StoreUnavailableError, match="did not answer"):
        list(chunks)
    up(content)
    # then
    assert begun == large[: len(begun)]
    assert b"".join(content.store.iterate(reference.path, 1 << 20)) == large


def test_a_dead_server_is_waited_for_once(content: ContentStore, monkeypatch: pytest.MonkeyPatch):
    # given: as many values as several threads have waiting
    references = [content.put(value(number)) for number in range(3)]
    asked: list[str] = []
    get, head = content.store.get, obstore.head
    monkeypatch.setattr(content.store, "get", lambda path: asked.append(path) or get(path))
    monkeypatch.setattr(obstore, "head", lambda *a: asked.append("head") or head(*a))
    # when
    s3_server().kill()
    path = references[0].path
    for read in (
        lambda: content.store.get_range(path, 0, 100),
        lambda: content.store.get_ranges(path, [(0, 10), (1000, 1010)]),
    ):
        with pytest.raises(StoreUnavailableError, match="did not answer"):
            read()
    # then: the size was not asked for
    assert asked == []
    # and: no thread begins with the next
    with pytest.raises(ItemError):
        list(Transfers(2).map(content.get, references * 4, lambda reference: reference.size))
    assert len(asked) <= 2


def test_a_server_that_restarts_soon_is_not_noticed(s3_settings: StoreSettings):
    content = open_store("raw", s3_settings)
    reference = content.put(b"old")
    s3_server().kill()
    with ThreadPoolExecutor(1) as threads:
        starting = threads.submit(s3_server().start)
        assert content.get(reference) == b"old"
        assert content.put(b"new").size == 3
        starting.result()
    del content.store._client
