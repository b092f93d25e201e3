"""`populate(processes=N)`: children that are forked or started anew, killed, failing, daemonic."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import psutil
import pytest

import djq as dj
from djq.errors import MakeError, RedisUnavailableError, UsageError
from djq.populate import children, tenure
from djq.populate.here import Call
from djq.populate.overruns import LOOK_S
from djq.populate.processes import in_processes
from djq.populate.reservations import LocalClaims, Settlement, Taken
from tests.integration.fleet import MODULE, UP_S
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
    from tests.integration.pipelines.sums import Square


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
    monkeypatch.setattr(children, "_forks", lambda: False)
    for name in ("database_url", "redis_url"):
        secret = getattr(fleet.settings, name)
        monkeypatch.setenv(f"DJQ_{name.upper()}", secret.get_secret_value())
    monkeypatch.setenv("TEST_SCHEMA", fleet.schema_name)
    assert fleet.tables.Square.populate(processes=2)["success_count"] == 8
    assert squares(fleet) == all_squares(8)


def test_a_table_that_cannot_be_imported_is_refused_by_new_interpreters(
    no_redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_forks", lambda: False)
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
def test_a_signal_that_comes_while_a_child_is_forked_ends_the_call(fleet: Fleet) -> None:
    fleet.insert(4)
    script = f"""
import os, signal
from {MODULE} import Square
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
Square.populate(processes=2)
"""
    env = {"TEST_SCHEMA": fleet.schema_name, "TEST_MAKE_S": "60"}
    process = fleet.start_process("-c", script, settings=fleet.settings, env=env)
    assert process.wait(UP_S) != 0
    assert "KeyboardInterrupt" in process.text()
    assert len(fleet.tables.Square.jobs) == 0


# The longer one takes so long that its child asks the parent before it commits.
@on_one_database
@pytest.mark.parametrize("make_s", [0.1, 2 * tenure.FRESH_S])
def test_children_end_with_a_parent_that_is_killed(fleet: Fleet, make_s: float) -> None:
    fleet.insert(40)
    process = start_populate(fleet, "processes=2, reserve_jobs=True", TEST_MAKE_S=make_s)
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
    assert len(fleet.tables.Square.jobs) == 0
    fleet.tables.Square.populate()
    assert squares(fleet) == all_squares(40)


class Terminal(io.TextIOWrapper):
    """A file that people look at."""

    def isatty(self) -> bool:
        return True


@on_one_database
def test_children_print_past_the_progress_of_their_parent(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fleet.insert(1)
    square = fleet.tables.Square

    def make(self: Square, key: dict[str, int]) -> None:
        # What make writes is noted, and passed on to this stream.
        stream = cast("Any", sys.stdout).stream
        print(f"printed to a {type(stream).__name__}")  # noqa: T201 - what users do
        self.insert1({**key, "square": 0})

    monkeypatch.setattr(square, "make", make)
    path = tmp_path / "terminal"
    with Terminal(path.open("wb")) as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert square.populate(processes=2, display_progress=True)["success_count"] == 1
    assert "printed to a Terminal\n" in path.read_text()


class Unreachable(LocalClaims):
    """Claims whose server went away."""

    def release(self, settlement: Settlement) -> None:
        message = f"cannot release {settlement.taken.keys}"
        raise RedisUnavailableError(message)


@on_one_database
def test_children_end_though_their_keys_cannot_be_given_back(fleet: Fleet) -> None:
    fleet.insert(8)
    before = psutil.Process().children()
    outcomes = in_processes(Call(fleet.tables.Square), Unreachable(), 2)
    assert next(outcomes).status == "made"
    assert psutil.Process().children() != before
    # When: the call is left while the first chunk is not released.
    outcomes.close()
    # Then: what ends it comes out alone, and no child is left.
    assert psutil.Process().children() == before


class Counted(LocalClaims):
    """Claims that count how often they are asked."""

    n_asked = 0

    def take(self, slot: str, wanted: int) -> Taken:
        self.n_asked += 1
        return super().take(slot, wanted)


@on_one_database
def test_children_are_waited_for_without_asking_for_more_keys(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.insert(1)
    monkeypatch.setenv("TEST_MAKE_S", "0.5")
    claims, begun = Counted(), time.monotonic()
    assert len(list(in_processes(Call(fleet.tables.Square), claims, 2))) == 1
    assert claims.n_asked <= 6 + 2 * (time.monotonic() - begun) / LOOK_S


class Unasked(LocalClaims):
    """Claims that are not asked before a commit: the parent may be waiting for the child's lock."""

    def holds(self, taken: Taken, key: str) -> bool:
        message = f"asked for {key} of {taken}"
        raise AssertionError(message)


@on_one_database
def test_a_child_does_not_ask_for_keys_that_nobody_else_can_have(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.insert(1)
    monkeypatch.setenv("TEST_MAKE_S", str(2 * tenure.FRESH_S))
    (outcome,) = in_processes(Call(fleet.tables.Square), Unasked(), 2)
    assert outcome.status == "made"


class Noted(LocalClaims):
    """Claims that hand two keys to the first child, and keep what was released."""

    def __init__(self) -> None:
        super().__init__()
        self.released: dict[str, Settlement] = {}

    def take(self, slot: str, wanted: int) -> Taken:
        return super().take(slot, 2 * wanted if slot == "1" else wanted)

    def release(self, settlement: Settlement) -> None:
        self.released[settlement.taken.slot] = settlement


@on_one_database
def test_what_a_child_committed_last_is_announced_when_the_call_ends(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a child that made 0 and goes on with 1, and tells both together.
    fleet.insert(3)
    square = fleet.tables.Square

    def make(self: Square, key: dict[str, int]) -> None:
        if key["number"]:
            wait_until(lambda: bool(square() & {"number": 0}), what="the first key")
        if key["number"] == 1:
            signal.pause()
        self.insert1({**key, "square": 0})

    monkeypatch.setattr(square, "make", make)
    claims = Noted()
    outcomes = in_processes(Call(square), claims, 2)
    next(outcome for outcome in outcomes if outcome.key == {"number": 2})
    # When: something ends the call.
    outcomes.close()
    # Then: others are told that 0 is there, and 1 goes back.
    assert claims.released["1"].group("made") == ("[0]",)
    assert claims.released["1"].untouched == ("[1]",)


@pytest.mark.parametrize("n", [0, -1, True, 1.5])
def test_a_wrong_number_is_refused(no_redis, n: object) -> None:
    with pytest.raises(UsageError, match=r"populate\(processes=.*one per core"):
        no_redis.populate(processes=n)
