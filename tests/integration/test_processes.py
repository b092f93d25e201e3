"""`populate(processes=N)`: children that are forked or started anew, killed, failing, daemonic."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.errors import MakeError, UsageError
from djq.populate import processes
from tests.integration.fleet import UP_S
from tests.integration.test_reserve_jobs import (
    begin_together,
    made,
    no_redis,
    on_one_database,
    squares,
    start_populate,
)
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.fleet import Fleet


__all__ = ["no_redis"]


def all_squares(n: int) -> list[int]:
    return [(3 * i) ** 2 for i in range(n)]


def test_children_make_all_keys(fleet: Fleet) -> None:
    fleet.insert(40)
    result = fleet.tables.Square.populate(processes=3)
    assert result == {"success_count": 40, "error_list": []}
    assert squares(fleet) == all_squares(40)


@on_one_database
def test_children_share_reserved_keys_with_others(fleet: Fleet, tmp_path: Path) -> None:
    fleet.insert(60)
    gate = tmp_path / "gate"
    env = {"TEST_MAKE_S": 0.05, "TEST_GATE": gate}
    other = start_populate(fleet, **env)
    process = start_populate(fleet, "reserve_jobs=True, processes=2", **env)
    begin_together(fleet, gate, 3)
    counts = [made(process), made(other)]
    assert sum(counts) == 60
    assert min(counts) >= 5
    assert squares(fleet) == all_squares(60)
    fleet.assert_clean()


@on_one_database
@pytest.mark.parametrize("options", ["", ", reserve_jobs=True"])
def test_a_child_that_is_killed_is_replaced(fleet: Fleet, options: str) -> None:
    fleet.insert(12)
    process = start_populate(
        fleet, f"processes=2, suppress_errors=True{options}", TEST_DEADLY="4", TEST_MAKE_S=0.02
    )
    # The key that kills is an error in the end; all others are made and counted.
    assert made(process) == 11
    assert squares(fleet) == [value for value in all_squares(12) if value != 144]
    (record,) = fleet.tables.Square.jobs.errors.to_dicts()
    assert record["number"] == 4
    assert "died 3 times" in record["error_message"]
    fleet.assert_clean()


@on_one_database
@pytest.mark.parametrize("is_shared", [False, True])
def test_of_a_group_that_kills_the_guilty_key_is_found(fleet: Fleet, *, is_shared: bool) -> None:
    class Cube(dj.Computed):
        definition = """
        -> Number
        ---
        cube : int64
        """

        def make_many(self, keys: list[dict[str, int]]) -> None:
            if any(key["number"] == 4 for key in keys):
                os.kill(os.getpid(), signal.SIGKILL)
            self.insert({**key, "cube": key["number"] ** 3} for key in keys)

    fleet.insert(9)
    table = dj.Schema(fleet.schema_name, context={"Number": fleet.tables.Number})(Cube)
    result = table.populate(processes=2, reserve_jobs=is_shared, suppress_errors=True)
    assert result["success_count"] == 8
    ((key, message),) = result["error_list"]
    assert key == {"number": 4}
    assert "died 3 times" in message


@on_one_database
def test_an_error_comes_back_as_text(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.insert(6)
    monkeypatch.setenv("TEST_BAD", "2")
    square = fleet.tables.Square
    with pytest.raises(MakeError, match="ValueError: number 2 is bad"):
        square.populate(processes=2)
    result = square.populate(processes=2, suppress_errors=True, return_exception_objects=True)
    ((key, error),) = result["error_list"]
    assert key == {"number": 2}
    assert isinstance(error, MakeError)
    (record,) = square.jobs.errors.to_dicts()
    assert "sums.py" in record["fingerprint"]
    assert len(square()) == 5


@on_one_database
def test_whatever_a_make_raises_is_an_error_of_its_key(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.insert(8)
    monkeypatch.setenv("TEST_ODD", "0,1,2,3")
    square = fleet.tables.Square
    result = square.populate(processes=2, suppress_errors=True)
    assert result["success_count"] == 4
    assert sorted(key["number"] for key, _ in result["error_list"]) == [0, 1, 2, 3]
    messages = [r["error_message"] for r in square.jobs.errors.to_dicts(order_by="number")]
    assert messages == [
        "<MuteError: its text cannot be made: RuntimeError>",
        "SystemExit()",
        "KeyboardInterrupt()",
        "CancelledError()",
    ]


@on_one_database
def test_max_calls_bounds_all_children_together(fleet: Fleet) -> None:
    fleet.insert(20)
    assert fleet.tables.Square.populate(processes=3, max_calls=7)["success_count"] == 7
    assert len(fleet.tables.Square()) == 7


@on_one_database
def test_new_interpreters_make_the_keys_where_processes_start_so(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.insert(8)
    monkeypatch.setattr(processes, "_forks", lambda: False)
    for name in ("database_url", "redis_url"):
        secret = getattr(fleet.settings, name)
        monkeypatch.setenv(f"DJQ_{name.upper()}", secret.get_secret_value())
    monkeypatch.setenv("TEST_SCHEMA", fleet.schema_name)
    assert fleet.tables.Square.populate(processes=2)["success_count"] == 8
    assert squares(fleet) == all_squares(8)


def test_a_table_that_cannot_be_imported_is_refused_by_new_interpreters(
    no_redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_forks", lambda: False)
    with pytest.raises(UsageError, match="Define the table at the top of a module"):
        no_redis.populate(processes=2)


def _populate_as_daemon(table, results) -> None:
    results.put(table.populate(processes=2)["success_count"])


@on_one_database
def test_it_works_in_a_daemonic_process(fleet: Fleet) -> None:
    fleet.insert(8)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(
        target=_populate_as_daemon, args=(fleet.tables.Square, results), daemon=True
    )
    process.start()
    assert results.get(timeout=UP_S) == 8
    process.join()
    assert squares(fleet) == all_squares(8)


@on_one_database
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", ["", ", reserve_jobs=True"])
def test_a_signal_ends_all_children_without_a_record(
    fleet: Fleet, number: signal.Signals, options: str
) -> None:
    fleet.insert(4)
    process = start_populate(fleet, f"processes=2{options}", TEST_MAKE_S=60)
    n_children = 3 if options else 2
    process.wait_until(lambda: len(process.children()) >= n_children, what="its children")
    children = process.children()
    process.signal(number)
    assert process.wait(UP_S) != 0
    wait_until(lambda: not any(c.is_running() for c in children), what="the children to end")
    assert len(fleet.tables.Square.jobs) == 0
    assert fleet.leftovers() == []


@on_one_database
def test_children_end_with_a_parent_that_is_killed(fleet: Fleet) -> None:
    fleet.insert(40)
    process = start_populate(fleet, "processes=2, reserve_jobs=True", TEST_MAKE_S=0.1)
    wait_until(lambda: fleet.n_made() >= 2, what="some keys", timeout_s=UP_S)
    children = process.children()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(UP_S)
    wait_until(
        lambda: not any(c.is_running() for c in children), what="the children", timeout_s=UP_S
    )
    wait_until(
        lambda: not [n for n in fleet.leftovers() if not n.startswith("losses")],
        what="the keys to be free",
        timeout_s=UP_S,
    )
    fleet.tables.Square.populate()
    assert squares(fleet) == all_squares(40)


@pytest.mark.parametrize("n", [0, -1, True, 1.5])
def test_a_wrong_number_is_refused(no_redis, n: object) -> None:
    with pytest.raises(UsageError, match=r"populate\(processes=.*one per core"):
        no_redis.populate(processes=n)
