"""The loop around the core: it hears, decides, does, and does again what failed."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from djq.errors import (
    DefinitionError,
    MissingTableError,
    RedisUnavailableError,
    UnreachableError,
)
from djq.orchestrator.events import Freed, Released
from djq.orchestrator.holding import Main
from djq.orchestrator.loop import SURVEY_S, Loop
from djq.orchestrator.scans import BackgroundScans
from djq.orchestrator.scheduler import Scheduler
from djq.orchestrator.states import DEFAULT_QUEUE, Chunk, Find, Limits, Place
from djq.orchestrator.stream import READ_LIMIT
from djq.orchestrator.survey import AWAY_S, GRACE_S
from djq.orchestrator.tablestate import MAX_LOSSES
from tests.stateful.model_fleet import Broker
from tests.stateful.model_redis import ModelReservations
from tests.stateful.model_world import World, scan_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.orchestrator.holding import Reservation


@dataclass
class Bench:
    """A loop over the model, under a simulated clock."""

    limits: Limits = field(default_factory=Limits)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.world = World(scans={1, 2})
        self.reservations = ModelReservations(lambda: self.now, lease_s=1000.0)
        self.broker = Broker()
        self.reservations.holders.beat(Main("m", slots=1, tables=("Spot",)))
        self.loop = self.new_loop()

    def new_loop(self, scans: BackgroundScans | None = None) -> Loop:
        return Loop(
            "run",
            self.world,
            self.reservations,
            self.broker,
            self.limits,
            scans=scans,
            clock=lambda: self.now,
        )

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.loop.turn(0.0)

    def sent(self) -> list[tuple[str, ...]]:
        return [chunk.keys for chunk in self.broker.messages]


def test_what_is_due_is_queued_and_sent() -> None:
    bench = Bench()
    bench.turn()
    assert bench.sent() == [("[1]",), ("[2]",)]
    assert {chunk.id for chunk in bench.reservations.chunks()} == bench.broker.waiting()


def test_what_was_released_is_heard() -> None:
    bench = Bench()
    bench.turn()
    chunk = bench.broker.messages[0]
    reservation = bench.reservations.reserve(chunk, "m/1")
    bench.world.commit("Spot", "[1]")
    bench.reservations.release(
        reservation, Released("Spot", chunk.id, "run", made=("[1]",), seconds=1.0)
    )
    bench.turn()
    bench.turn()
    assert ("[1,0]",) in bench.sent()
    assert ("[1,1]",) in bench.sent()


def test_keys_that_were_given_back_are_sent_again() -> None:
    bench = Bench()
    bench.turn()
    chunk = bench.broker.messages.pop(0)
    reservation = bench.reservations.reserve(chunk, "m/1")
    bench.reservations.release(reservation, Released("Spot", chunk.id, "run", returned=("[1]",)))
    bench.turn()
    bench.turn(0.2)
    assert bench.sent() == [("[2]",), ("[1]",)]


class TestLostMessages:
    def test_a_message_that_stays_away_is_sent_again(self) -> None:
        bench = Bench()
        bench.turn()
        bench.broker.messages.clear()
        while not bench.broker.messages and bench.now < 60:
            bench.turn(SURVEY_S)
        assert GRACE_S + AWAY_S <= bench.now <= GRACE_S + AWAY_S + 3 * SURVEY_S
        assert sorted(bench.sent()) == [("[1]",), ("[2]",)]

    def test_a_message_may_wait_for_ever(self) -> None:
        bench = Bench()
        for _ in range(200):
            bench.turn(SURVEY_S)
        assert bench.sent() == [("[1]",), ("[2]",)]

    def test_a_chunk_that_was_begun_is_left_alone(self) -> None:
        bench = Bench()
        bench.turn()
        for chunk in bench.broker.messages:
            bench.reservations.reserve(chunk, f"m/{chunk.id}")
        bench.broker.messages.clear()
        for _ in range(200):
            bench.turn(SURVEY_S)
        assert bench.sent() == []


def test_a_flush_is_noticed_by_the_next_look() -> None:
    bench = Bench()
    bench.turn()
    bench.reservations.flush()
    bench.broker.messages.clear()
    bench.turn(SURVEY_S)
    bench.turn()
    assert sorted(bench.sent()) == [("[1]",), ("[2]",)]


def test_what_failed_is_done_again_by_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given: a broker that does not answer once, after the keys were queued.
    bench = Bench()

    def unreachable(chunks: object) -> None:
        monkeypatch.undo()
        message = "gone"
        raise RedisUnavailableError(message)

    monkeypatch.setattr(bench.broker, "send", unreachable)
    with pytest.raises(RedisUnavailableError):
        bench.turn()
    assert bench.sent() == []
    # When, then: everything is sent after all.
    bench.turn()
    assert bench.sent() == [("[1]",), ("[2]",)]


def test_a_bound_holds_when_a_chunk_was_begun_that_seemed_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given: a run of one key; a worker begins it, and the scheduler hears an error of the broker.
    bench = Bench(Limits(max_keys=1))
    held: list[Reservation] = []

    def unheard(chunks: Sequence[Chunk]) -> None:
        monkeypatch.undo()
        held.append(bench.reservations.reserve(chunks[0], "m/1"))
        message = "gone"
        raise RedisUnavailableError(message)

    monkeypatch.setattr(bench.broker, "send", unheard)
    with pytest.raises(RedisUnavailableError):
        bench.turn()
    # When: it queues the chunk again.
    bench.turn()
    # Then: no other key is sent, and the run waits for this one.
    assert bench.sent() == [("[1]",)]
    assert not bench.loop.is_finished
    bench.world.commit("Spot", "[1]")
    bench.reservations.release(held[0], Released("Spot", held[0].chunk, "run", made=("[1]",)))
    bench.turn()
    bench.turn()
    assert bench.sent() == [("[1]",)]
    assert bench.loop.is_finished


def test_a_search_that_fails_for_good_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.world, "find", failing(MissingTableError("no such table")))
    with pytest.raises(MissingTableError):
        bench.turn()


#: What a search may raise that a second try does not mend; the last one is a key source's own.
FOR_GOOD = (MissingTableError("no such table"), DefinitionError("no query"), ZeroDivisionError())


@pytest.mark.parametrize("error", FOR_GOOD)
def test_a_search_that_fails_for_good_does_not_stop_the_scheduler(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(Limits(is_endless=True))
    search = bench.world.find
    monkeypatch.setattr(
        bench.world,
        "find",
        lambda find: search(find) if find.table == "Spot" else failing(error)(),
    )
    bench.turn()
    assert bench.sent() == [("[1]",), ("[2]",)]
    assert "search_failed" in caplog.text


def test_an_error_that_cannot_be_recorded_does_not_stop_the_scheduler(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(Limits(is_endless=True))
    monkeypatch.setattr(bench.world, "bury", failing(MissingTableError("no table of jobs")))
    bench.reservations.enter()
    bench.reservations.memory.losses["Spot", "[1]"] = MAX_LOSSES
    bench.turn()
    bench.turn()
    assert bench.sent() == [("[2]",)]
    assert "bury_failed" in caplog.text


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Limits(is_endless=True))
    monkeypatch.setattr(bench.world, "find", failing(UnreachableError("away")))
    with pytest.raises(UnreachableError):
        bench.turn()
    monkeypatch.undo()
    bench.turn()
    assert bench.sent() == [("[1]",), ("[2]",)]


def test_a_run_looks_on_while_daemons_lead_its_tables() -> None:
    bench = Bench()
    bench.reservations.leads.take("s-1", ["Spot", "Twin", "Other"])
    bench.reservations.leads.take("s-2", ["Total"])
    bench.turn()
    assert bench.sent() == []
    bench.reservations.leads.resign("s-1", ["Spot", "Twin", "Other"])
    bench.turn(SURVEY_S)
    assert bench.sent() == [("[1]",), ("[2]",)]


def test_a_run_drives_itself_where_nobody_leads() -> None:
    bench = Bench()
    bench.reservations.leads.take("s-1", ["Total"])
    bench.turn()
    assert bench.sent() == [("[1]",), ("[2]",)]


def test_a_run_waits_while_a_more_urgent_one_wants_the_queue() -> None:
    # Given: a run that has everything in flight that it may.
    bench = Bench()
    bench.world = World(scans=set(range(50)))
    bench.loop = bench.new_loop()
    bench.turn()
    n_sent = len(bench.sent())
    # When: an urgent one comes, and a chunk ends.
    bench.reservations.leads.want("urgent", 10, {DEFAULT_QUEUE: 4})
    bench.turn(SURVEY_S)
    chunk = bench.broker.messages[0]
    reservation = bench.reservations.reserve(chunk, "m/1")
    bench.world.commit("Spot", chunk.keys[0])
    made = Released("Spot", chunk.id, "run", made=chunk.keys, seconds=1.0)
    bench.reservations.release(reservation, made)
    bench.turn()
    # Then: nothing more is sent until the other is through.
    assert len(bench.sent()) == n_sent
    bench.reservations.leads.want("urgent", 10, {})
    bench.turn(SURVEY_S)
    assert len(bench.sent()) > n_sent


class TestRestrictedRuns:
    """One among keys of which others make many."""

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch) -> Bench:
        """A run of the first scan only."""
        made = Bench()
        find = made.world.find

        def within(table: str, keys: Sequence[str]) -> list[str]:
            return [key for key in keys if scan_of(table, key) == 1]

        monkeypatch.setattr(made.world, "within", within)
        monkeypatch.setattr(made.world, "find", lambda s: (*within(s.table, find(s)),))
        made.loop = made.new_loop()
        return made

    def make_all(self, bench: Bench) -> None:
        for key in ("[1]", "[1,0]", "[1,1]"):
            bench.world.commit("Spot" if key == "[1]" else "Twin", key)

    def take_elsewhere(self, bench: Bench, *keys: str) -> tuple[Chunk, Reservation]:
        chunk = Chunk("theirs", "s-1", "Spot", keys)
        bench.reservations.queue([chunk])
        return chunk, bench.reservations.reserve(chunk, "m/1")

    def test_it_ends_while_others_work_on_other_keys_of_its_tables(self, bench: Bench) -> None:
        self.make_all(bench)
        self.take_elsewhere(bench, "[2]")
        bench.reservations.events.append(Released("Spot", "x", "s-1", made=("[3]",)))
        bench.turn()
        assert bench.loop.is_finished

    def test_it_goes_on_while_they_have_one_of_its_own(self, bench: Bench) -> None:
        # Given: its last key is made, and its release is not announced yet.
        self.make_all(bench)
        chunk, held = self.take_elsewhere(bench, "[1]", "[2]")
        bench.turn()
        assert not bench.loop.is_finished
        # When, then: it is.
        bench.reservations.release(held, Released("Spot", chunk.id, "s-1", made=chunk.keys))
        bench.turn(SURVEY_S)
        bench.turn(2 * SURVEY_S)
        assert bench.loop.is_finished

    def test_it_goes_on_when_the_release_of_one_is_news(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given: what it searched last was made and released meanwhile.
        self.make_all(bench)
        find = bench.world.find

        def late(search: Find) -> tuple[str, ...]:
            monkeypatch.setattr(bench.world, "find", find)
            bench.reservations.events.append(Released("Spot", "x", "s-1", made=("[1]",)))
            return find(search)

        monkeypatch.setattr(bench.world, "find", late)
        bench.turn()
        assert not bench.loop.is_finished

    @pytest.mark.parametrize("n_others", [0, READ_LIMIT])
    def test_news_at_its_end_are_heard_whatever_comes_between(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, n_others: int
    ) -> None:
        # Given: the same, behind many that matter to others, while the database is away.
        self.make_all(bench)
        find = bench.world.find

        def late(search: Find) -> tuple[str, ...]:
            monkeypatch.setattr(bench.world, "find", find)
            news = [Released("Other", "y", "s-1", made=("[1]",))] * n_others
            bench.reservations.events.extend([*news, Released("Spot", "x", "s-1", made=("[1]",))])
            return find(search)

        monkeypatch.setattr(bench.world, "find", late)
        if not n_others:
            with monkeypatch.context() as away:
                away.setattr(bench.world, "within", failing(UnreachableError("away")))
                with pytest.raises(UnreachableError):
                    bench.turn()
        bench.turn()
        assert not bench.loop.is_finished

    def test_the_next_try_of_a_key_of_others_does_not_keep_it(self, bench: Bench) -> None:
        bench.turn()
        failed = Released("Spot", "x", "s-1", failed=(("[2]", "no"),), retries=(("[2]", 99.0),))
        bench.reservations.events.append(failed)
        self.make_all(bench)
        for chunk in bench.broker.messages:
            held = bench.reservations.reserve(chunk, "m/1")
            done = Released("Spot", chunk.id, "run", made=chunk.keys)
            bench.reservations.release(held, done)
        bench.turn()
        bench.turn(2 * SURVEY_S)
        assert bench.loop.is_finished

    def test_it_forgives_nothing_that_others_lost(self, bench: Bench) -> None:
        # Given: a worker died with a key of others before it began.
        bench.reservations.memory.losses["Spot", "[2]"] = 1
        bench.turn()
        # When: another dies.
        bench.reservations.memory.losses["Spot", "[2]"] = 2
        lost = Freed("Spot", "x", "s-1", ("[2]",), "its process ended", losses=(2,))
        bench.reservations.events.append(lost)
        bench.turn()
        bench.turn()
        # Then: that is not forgotten.
        assert bench.reservations.memory.losses["Spot", "[2]"] == 2

    def test_what_was_announced_while_the_database_was_away_is_heard(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.turn()
        chunk = bench.broker.messages.pop()
        lost = Freed("Spot", chunk.id, "run", chunk.keys, "message lost")
        others = Freed("Spot", "x", "s-1", ("[2]",), "its process ended", losses=(1,))
        bench.reservations.memory.jobs.clear()
        bench.reservations.events.extend([others, lost])
        with monkeypatch.context() as away:
            away.setattr(bench.world, "within", failing(UnreachableError("away")))
            with pytest.raises(UnreachableError):
                bench.turn()
        bench.turn()
        assert bench.sent() == [("[1]",)]


class TestBackgroundScans:
    @pytest.fixture
    def scans(self):
        made = BackgroundScans()
        yield made
        made.close()

    @pytest.fixture
    def gate(self, monkeypatch: pytest.MonkeyPatch):
        """Opens for pages of whole tables when set."""
        opened = threading.Event()
        find = World.find

        def slow(self: World, search: Find) -> tuple[str, ...]:
            if search.is_scan:
                opened.wait(60)
            return find(self, search)

        monkeypatch.setattr(World, "find", slow)
        yield opened
        opened.set()

    def test_hints_and_surveys_do_not_wait_for_a_page(self, scans, gate) -> None:
        # Given: a scheduler in the middle of a page.
        bench = Bench(Limits(is_endless=True))
        loop = bench.new_loop(scans)
        loop.turn(0.0)
        assert bench.sent() == []
        # When: somebody made a key, and a worker comes.
        bench.world.commit("Spot", "[1]")
        bench.reservations.events.append(Released("Spot", "x", "other", made=("[1]",)))
        bench.reservations.holders.beat(Main("another", slots=7))
        bench.now += SURVEY_S
        loop.turn(0.0)
        # Then: what it made due is sent meanwhile.
        assert bench.sent() == [("[1,0]",), ("[1,1]",)]
        # When, then: the pages come, and so does the rest.
        gate.set()
        wait_until(lambda: loop.turn(0.0) or ("[2]",) in bench.sent(), what="the pages")

    def test_a_page_that_failed_for_good_fails_again(self, scans, monkeypatch) -> None:
        bench = Bench()
        loop = bench.new_loop(scans)
        monkeypatch.setattr(bench.world, "find", failing(ZeroDivisionError()))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                wait_until(lambda: loop.turn(0.0), what="the error")

    def test_a_page_that_failed_for_a_moment_is_searched_again(self, scans, monkeypatch) -> None:
        bench = Bench()
        loop = bench.new_loop(scans)
        monkeypatch.setattr(bench.world, "find", failing(UnreachableError("away")))
        with pytest.raises(UnreachableError):
            wait_until(lambda: loop.turn(0.0), what="the error")
        monkeypatch.undo()
        wait_until(lambda: loop.turn(0.0) or len(bench.sent()) == 2, what="the pages")


def failing(error: Exception):
    def fail(*_: object) -> None:
        raise error

    return fail


class TestDaemon:
    @pytest.fixture
    def daemons(self):
        """Two schedulers over one model, in threads."""
        bench = Bench()
        made = [Scheduler(bench.world, bench.reservations, bench.broker) for _ in range(2)]
        bench.reservations.lease_s = 0.3
        bench.reservations.clock = time.monotonic
        threads = [threading.Thread(target=daemon.run_forever) for daemon in made]
        yield bench, made, threads
        for daemon in made:
            daemon.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()

    def test_another_takes_over_when_one_ends(self, daemons) -> None:
        bench, made, threads = daemons
        threads[0].start()
        wait_until(lambda: bench.reservations.leads.leader() is not None, what="a leader")
        first = bench.reservations.leads.leader()
        threads[1].start()
        made[0].stop()
        wait_until(lambda: bench.reservations.leads.leader() not in {None, first}, what="the other")
        assert sorted(bench.sent()) == [("[1]",), ("[2]",)]

    def test_each_leads_the_tables_that_the_other_does_not(self, daemons) -> None:
        # Given: two schedulers with different pipelines.
        bench, _, _ = daemons
        other = World(scans={1}, places=(Place("Spot", 0), Place("Else", 0)))
        other.rows["Else"], other.records["Else"] = set(), {}
        first, second = (
            Scheduler(world, bench.reservations, bench.broker) for world in (bench.world, other)
        )
        # When: both work.
        first.turn(0.0)
        second.turn(0.0)
        # Then: nobody stands by for tables that the other does not have.
        leaders = bench.reservations.leads.leaders(["Spot", "Twin", "Total", "Else"])
        assert len(leaders) == 4
        assert leaders["Spot"] == leaders["Twin"] == leaders["Total"] != leaders["Else"]
        assert {chunk.run for chunk in bench.broker.messages if chunk.table == "Spot"} == {
            json.loads(leaders["Spot"])["id"] + ".1"
        }

    def test_it_waits_for_redis(self, daemons, caplog) -> None:
        bench, _, threads = daemons
        bench.reservations.is_down = True
        threads[0].start()
        wait_until(lambda: "server_does_not_answer" in caplog.text, what="the warning")
        bench.reservations.is_down = False
        wait_until(lambda: len(bench.sent()) == 2, what="work to begin")
