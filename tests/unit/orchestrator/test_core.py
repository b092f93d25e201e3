"""The decisions of the core, one at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

import pytest

from djq.orchestrator.budget import CHUNKS_PER_SLOT, MIN_CHUNKS
from djq.orchestrator.core import Core
from djq.orchestrator.events import Freed, Inserted, Released
from djq.orchestrator.passes import MIN_PASS_S, PASS_PACE, REST_PACE
from djq.orchestrator.portions import MIN_PAGE
from djq.orchestrator.states import (
    DEFAULT_QUEUE,
    Bury,
    Cancelled,
    Chunk,
    Drop,
    Event,
    Find,
    Finish,
    Forgive,
    Found,
    Instruction,
    Led,
    Limits,
    Place,
    Queue,
    Queued,
    RedisLost,
    Rival,
    Surveyed,
    Tick,
)
from djq.orchestrator.tablestate import (
    MAX_BACKOFF_S,
    MAX_HINTS,
    MAX_KEYS_PER_CHUNK,
    RETRY_SLACK_S,
)
from djq.populate.failures import MAX_LOSSES

PLACES = (Place("Spot", 0), Place("Sum", 1, ("Spot",)))


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(f"[{number}]" for number in numbers)


@dataclass
class Talk:
    """A core, and an obliging world: it answers searches from `due` and accepts every chunk."""

    limits: Limits = field(default_factory=Limits)
    places: tuple[Place, ...] = PLACES
    due: dict[str, list[str]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    big: frozenset[str] = frozenset()
    now: float = 0.0
    search_s: float = 0.0
    sent: list[Chunk] = field(default_factory=list)
    said: list[Instruction] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.core = Core("run", self.places, self.limits)

    def tell(self, event: Event) -> list[Instruction]:
        """Tell the core something; return what it said, searches and answers included."""
        todo = self.core.handle(event, self.now)
        said: list[Instruction] = []
        while todo:
            instruction = todo.pop(0)
            said.append(instruction)
            if isinstance(instruction, Find):
                todo += self.core.handle(self._found(instruction), self.now)
            elif isinstance(instruction, Queue):
                accepted = tuple(k for k in instruction.chunk.keys if k not in self.refused)
                if accepted:
                    self.sent.append(instruction.chunk)
                todo += self.core.handle(Queued(instruction.chunk.id, accepted), self.now)
        self.said += said
        return said

    def _found(self, search: Find) -> Found:
        due = self.due.get(search.table, [])
        if search.parent is not None:
            due = [key for key in due if key in search.among]
        if search.after is not None:
            due = due[due.index(search.after) + 1 :]
        found = tuple(due[: search.limit])
        is_exhausted = len(found) < search.limit
        return Found(search, found, is_exhausted, self.search_s, self.big & set(found))

    def release(self, chunk: Chunk, *, seconds: float = 1.0, **groups: object) -> list[Instruction]:
        made = groups or {"made": chunk.keys}
        for key in chunk.keys:
            self.due[chunk.table].remove(key)
        event = Released(chunk.table, chunk.id, chunk.run, **made, seconds=seconds)
        return self.tell(event)

    @property
    def is_finished(self) -> bool:
        return any(isinstance(instruction, Finish) for instruction in self.said)

    def searches(self) -> list[str]:
        return [said.table for said in self.said if isinstance(said, Find)]


def test_nothing_due_is_finished_after_one_pass() -> None:
    talk = Talk()
    talk.tell(Tick())
    assert talk.searches() == ["Sum", "Spot"]
    assert talk.is_finished


def test_a_scheduler_goes_on_when_nothing_is_due() -> None:
    talk = Talk(Limits(is_endless=True))
    talk.tell(Tick())
    talk.now = MIN_PASS_S + 0.1
    talk.tell(Tick())
    assert not talk.is_finished
    assert talk.searches() == ["Sum", "Spot"] * 2


def test_a_run_ends_with_a_pass_that_finds_nothing() -> None:
    # Given: one key, which is made.
    talk = Talk(due={"Spot": [*ids(1)]})
    talk.tell(Tick())
    assert not talk.is_finished
    # When: it is released.
    said = talk.release(talk.sent[0])
    # Then: its child is searched among it, and then everything once more.
    searches = [(i.table, i.parent) for i in said if isinstance(i, Find)]
    assert searches == [("Sum", "Spot"), ("Sum", None), ("Spot", None)]
    assert talk.is_finished


class TestBackpressure:
    def test_few_chunks_are_in_flight(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(1000))]})
        talk.tell(Tick())
        assert len(talk.sent) == MIN_CHUNKS

    def test_their_number_grows_with_the_fleet(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(1000))]})
        talk.tell(Tick())
        talk.tell(Surveyed(10, frozenset(talk.core.chunks)))
        assert len(talk.sent) == 10 * CHUNKS_PER_SLOT

    def test_a_release_makes_room_for_one(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(1000))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.release(talk.sent[0], seconds=100.0)
        assert len(talk.sent) == MIN_CHUNKS + 1

    def test_max_keys_bounds_a_run(self) -> None:
        talk = Talk(Limits(max_keys=3), due={"Spot": [*ids(*range(10))]})
        talk.tell(Tick())
        assert [key for chunk in talk.sent for key in chunk.keys] == [*ids(0, 1, 2)]
        for chunk in talk.sent[:]:
            talk.release(chunk)
        assert talk.is_finished
        assert len(talk.sent) == 3

    def test_keys_that_come_back_do_not_count(self) -> None:
        talk = Talk(Limits(max_keys=1), due={"Spot": [*ids(1, 2)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.tell(Freed("Spot", talk.sent[0].id, "run", ids(1), "worker left"))
        talk.now = 1.0
        talk.tell(Tick())
        assert len(talk.sent) == 2


class TestChunkSize:
    @pytest.mark.parametrize(
        ("seconds", "expected"), [(0.1, 10), (0.0001, MAX_KEYS_PER_CHUNK), (7.0, 1)]
    )
    def test_it_follows_the_seconds_per_key(self, seconds: float, expected: int) -> None:
        talk = Talk(due={"Spot": [*ids(*range(20_000))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        assert {len(chunk.keys) for chunk in talk.sent} == {1}
        # The first page was found before anything was known, and is used up first.
        for chunk in talk.sent[:2]:
            talk.release(chunk, seconds=seconds)
        assert len(talk.sent[-1].keys) == expected

    def test_the_rest_is_shared_out(self) -> None:
        # Given: two slots, which have 8 keys of 0.2 s in flight, of 14.
        talk = Talk(due={"Spot": [*ids(*range(14))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.tell(Surveyed(2, frozenset(talk.core.chunks)))
        assert len(talk.sent) == 8
        # When: the first comes back, six are left, of which five make 1 s.
        talk.release(talk.sent[0], seconds=0.2)
        # Then: half of them go.
        assert len(talk.sent[-1].keys) == 3


class TestOrder:
    def test_deeper_tables_go_first(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(100))], "Sum": [*ids(*range(100))]})
        talk.tell(Tick())
        assert {chunk.table for chunk in talk.sent} == {"Sum"}

    def test_a_child_is_searched_among_what_was_made(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(100))], "Sum": []})
        talk.tell(Tick())
        first = talk.sent[0]
        talk.due["Sum"] = [*first.keys]
        said = talk.release(first)
        assert said[0] == Find("Sum", said[0].limit, parent="Spot", among=first.keys)
        assert talk.sent[-1].table == "Sum"

    def test_many_hints_become_a_pass(self) -> None:
        talk = Talk(Limits(is_endless=True))
        talk.tell(Tick())
        talk.said.clear()
        few, many = ids(1), ids(*range(MAX_HINTS + 1))
        talk.tell(Released("Spot", "foreign", "other", made=few))
        talk.tell(Released("Spot", "foreign", "other", made=many))
        assert [i.parent for i in talk.said if isinstance(i, Find)] == ["Spot", None]


class TestInserts:
    """What clients announce that they inserted."""

    PLACES = (
        Place("Spot", 0, sources={"lab.scan": True, "lab.method": False}),
        Place("Sum", 1, ("Spot",), sources={"lab.__spot": True}),
    )

    @pytest.fixture
    def talk(self) -> Talk:
        talk = Talk(Limits(is_endless=True), places=self.PLACES)
        talk.tell(Tick())
        talk.said.clear()
        return talk

    def test_dependents_are_searched_among_the_keys_at_once(self, talk: Talk) -> None:
        talk.due = {"Spot": [*ids(1, 2)]}
        talk.tell(Inserted("lab.scan", ids(2, 3)))
        searches = [i for i in talk.said if isinstance(i, Find)]
        assert [(i.table, i.parent, i.among) for i in searches] == [("Spot", "lab.scan", ids(2, 3))]
        assert [chunk.keys for chunk in talk.sent] == [ids(2)]

    def test_nobody_searches_where_nothing_depends_on_them(self, talk: Talk) -> None:
        talk.tell(Inserted("lab.note", ids(1)))
        assert talk.searches() == []

    @pytest.mark.parametrize(
        "event", [Inserted("lab.scan", None), Inserted("lab.method", ids(7))], ids=["many", "blind"]
    )
    def test_keys_that_tell_nothing_have_the_whole_table_searched(
        self, talk: Talk, event: Inserted
    ) -> None:
        talk.due = {"Spot": [*ids(1)]}
        talk.tell(event)
        assert [(i.table, i.is_scan) for i in talk.said if isinstance(i, Find)] == [("Spot", True)]
        assert len(talk.sent) == 1

    def test_a_big_table_rests_between_two_such_searches(self, talk: Talk) -> None:
        # Given: a search that takes a second.
        talk.search_s = 1.0
        talk.tell(Inserted("lab.scan", None))
        # When: rows go on coming.
        for _ in range(5):
            talk.tell(Inserted("lab.scan", None))
        # Then: the next one waits, and is not forgotten.
        assert talk.searches() == ["Spot"]
        assert talk.core.wakes_at <= REST_PACE
        talk.now = REST_PACE
        talk.tell(Tick())
        assert [table for table in talk.searches() if table == "Spot"] == ["Spot"] * 2

    def test_they_delay_no_pass(self, talk: Talk) -> None:
        while talk.now < MIN_PASS_S:
            talk.tell(Inserted("lab.scan", None))
            talk.now += 0.1
        talk.tell(Tick())
        assert "Sum" in talk.searches()

    def test_whoever_is_led_leaves_them_to_the_leader(self) -> None:
        talk = Talk(places=self.PLACES)
        talk.tell(Led(frozenset({"Spot", "Sum"})))
        talk.said.clear()
        talk.tell(Inserted("lab.scan", ids(1)))
        assert not any(i.parent for i in talk.said if isinstance(i, Find))


class TestPasses:
    def test_their_pace_follows_their_cost(self) -> None:
        talk = Talk(Limits(is_endless=True), places=(Place("Spot", 0),), search_s=1.0)
        talk.tell(Tick())
        for now, n_passes in [(PASS_PACE - 1, 1), (PASS_PACE + 1, 2)]:
            talk.now = now
            talk.tell(Tick())
            assert len(talk.searches()) == n_passes

    def test_pages_have_few_sizes(self) -> None:
        # Given: keys that take longer and longer, so that chunks become smaller.
        talk = Talk(due={"Spot": [*ids(*range(9_000))]}, places=(Place("Spot", 0),))
        talk.tell(Surveyed(50, frozenset()))
        for n in range(1, 60):
            talk.release(talk.sent.pop(0), seconds=0.001 * n**2)
        # Then: the statements that search them are few.
        assert 1 < len({said.limit for said in talk.said if isinstance(said, Find)}) < 8

    def test_a_pass_goes_page_by_page(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(60))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        while not talk.is_finished:
            talk.release(talk.sent.pop(0), seconds=5.0)
        # 60 keys in pages of 50, then a last look.
        assert len(talk.searches()) == 3

    def test_keys_of_somebody_else_are_waited_for(self) -> None:
        # Given: the only due key is queued by another run.
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),), refused=set(ids(1)))
        talk.tell(Tick())
        assert not talk.is_finished
        # When: the other has made it, and a pass is due.
        talk.due["Spot"] = []
        talk.tell(Released("Spot", "foreign", "other", made=ids(1)))
        talk.now = 2 * MIN_PASS_S
        talk.tell(Tick())
        talk.now = 4 * MIN_PASS_S
        talk.tell(Tick())
        assert talk.is_finished

    def test_when_redis_forgot_everything_is_searched_anew(self) -> None:
        talk = Talk(due={"Spot": [*ids(1, 2)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        n_sent = len(talk.sent)
        talk.tell(RedisLost())
        assert [chunk.keys for chunk in talk.sent[n_sent:]] == [ids(1), ids(2)]


class TestLosses:
    def test_a_key_that_was_lost_travels_alone(self) -> None:
        # Given: keys so quick that one chunk takes all that are left.
        talk = Talk(due={"Spot": [*ids(*range(20))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.release(talk.sent[0], seconds=0.001)
        big = talk.sent[-1]
        assert len(big.keys) == 16
        for chunk in talk.sent[1:-1]:
            talk.release(chunk, seconds=0.001)
        # When: its worker dies.
        lost = big.keys[:3]
        talk.tell(Freed("Spot", big.id, "run", lost, "killed", losses=(1, 1, 1)))
        # Then: the suspects are tried one by one.
        assert [chunk.keys for chunk in talk.sent[-3:]] == [(key,) for key in lost]

    def test_the_third_loss_is_an_error(self) -> None:
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        said = talk.tell(
            Freed("Spot", talk.sent[0].id, "run", ids(1), "killed", losses=(MAX_LOSSES,))
        )
        assert Bury("Spot", "[1]", MAX_LOSSES) in said

    def test_a_key_that_the_last_of_them_made_is_none(self) -> None:
        # Given: a worker that dies between its commit and its release.
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.due["Spot"] = []
        # When: it was the third for this key.
        event = Freed("Spot", talk.sent[0].id, "run", ids(1), "killed", losses=(MAX_LOSSES,))
        said = talk.tell(event)
        # Then: there is nothing to record.
        assert not any(isinstance(each, Bury) for each in said)
        assert Forgive("Spot", ids(1)) in said

    def test_what_a_dying_worker_had_committed_is_forgiven(self) -> None:
        # Given: a worker that died with two keys, of which one is made.
        talk = Talk(due={"Spot": [*ids(1, 2)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        first = talk.sent[0]
        talk.due["Spot"].remove("[1]")
        # When: its lease ends.
        said = talk.tell(Freed("Spot", first.id, "run", ids(1), "killed", losses=(1,)))
        # Then: nobody will release that key, so its losses end here.
        assert Forgive("Spot", ids(1)) in said
        assert talk.core.handle(Tick(), talk.now) == []

    def test_losses_of_an_earlier_run_are_looked_at(self) -> None:
        talk = Talk(due={"Spot": [*ids(2)]}, places=(Place("Spot", 0),))
        talk.core.recall({"Spot": {"[1]": 1, "[2]": 2}})
        assert Forgive("Spot", ids(1)) in talk.tell(Tick())

    def test_a_chunk_that_vanished_is_searched_again(self) -> None:
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        for _ in range(2):
            talk.tell(Surveyed(1, frozenset()))
        assert [chunk.keys for chunk in talk.sent] == [ids(1), ids(1)]


class TestRetries:
    def test_a_failed_key_is_searched_when_its_time_has_come(self) -> None:
        # Given: a key that failed and is to be tried again after 10 s.
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        failed = (("[1]", "bad"),)
        retries = (("[1]", 10.0),)
        event = Released("Spot", talk.sent[0].id, "run", failed=failed, retries=retries, seconds=1)
        talk.tell(event)
        # Then: the run waits for it, and wakes up for it.
        assert not talk.is_finished
        assert len(talk.sent) == 1
        while not len(talk.sent) > 1:
            assert talk.now < 20
            talk.now = talk.core.wakes_at
            talk.tell(Tick())
        assert talk.now == pytest.approx(10 + RETRY_SLACK_S)
        # When: it is made.
        talk.release(talk.sent[1])
        # Then: that is all.
        assert talk.is_finished


class TestQueues:
    GPU, CPU = Place("Net", 1, queue="djq.gpu"), Place("Spot", 0)

    def test_a_full_queue_stops_no_other(self) -> None:
        # Given: one slot for each queue, and much to do on both.
        due = {"Net": [*ids(*range(99))], "Spot": [*ids(*range(99))]}
        talk = Talk(due=due, places=(self.GPU, self.CPU))
        talk.tell(Tick())
        assert Counter(chunk.queue for chunk in talk.sent) == {"djq.gpu": 4, DEFAULT_QUEUE: 4}

    def test_the_room_of_each_follows_its_workers(self) -> None:
        due = {"Net": [*ids(*range(99))], "Spot": [*ids(*range(99))]}
        talk = Talk(due=due, places=(self.GPU, self.CPU))
        talk.tell(Surveyed(12, frozenset(), queues={"djq.gpu": 2, DEFAULT_QUEUE: 10}))
        assert Counter(chunk.queue for chunk in talk.sent) == {"djq.gpu": 8, DEFAULT_QUEUE: 40}

    def test_a_table_that_waits_for_its_queue_does_not_keep_others_from_being_searched(
        self,
    ) -> None:
        # Given: a deep table with more than its queue takes.
        due = {"Net": [*ids(*range(500))], "Spot": []}
        talk = Talk(Limits(is_endless=True), due=due, places=(self.GPU, self.CPU))
        talk.tell(Tick())
        talk.said.clear()
        # When: it is time to look for what others inserted.
        talk.due["Spot"] = [*ids(1)]
        talk.now = MIN_PASS_S + 0.1
        talk.tell(Tick())
        # Then: that is found.
        assert talk.sent[-1].table == "Spot"

    def test_what_is_limited_bounds_the_chunks_that_need_it(self) -> None:
        # Given: two licences, of which each chunk takes one.
        place = Place("Spot", 0, units={"matlab": (1, 2)})
        talk = Talk(due={"Spot": [*ids(*range(99))]}, places=(place,))
        talk.tell(Surveyed(100, frozenset()))
        assert len(talk.sent) == 3
        talk.release(talk.sent[0], seconds=100)
        assert len(talk.sent) == 4


class TestPriorities:
    def test_higher_tables_of_a_level_go_first(self) -> None:
        places = (Place("A", 0), Place("B", 0, priority=5))
        due = {"A": [*ids(*range(9))], "B": [*ids(*range(9))]}
        talk = Talk(due=due, places=places)
        talk.tell(Tick())
        assert {chunk.table for chunk in talk.sent} == {"B"}

    @pytest.mark.parametrize(
        ("rivals", "expected"), [((), 40), ((1,), 0), ((0,), 20), ((0, 0, -1), 13), ((-1,), 40)]
    )
    def test_runs_share_a_queue(self, rivals: tuple[int, ...], expected: int) -> None:
        # Given: rivals of these priorities, each with as much as the queue takes.
        talk = Talk(due={"Spot": [*ids(*range(999))]}, places=(Place("Spot", 0),))
        full = tuple(Rival(priority, 40) for priority in rivals)
        talk.tell(Surveyed(10, frozenset(), rivals={DEFAULT_QUEUE: full}))
        assert len(talk.sent) == expected

    @pytest.mark.parametrize(
        ("rivals", "expected"),
        [([(5, 1)], 9), ([(5, 1), (0, 9)], 5), ([(5, 4), (9, 4)], 2), ([(5, 10)], 0)],
    )
    def test_slots_that_a_higher_priority_leaves_idle_are_for_the_others(
        self, rivals: list[tuple[int, int]], expected: int
    ) -> None:
        talk = Talk(due={"Spot": [*ids(*range(999))]}, places=(Place("Spot", 0),))
        others = tuple(Rival(*rival) for rival in rivals)
        talk.tell(Surveyed(10, frozenset(), rivals={DEFAULT_QUEUE: others}))
        assert len(talk.sent) == expected

    def test_a_run_wants_what_it_has_in_flight_and_what_only_the_queue_holds_back(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(999))]}, places=(Place("Spot", 0),))
        talk.tell(Surveyed(10, frozenset()))
        assert talk.core.wants[DEFAULT_QUEUE] > 40
        last = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        last.tell(Surveyed(10, frozenset()))
        assert last.core.wants == {DEFAULT_QUEUE: 1}

    def test_a_run_that_is_kept_from_a_queue_wants_it_all_the_same(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(999))]}, places=(Place("Spot", 0),))
        above = {DEFAULT_QUEUE: (Rival(1, 40),)}
        talk.tell(Surveyed(10, frozenset(), rivals=above))
        assert talk.sent == []
        assert talk.core.wants[DEFAULT_QUEUE] >= 40
        # It searches no more than the smallest page.
        assert {said.limit for said in talk.said if isinstance(said, Find)} == {MIN_PAGE}

    def test_keys_that_wait_for_a_licence_keep_nobody_from_the_queue(self) -> None:
        place = Place("Spot", 0, units={"matlab": (1, 1)})
        talk = Talk(due={"Spot": [*ids(*range(999))]}, places=(place,))
        talk.tell(Surveyed(10, frozenset()))
        assert talk.core.wants == {DEFAULT_QUEUE: 2}

    def test_a_table_whose_chunks_come_back_untouched_keeps_nobody_from_the_queue(self) -> None:
        # Given: a table that no worker knows.
        talk = Talk(due={"Spot": [*ids(*range(9))]}, places=(Place("Spot", 0),))
        talk.tell(Surveyed(1, frozenset()))
        # When: whatever was sent comes back.
        while talk.sent:
            chunk = talk.sent.pop(0)
            talk.tell(Released("Spot", chunk.id, "run", returned=chunk.keys))
        # Then: as long as it waits, others have the queue.
        assert talk.core.wants == {}


class TestBackground:
    """A page of a whole table takes its time."""

    def test_a_hint_does_not_wait_for_a_page(self) -> None:
        # Given: a scheduler in the middle of a page.
        core = Core("run", PLACES, Limits(is_endless=True))
        (page,) = core.handle(Tick(), 0.0)
        assert isinstance(page, Find)
        assert page.is_scan
        # When: a key is made.
        said = core.handle(Released("Spot", "foreign", "other", made=ids(1)), 0.1)
        # Then: its child is searched at once.
        assert [(i.table, i.parent) for i in said if isinstance(i, Find)] == [("Sum", "Spot")]

    def test_one_page_is_searched_at_a_time(self) -> None:
        core = Core("run", PLACES, Limits(is_endless=True))
        (page,) = core.handle(Tick(), 0.0)
        assert core.handle(Tick(), 1.0) == []
        assert isinstance(page, Find)
        (second,) = core.handle(Found(page, (), is_exhausted=True), 1.0)
        assert (page.table, second.table) == ("Sum", "Spot")

    def test_what_others_release_during_a_pass_does_not_keep_a_run(self) -> None:
        # Given: a run in the middle of its last pass.
        core = Core("run", PLACES, Limits())
        (page,) = core.handle(Tick(), 0.0)
        assert isinstance(page, Find)
        # When: others make a key of a table that nothing depends on.
        assert core.handle(Released("Sum", "foreign", "other", made=ids(1)), 0.1) == []
        (second,) = core.handle(Found(page, (), is_exhausted=True), 0.2)
        assert isinstance(second, Find)
        # Then: there is nothing more to look for.
        assert core.handle(Found(second, (), is_exhausted=True), 0.3) == [Finish()]

    def test_what_others_make_due_during_a_pass_does(self) -> None:
        # Given: a run that leaves the work to others, in the middle of its last pass.
        core = Core("run", PLACES, Limits())
        (page,) = core.handle_all([Led(frozenset({"Spot", "Sum"})), Tick()], 0.0)
        assert isinstance(page, Find)
        (second,) = core.handle(Found(page, (), is_exhausted=True), 0.1)
        # When: a key is made whose child was searched before.
        (probe,) = core.handle(Released("Spot", "foreign", "other", made=ids(1)), 0.2)
        assert isinstance(probe, Find)
        core.handle(Found(probe, ids(1), is_exhausted=True), 0.3)
        # Then: another pass is needed.
        assert isinstance(second, Find)
        assert Finish() not in core.handle(Found(second, (), is_exhausted=True), 0.4)

    def test_a_page_of_a_search_that_began_anew_is_thrown_away(self) -> None:
        # Given: the second page of a table.
        core = Core("run", (Place("Spot", 0),), Limits())
        (first,) = core.handle(Tick(), 0.0)
        assert isinstance(first, Find)
        said = core.handle(Found(first, ids(1, 2), is_exhausted=False), 0.0)
        (second,) = [each for each in said if isinstance(each, Find)]
        assert second.after == "[2]"
        # When: Redis forgets everything meanwhile.
        core.handle(RedisLost(), 0.0)
        said = core.handle(Found(second, (), is_exhausted=True), 0.0)
        # Then: it is searched from its first key.
        assert [each.after for each in said if isinstance(each, Find)] == [None]


class TestFruitlessness:
    def test_keys_that_a_leaving_worker_gives_back_go_out_at_once(self) -> None:
        talk = Talk(due={"Spot": [*ids(1, 2)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.tell(Freed("Spot", talk.sent[0].id, "run", ids(1), "worker left"))
        assert [chunk.keys for chunk in talk.sent] == [ids(1), ids(2), ids(1)]

    def test_chunks_that_all_come_back_are_sent_more_slowly(self) -> None:
        # Given: workers that refuse everything.
        talk = Talk(due={"Spot": [*ids(*range(900))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        # When: one chunk after the other comes back.
        for chunk in talk.sent:
            if len(talk.sent) > 100:
                break
            talk.tell(Freed("Spot", chunk.id, "run", chunk.keys, "unknown table"))
        # Then: the table waits, though each key came back but once.
        assert len(talk.sent) <= 3 * MIN_CHUNKS

    def test_a_table_that_comes_back_untouched_waits_longer_each_time(self) -> None:
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        waits: list[float] = []
        talk.tell(Tick())
        for _ in range(12):
            n_sent = len(talk.sent)
            talk.tell(Freed("Spot", talk.sent[-1].id, "run", ids(1), "unknown table"))
            began = talk.now
            while len(talk.sent) == n_sent:
                talk.now += 0.05
                talk.tell(Tick())
            waits.append(talk.now - began)
        assert all(later > earlier - 0.1 for earlier, later in pairwise(waits))
        assert waits[0] < 0.3
        assert waits[-1] == pytest.approx(MAX_BACKOFF_S, abs=0.1)

    def test_a_failed_key_that_seems_due_is_not_tried_again_by_the_run(self) -> None:
        # Given: a scheduler whose code has another version than the worker's: it does not see the
        # error's record.
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        event = Released("Spot", talk.sent[0].id, "run", failed=(("[1]", "bad"),), seconds=1.0)
        talk.tell(event)
        assert len(talk.sent) == 1
        assert talk.is_finished


class TestCancel:
    def test_what_is_queued_is_taken_back(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(100))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        said = talk.tell(Cancelled())
        assert said == [Drop(tuple(chunk.id for chunk in talk.sent))]

    def test_it_is_finished_when_the_rest_came_back(self) -> None:
        talk = Talk(due={"Spot": [*ids(*range(100))]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.tell(Cancelled())
        for chunk in talk.sent:
            assert not talk.is_finished
            talk.tell(Freed("Spot", chunk.id, "run", chunk.keys, "cancelled"))
        assert talk.is_finished

    def test_it_does_not_wake_for_keys_that_it_will_not_try_again(self) -> None:
        # Given: a key that failed and is to be tried again, and another one in hand.
        talk = Talk(due={"Spot": [*ids(1, 2)]}, places=(Place("Spot", 0),))
        talk.tell(Tick())
        talk.release(talk.sent[0], failed=(("[1]", "no"),), retries=(("[1]", 3.0),))
        talk.tell(Cancelled())
        # When: its time has come.
        talk.now = 3.0 + RETRY_SLACK_S + 1.0
        talk.tell(Tick())
        # Then: the loop waits for the key in hand, and does not spin.
        assert not talk.is_finished
        assert talk.core.wakes_at == inf


class TestLed:
    def test_it_queues_nothing_and_ends_when_nothing_is_due(self) -> None:
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Led(frozenset({"Spot"})))
        assert (talk.sent, talk.is_finished) == ([], False)
        talk.due["Spot"] = []
        talk.now = 2 * MIN_PASS_S
        talk.tell(Tick())
        assert talk.is_finished

    def test_it_goes_on_when_keys_come_back_just_as_a_pass_begins(self) -> None:
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Led(frozenset({"Spot"})))
        # When: the only key in flight comes back, and it is time for a pass.
        talk.now = 2 * MIN_PASS_S
        talk.tell(Freed("Spot", "theirs", "scheduler", ids(1), "message lost"))
        talk.now = talk.core.wakes_at
        talk.tell(Tick())
        # Then: the search among these keys does not stand for the whole pass.
        assert not talk.is_finished

    def test_it_takes_over_when_nobody_leads_any_more(self) -> None:
        talk = Talk(due={"Spot": [*ids(1)]}, places=(Place("Spot", 0),))
        talk.tell(Led(frozenset({"Spot"})))
        talk.tell(Led(frozenset()))
        assert len(talk.sent) == 1


def test_the_same_events_lead_to_the_same_decisions() -> None:
    def talk() -> list[Instruction]:
        each = Talk(due={"Spot": [*ids(*range(50))], "Sum": []})
        each.tell(Tick())
        while each.sent and not each.is_finished:
            each.now += 0.1
            each.release(each.sent.pop(0), seconds=0.3)
        return each.said

    assert talk() == talk()


def test_it_wakes_when_time_alone_changes_something() -> None:
    talk = Talk(Limits(is_endless=True), places=(Place("Spot", 0),))
    talk.tell(Tick())
    assert talk.core.wakes_at == MIN_PASS_S


BIG = (Place("Spot", 0, big_queue="djq.big"),)


def test_keys_that_ran_out_of_memory_go_to_the_big_queue_each_alone() -> None:
    talk = Talk(places=BIG, due={"Spot": list(ids(1, 2, 3, 4))}, big=frozenset(ids(2, 3)))
    talk.tell(Tick())
    assert {chunk.keys: chunk.queue for chunk in talk.sent} == {
        ("[1]",): DEFAULT_QUEUE,
        ("[2]",): "djq.big",
        ("[3]",): "djq.big",
        ("[4]",): DEFAULT_QUEUE,
    }
    assert talk.core.wants.keys() == {DEFAULT_QUEUE, "djq.big"}


def test_a_big_queue_without_room_stops_no_other_key() -> None:
    # Given: more keys for the big queue than may be in flight there, before all others.
    numbers = range(10 * MIN_CHUNKS)
    big = ids(*numbers[: 5 * MIN_CHUNKS])
    talk = Talk(places=BIG, due={"Spot": list(ids(*numbers))}, big=frozenset(big))
    talk.tell(Tick())
    assert Counter(chunk.queue for chunk in talk.sent) == {"djq.big": 4, DEFAULT_QUEUE: 4}
    # When: those of the table's own queue are made.
    while own := [
        c for c in talk.sent if c.queue == DEFAULT_QUEUE and c.keys[0] in talk.due["Spot"]
    ]:
        talk.release(own[0])
    assert not talk.is_finished
    # Then: the others wait for their queue, and the run for them.
    while rest := [c for c in talk.sent if c.keys[0] in talk.due["Spot"]]:
        talk.release(rest[0])
    assert talk.is_finished
    assert talk.due["Spot"] == []


def test_a_cancelled_run_forgets_what_waits_for_the_big_queue() -> None:
    big = ids(*range(5 * MIN_CHUNKS))
    talk = Talk(places=BIG, due={"Spot": list(big)}, big=frozenset(big))
    talk.tell(Tick())
    talk.tell(Cancelled())
    for chunk in list(talk.sent):
        talk.release(chunk)
    assert len(talk.sent) == MIN_CHUNKS
    assert talk.is_finished
