from __future__ import annotations

import gc
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from djq.storage.transfers import ItemError, Transfers
from tests.support.waiting import wait_until

#: Of a wait that only a mistake makes long [s].
LONG_S = 20


def one(_: object) -> int:
    return 1


class Gate:
    """Work that begins, says so, and goes on when it may."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.doors: dict[int, threading.Event] = {}
        self._lock = threading.Lock()

    def __call__(self, item: int) -> int:
        with self._lock:
            self.begun.append(item)
        assert self.door(item).wait(LONG_S)
        return -item

    def door(self, item: int) -> threading.Event:
        with self._lock:
            return self.doors.setdefault(item, threading.Event())

    def open(self, *items: int) -> None:
        for item in items:
            self.door(item).set()

    def wait_for(self, *items: int) -> None:
        wait_until(lambda: set(items) <= set(self.begun), what=f"{items} begun")


def test_results_come_in_the_order_of_the_items():
    gate = Gate()
    results = Transfers(n_threads=3).map(gate, range(3), one)
    taken = threading.Thread(target=lambda: found.extend(results))
    found: list[int] = []
    taken.start()
    gate.wait_for(0, 1, 2)
    for item in (2, 1, 0):
        gate.open(item)
    taken.join(LONG_S)
    assert found == [0, -1, -2]


@pytest.mark.parametrize("n_threads", [1, 8])
def test_any_number_of_items_gives_as_many_results(n_threads: int):
    transfers = Transfers(n_threads=n_threads)
    for n in (0, 1, 2, 500):
        assert list(transfers.map(str, iter(range(n)), one)) == [str(i) for i in range(n)]


@pytest.mark.parametrize(("n_threads", "items"), [(8, [1]), (1, [1, 2, 3])])
def test_where_nothing_is_parallel_there_are_no_threads(n_threads: int, items: list[int]):
    transfers = Transfers(n_threads=n_threads)
    threads = list(transfers.map(lambda _: threading.current_thread(), items, one))
    assert set(threads) == {threading.current_thread()}


def test_no_thread_is_left_behind():
    before = threading.active_count()
    assert sum(Transfers().map(abs, range(100), one)) == 4950
    assert threading.active_count() == before
    results = Transfers().map(abs, range(100), one)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_at_most_so_many_bytes_are_under_way():
    # given
    lock, at_once, most = threading.Lock(), [0], [0]

    def work(size: int) -> int:
        with lock:
            at_once[0] += size
            most[0] = max(most[0], at_once[0])
        return size

    # when
    for size in Transfers(n_threads=4, max_bytes=10).map(work, [3, 4, 2, 5, 1, 9] * 50, int):
        with lock:
            at_once[0] -= size
    # then
    assert 0 < most[0] <= 10


def test_an_item_larger_than_all_goes_alone():
    gate = Gate()
    results = Transfers(n_threads=4, max_bytes=10).map(gate, [1, 50, 2], int)
    gate.open(1, 2, 50)
    assert next(results) == -1
    assert gate.begun == [1]
    assert next(results) == -50
    assert gate.begun == [1, 50]
    assert list(results) == [-2]


def test_items_are_taken_only_as_there_is_room():
    taken: list[int] = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = Transfers(n_threads=2).map(abs, items(), one)
    for _ in range(3):
        next(results)
    assert len(taken) < 12
    results.close()


def test_results_that_were_taken_are_not_kept():
    class Result:
        pass

    kept = []
    for result in Transfers(n_threads=2).map(lambda _: Result(), range(50), one):
        kept.append(weakref.ref(result))
    del result
    gc.collect()
    assert [ref for ref in kept if ref() is not None] == []


@pytest.mark.parametrize("n_threads", [1, 4])
def test_a_failure_says_which_item_it_was(n_threads: int):
    def work(item: int) -> int:
        if item == 7:
            raise ValueError(item)
        return item

    found: list[int] = []
    with pytest.raises(ItemError) as caught:
        found.extend(Transfers(n_threads=n_threads).map(work, range(100), one))
    assert caught.value.position == 7
    assert isinstance(caught.value.error, ValueError)
    assert caught.value.__cause__ is caught.value.error
    assert found == list(range(len(found)))


def test_a_failure_does_not_wait_for_its_turn_and_ends_the_rest(monkeypatch: pytest.MonkeyPatch):
    # given: the first item is held up until the rest is given up
    gate = Gate()

    class Threads(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            gate.open(0)
            super().shutdown(wait, cancel_futures=cancel_futures)

    monkeypatch.setattr("djq.storage.transfers.ThreadPoolExecutor", Threads)

    def work(item: int) -> int:
        if item == 1:
            raise ValueError(item)
        return gate(item)

    # when
    results = Transfers(n_threads=2, max_bytes=2).map(work, range(10), one)
    with pytest.raises(ItemError) as caught:
        next(results)
    # then
    assert caught.value.position == 1
    assert gate.begun == [0]


def test_a_thread_begins_nothing_after_a_failure_though_nobody_has_cancelled_it(
    monkeypatch: pytest.MonkeyPatch,
):
    gate, all_begun = Gate(), threading.Event()

    class Threads(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            gate.open(*range(10))
            super().shutdown(wait)

    monkeypatch.setattr("djq.storage.transfers.ThreadPoolExecutor", Threads)

    def work(item: int) -> int:
        if item == 1:
            gate.wait_for(0)
            assert all_begun.wait(LONG_S)
            raise ValueError(item)
        return gate(item)

    def size(item: int) -> int:
        if item == 4:
            all_begun.set()
        return 1

    # when: two of four items are in the threads' queue
    with pytest.raises(ItemError) as caught:
        list(Transfers(n_threads=2).map(work, range(10), size))
    # then
    assert caught.value.position == 1
    assert gate.begun == [0]


def test_a_source_of_items_that_fails_ends_the_rest():
    def items():
        yield from range(20)
        raise KeyError(20)

    with pytest.raises(KeyError, match="20"):
        list(Transfers(n_threads=3).map(abs, items(), one))


def test_stopping_waits_for_nothing():
    gate = Gate()

    def size(item: int) -> int:
        if item == 3:
            gate.wait_for(0, 1)
            raise KeyboardInterrupt
        return 1

    with pytest.raises(KeyboardInterrupt):
        list(Transfers(n_threads=2).map(gate, range(10), size))
    # What was begun is under way still, and nothing else will be.
    assert sorted(gate.begun) == [0, 1]
    gate.open(0, 1)
    names = ("djq-transfer",)
    wait_until(
        lambda: not [t for t in threading.enumerate() if t.name.startswith(names)],
        what="the threads' end",
    )
    assert sorted(gate.begun) == [0, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_transfers_too():
    transfers = Transfers(n_threads=2)
    assert list(transfers.map(abs, range(10), one)) == list(range(10))
    child = os.fork()
    if child == 0:
        os._exit(list(transfers.map(abs, range(10), one)) != list(range(10)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
