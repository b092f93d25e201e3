from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from djq.errors import StorageError, StoreUnavailableError
from djq.storage import retries
from djq.storage.retries import DELAYS_S, retried

if TYPE_CHECKING:
    from djq.storage.buffers import Data


class Flaky:
    """Fails so often, in this way, before it works."""

    def __init__(self, n_failures: int, kind: type[StorageError]) -> None:
        self.n_failures = n_failures
        self.kind = kind
        self.n_calls = 0

    @retried
    def put(self, path: str, data: Data = b"") -> str:
        self.n_calls += 1
        if self.n_calls <= self.n_failures:
            raise self.kind(path)
        return path


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", waited.append)
    return waited


def test_a_store_that_answers_again_in_time_is_not_noticed(waits: list[float]):
    store = Flaky(2, StoreUnavailableError)
    assert store.put("a") == "a"
    assert (store.n_calls, waits) == (3, list(DELAYS_S[:2]))


def test_a_store_that_stays_away_is_unavailable(waits: list[float]):
    store = Flaky(99, StoreUnavailableError)
    with pytest.raises(StoreUnavailableError):
        store.put("a")
    assert (store.n_calls, waits) == (1 + len(DELAYS_S), list(DELAYS_S))


def test_a_store_that_refuses_is_asked_once(waits: list[float]):
    store = Flaky(1, StorageError)
    with pytest.raises(StorageError):
        store.put("a")
    assert (store.n_calls, waits) == (1, [])


def test_an_iterator_is_put_once_since_its_parts_are_gone(waits: list[float]):
    for data, n_calls in (([b"1"], 2), (iter([b"1"]), 1)):
        store = Flaky(1, StoreUnavailableError)
        if n_calls == 1:
            with pytest.raises(StoreUnavailableError):
                store.put("a", data)
        else:
            store.put("a", data=data)
        assert store.n_calls == n_calls
