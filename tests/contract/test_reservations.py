"""The contract of reservations: Redis with its scripts, and the model that simulations use."""

from __future__ import annotations

import time

import pytest
import redis

from djq.errors import RedisUnavailableError
from djq.orchestrator.events import Freed, Released
from djq.orchestrator.holding import NO_UNITS, Claim, Main, Reservation, Search, Units, holder_id
from djq.orchestrator.leads import EVERYTHING
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.server import Server
from djq.orchestrator.states import Chunk
from tests.stateful.model_redis import ModelReservations
from tests.support.servers import free_port
from tests.support.waiting import wait_until

LEASE_S = 0.3
#: Names in Redis that say that something is queued or reserved.
KINDS = {"jobs", "chunks", "holder", "losses", "units"}
TABLE = "lab.Detection"
FLEET = ("main-a", "main-b")
A, B = (holder_id(main, 1) for main in FLEET)


class RedisBench:
    """Redis with its scripts."""

    def __init__(self, url: str) -> None:
        self.server = Server(url, "contract")

    def open(self, lease_s: float) -> Reservations:
        return Reservations(self.server, lease_s=lease_s)

    def flush(self) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.flushall()

    def mark(self, key: str, state: str) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.hset(self.server.key("jobs", TABLE), key, state)

    def everything_free(self) -> bool:
        with redis.Redis.from_url(self.server.url, decode_responses=True) as client:
            names = [name.removeprefix(self.server.prefix) for name in client.scan_iter()]
        return not {name.split(":")[0] for name in names} & KINDS

    def close(self) -> None:
        self.server.close()


class ModelBench:
    """The model that the simulations use."""

    def __init__(self) -> None:
        self.model = ModelReservations(time.monotonic, LEASE_S)

    def open(self, lease_s: float) -> ModelReservations:
        self.model.lease_s = lease_s
        return self.model

    def flush(self) -> None:
        self.model.flush()

    def mark(self, key: str, state: str) -> None:
        self.model.enter().jobs[TABLE, key] = tuple(state.split("|"))

    def everything_free(self) -> bool:
        return self.model.everything_free()

    def close(self) -> None:
        pass


@pytest.fixture(params=["redis", "model"])
def bench(request: pytest.FixtureRequest):
    made = (
        ModelBench()
        if request.param == "model"
        else RedisBench(request.getfixturevalue("redis_url"))
    )
    yield made
    made.close()


@pytest.fixture
def reservations(bench: RedisBench) -> Reservations:
    """Reservations whose mains must beat often."""
    return bench.open(LEASE_S)


@pytest.fixture
def alive(bench: RedisBench) -> Reservations:
    """Reservations whose two mains beat for the whole test."""
    long = bench.open(60)
    for main in FLEET:
        long.holders.beat(Main(main, slots=2))
    return long


def chunk(name: str = "c1", *keys: str, run: str = "run") -> Chunk:
    return Chunk(name, run, TABLE, keys or ("[1]", "[2]"))


def queued(reservations: Reservations, *chunks: Chunk) -> list[tuple[str, ...]]:
    return reservations.queue(chunks)


def heard(reservations: Reservations, after: str = "0-0") -> list[Released | Freed]:
    return reservations.stream.read(after, wait_s=0)[1]


class TestQueue:
    def test_a_free_key_is_accepted(self, alive: Reservations) -> None:
        assert queued(alive, chunk()) == [("[1]", "[2]")]

    def test_a_queued_key_is_refused_to_another_chunk(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"))
        assert queued(alive, chunk("c2", "[1]", "[2]")) == [("[2]",)]

    def test_a_reserved_key_is_refused(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"))
        alive.reserve(chunk("c1", "[1]"), A)
        assert queued(alive, chunk("c2", "[1]")) == [()]

    def test_a_chunk_without_keys_is_not_remembered(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"))
        queued(alive, chunk("c2", "[1]"))
        assert [record.id for record in alive.chunks()] == ["c1"]

    def test_queuing_twice_accepts_the_same_keys(self, alive: Reservations) -> None:
        assert queued(alive, chunk()) == queued(alive, chunk())

    def test_many_chunks_take_one_call(self, alive: Reservations) -> None:
        chunks = [chunk(f"c{i}", f"[{i}]", "[0]") for i in range(1, 4)]
        assert queued(alive, *chunks) == [("[1]", "[0]"), ("[2]",), ("[3]",)]

    def test_a_chunk_of_ten_thousand_keys_passes(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        big = chunk("big", *(f"[{i}]" for i in range(10_000)))
        assert queued(alive, big) == [big.keys]
        assert alive.reserve(big, A).keys == big.keys
        alive.release(alive.reserve(big, A), released(big, made=big.keys))
        assert bench.everything_free()

    def test_the_same_key_of_another_table_is_another_key(self, alive: Reservations) -> None:
        other = Chunk("c2", "run", "lab.Other", ("[1]",))
        assert queued(alive, chunk("c1", "[1]"), other) == [("[1]",), ("[1]",)]


def released(c: Chunk, **groups: object) -> Released:
    return Released(c.table, c.id, c.run, **groups)


class TestReserve:
    def test_a_queued_chunk_is_granted_whole(self, alive: Reservations) -> None:
        queued(alive, chunk())
        reservation = alive.reserve(chunk(), A)
        assert reservation.keys == ("[1]", "[2]")
        assert alive.holds(reservation, "[1]").is_held

    def test_a_doubled_message_gets_nothing(self, alive: Reservations) -> None:
        queued(alive, chunk())
        alive.reserve(chunk(), A)
        assert alive.reserve(chunk(), B).keys == ()

    def test_a_message_that_comes_late_gets_nothing(self, alive: Reservations) -> None:
        queued(alive, chunk())
        alive.release(alive.reserve(chunk(), A), released(chunk(), made=chunk().keys))
        assert alive.reserve(chunk(), B).keys == ()

    def test_a_message_of_a_dropped_chunk_gets_nothing(self, alive: Reservations) -> None:
        queued(alive, chunk())
        alive.drop(["c1"], "cancelled")
        queued(alive, chunk("c2", "[1]"))
        assert alive.reserve(chunk(), A).keys == ()

    def test_a_chunk_of_a_dead_holder_is_given_up(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        # Given: a message that comes again before anybody noticed that its first worker is gone.
        queued(alive, chunk("c1", "[1]"))
        old = die(bench, alive, chunk("c1", "[1]"), MATLAB)
        # When: another takes it.
        assert alive.reserve(chunk("c1", "[1]"), B, MATLAB).keys == ()
        # Then: its key is free and counted, and so is the licence.
        (event,) = heard(alive)
        assert event == Freed(TABLE, "c1", "run", ("[1]",), "heartbeat ended", (1,))
        assert not alive.holds(old, "[1]").is_held
        queued(alive, chunk("c2", "[1]"))
        assert alive.reserve(chunk("c2", "[1]"), B, MATLAB).keys == ("[1]",)
        # And: nobody counts it once more.
        assert alive.holders.reap().silent == ("main-c",)
        assert alive.holders.losses(TABLE) == {"[1]": 1}

    def test_a_doubled_message_leaves_the_chunk_to_its_holder(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        # Given: a chunk of which its holder got one key, and the other one is free now.
        queued(alive, chunk("c0", "[2]"))
        queued(alive, chunk())
        held = alive.reserve(chunk(), A)
        assert held.keys == ("[1]",)
        alive.drop(["c0"], "cancelled")
        # When: its message comes to another.
        assert alive.reserve(chunk(), B).keys == ()
        # Then: the first one has it, and gives it back.
        assert alive.holders.prune("main-a", [], is_lost=False) == 1
        assert bench.everything_free()

    def test_a_holder_frees_what_it_forgot_to_release(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[2]"))
        alive.reserve(chunk("c1", "[1]"), A)
        alive.reserve(chunk("c2", "[2]"), A)
        assert queued(alive, chunk("c3", "[1]")) == [("[1]",)]
        (event,) = heard(alive)
        assert isinstance(event, Freed)
        assert (event.keys, event.losses) == (("[1]",), ())

    def test_tokens_grow(self, alive: Reservations) -> None:
        tokens = []
        for name in ("c1", "c2", "c3"):
            queued(alive, chunk(name))
            reservation = alive.reserve(chunk(name), A)
            tokens.append(reservation.token)
            alive.release(reservation, released(chunk(name), returned=chunk().keys))
        assert tokens == sorted(set(tokens))

    def test_a_worker_vouches_for_its_main_after_a_flush(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        bench.flush()
        queued(alive, chunk())
        reservation = alive.reserve(chunk(), A)
        alive.holders.reap()
        assert alive.holds(reservation, "[1]").is_held


def die(
    bench: RedisBench, alive: Reservations, c: Chunk, units: Units = NO_UNITS, slot: int = 1
) -> Reservation:
    """Reserve a chunk for a main process whose lease ends; nobody notices yet."""
    held = bench.open(LEASE_S).reserve(c, holder_id("main-c", slot), units)
    assert held.keys == c.keys
    wait_until(lambda: "main-c" in alive.holders.look().silent, what="the lease to end")
    bench.open(60)
    return held


class TestHolds:
    def test_a_worker_that_lost_its_lease_cannot_commit(self, reservations: Reservations) -> None:
        reservations.holders.beat(Main("main-a"))
        queued(reservations, chunk())
        reservation = reservations.reserve(chunk(), A)
        wait_until(
            lambda: reservations.holders.reap().silent == ("main-a",), what="the lease to end"
        )
        assert not reservations.holds(reservation, "[1]").is_held

    def test_a_heartbeat_keeps_the_reservation(self, reservations: Reservations) -> None:
        reservations.holders.beat(Main("main-a"))
        queued(reservations, chunk())
        reservation = reservations.reserve(chunk(), A)
        assert beats_until(reservations, 3 * LEASE_S)
        assert reservations.holds(reservation, "[1]").is_held

    def test_after_a_flush_the_key_is_taken_again(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk())
        reservation = alive.reserve(chunk(), A)
        bench.flush()
        assert alive.holds(reservation, "[1]").is_held
        assert queued(alive, chunk("c2", "[1]", "[2]")) == [("[2]",)]

    def test_a_key_taken_again_after_a_flush_can_be_freed(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk())
        reservation = alive.reserve(chunk(), A)
        bench.flush()
        alive.holds(reservation, "[1]")
        alive.holds(reservation, "[2]")
        assert alive.holders.prune("main-a", [], is_lost=True) == 2
        alive.holders.forgive(TABLE, ["[1]", "[2]"])
        assert bench.everything_free()

    def test_a_key_taken_again_after_a_flush_is_not_reaped(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk())
        reservation = alive.reserve(chunk(), A)
        bench.flush()
        alive.holds(reservation, "[1]")
        assert alive.holders.reap().silent == ()
        assert alive.holds(reservation, "[1]").is_held

    def test_after_a_flush_another_holder_wins(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk())
        old = alive.reserve(chunk(), A)
        bench.flush()
        queued(alive, chunk("c2"))
        new = alive.reserve(chunk("c2"), B)
        assert not alive.holds(old, "[1]").is_held
        assert alive.holds(new, "[1]").is_held

    def test_a_worker_hears_that_it_is_shutting_down(self, alive: Reservations) -> None:
        queued(alive, chunk())
        reservation = alive.reserve(chunk(), A)
        assert not alive.holds(reservation, "[1]").is_stopping
        alive.holders.beat(Main("main-a", is_stopping=True))
        standing = alive.holds(reservation, "[1]")
        assert (standing.is_held, standing.is_stopping) == (True, True)


def beats_until(reservations: Reservations, seconds: float) -> bool:
    """Beat for a while, as the main process does; a lease of LEASE_S would end in between."""
    deadline = time.monotonic() + seconds
    wait_until(
        lambda: bool(reservations.holders.beat(Main("main-a"))) and time.monotonic() > deadline,
        what="time to pass",
    )
    return reservations.holders.reap().silent == ()


class TestRelease:
    def test_nothing_is_left(self, alive: Reservations, bench: RedisBench) -> None:
        queued(alive, chunk())
        alive.release(
            alive.reserve(chunk(), A), released(chunk(), made=("[1]",), returned=("[2]",))
        )
        assert bench.everything_free()

    def test_the_outcome_is_announced(self, alive: Reservations) -> None:
        queued(alive, chunk())
        outcome = released(
            chunk(), made=("[1]",), failed=(("[2]", "ValueError: bad"),), seconds=1.5, worker="w"
        )
        alive.release(alive.reserve(chunk(), A), outcome)
        assert heard(alive) == [outcome]

    def test_a_key_that_moved_on_is_left_to_its_new_holder(
        self, reservations: Reservations
    ) -> None:
        reservations.holders.beat(Main("main-a"))
        queued(reservations, chunk())
        old = reservations.reserve(chunk(), A)
        wait_until(lambda: bool(reservations.holders.reap().silent), what="the lease to end")
        reservations.holders.beat(Main("main-b"))
        queued(reservations, chunk("c2"))
        new = reservations.reserve(chunk("c2"), B)
        reservations.release(old, released(chunk(), lost=chunk().keys))
        assert reservations.holds(new, "[1]").is_held
        assert queued(reservations, chunk("c3")) == [()]

    def test_a_chunk_that_was_queued_again_is_left_alone(self, alive: Reservations) -> None:
        # Given: a chunk in the hands of a worker; Redis remembers the chunk as queued, since it was
        # freed and queued again, or since Redis was restarted and lost its last second.
        queued(alive, chunk())
        late = alive.reserve(chunk(), A)
        alive.holders.prune(FLEET[0], [], is_lost=False)
        queued(alive, chunk())
        # When: the worker releases what it had.
        alive.release(late, Released(TABLE, "c1", "run", lost=late.keys))
        # Then: another gets the chunk.
        assert alive.reserve(chunk(), B).keys == ("[1]", "[2]")


class TestDeath:
    def test_a_killed_process_frees_its_keys_at_once(self, alive: Reservations) -> None:
        queued(alive, chunk())
        alive.reserve(chunk(), A)
        assert alive.holders.prune("main-a", [], is_lost=True) == 2
        assert queued(alive, chunk("c2")) == [("[1]", "[2]")]
        (event,) = heard(alive)
        # Two suspects: neither is counted, and both are noted.
        assert event == Freed(
            TABLE, "c1", "run", ("[1]", "[2]"), "its process ended", losses=(0, 0)
        )

    def test_only_the_key_in_hand_is_counted(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]", "[2]", "[3]"))
        alive.reserve(chunk("c1", "[1]", "[2]", "[3]"), A)
        alive.holders.prune("main-a", [], is_lost=True, in_hand={"1": "[2]"})
        (event,) = heard(alive)
        assert event == Freed(
            TABLE,
            "c1",
            "run",
            ("[1]", "[2]", "[3]"),
            "its process ended",
            losses=(None, 1, None),
        )
        assert alive.holders.losses(TABLE) == {"[2]": 1}

    def test_a_key_in_hand_of_an_earlier_chunk_means_nothing(self, alive: Reservations) -> None:
        queued(alive, chunk())
        alive.reserve(chunk(), A)
        alive.holders.prune("main-a", [], is_lost=True, in_hand={"1": "[7]"})
        assert alive.holders.losses(TABLE) == {"[1]": 0, "[2]": 0}

    def test_a_lost_host_counts_only_keys_that_were_alone(self, reservations: Reservations) -> None:
        reservations.holders.beat(Main("main-a"))
        queued(reservations, chunk("c1", "[1]"), chunk("c2", "[2]", "[3]"))
        reservations.reserve(chunk("c1", "[1]"), holder_id("main-a", 1))
        reservations.reserve(chunk("c2", "[2]", "[3]"), holder_id("main-a", 2))
        wait_until(lambda: bool(reservations.holders.reap().silent), what="the lease to end")
        assert reservations.holders.losses(TABLE) == {"[1]": 1, "[2]": 0, "[3]": 0}

    def test_losses_are_counted_until_the_key_is_settled(self, alive: Reservations) -> None:
        for name in ("c1", "c2"):
            queued(alive, chunk(name, "[1]"))
            alive.reserve(chunk(name, "[1]"), A)
            alive.holders.prune("main-a", [], is_lost=True)
        assert alive.holders.losses(TABLE) == {"[1]": 2}
        queued(alive, chunk("c3", "[1]"))
        alive.release(
            alive.reserve(chunk("c3", "[1]"), A), released(chunk("c3", "[1]"), made=("[1]",))
        )
        assert alive.holders.losses(TABLE) == {}

    def test_after_an_outage_everybody_has_a_lease_to_beat_again(
        self, bench: RedisBench, reservations: Reservations
    ) -> None:
        # Given: two workers with a key each, and Redis is away for longer than their lease.
        for main in FLEET:
            reservations.holders.beat(Main(main))
        queued(reservations, chunk("c1", "[1]"), chunk("c2", "[2]"))
        first = reservations.reserve(chunk("c1", "[1]"), A)
        second = reservations.reserve(chunk("c2", "[2]"), B)
        wait_until(
            lambda: reservations.holders.look().silent != (), what="the lease of both to end"
        )
        # When: one beats again, and a scheduler looks for the dead at once.
        assert reservations.holders.beat(Main("main-a"))
        assert reservations.holders.reap().silent == ()
        # Then: nobody lost a key; who does not come back loses it one lease later.
        assert reservations.holds(first, "[1]").is_held
        assert reservations.holds(second, "[2]").is_held
        wait_until(
            lambda: bool(
                reservations.holders.beat(Main("main-a"))
                and reservations.holders.reap().silent == ("main-b",)
            ),
            what="the lease of the silent one to end",
        )
        assert reservations.holders.losses(TABLE) == {"[2]": 1}

    def test_another_holder_of_the_same_main_keeps_its_keys(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[2]"))
        alive.reserve(chunk("c1", "[1]"), holder_id("main-a", 1))
        kept = alive.reserve(chunk("c2", "[2]"), holder_id("main-a", 11))
        alive.holders.prune("main-a", [11], is_lost=True)
        assert alive.holds(kept, "[2]").is_held

    def test_a_silent_main_is_reaped_with_all_its_holders(
        self, reservations: Reservations, bench: RedisBench
    ) -> None:
        reservations.holders.beat(Main("main-a"))
        queued(reservations, chunk("c1", "[1]"), chunk("c2", "[2]"))
        reservations.reserve(chunk("c1", "[1]"), holder_id("main-a", 1))
        reservations.reserve(chunk("c2", "[2]"), holder_id("main-a", 2))
        wait_until(
            lambda: reservations.holders.reap().silent == ("main-a",), what="the lease to end"
        )
        freed = [event.keys[0] for event in heard(reservations) if isinstance(event, Freed)]
        assert sorted(freed) == ["[1]", "[2]"]
        assert reservations.holders.reap().silent == ()
        reservations.holders.forgive(TABLE, ["[1]", "[2]"])
        assert bench.everything_free()

    def test_a_main_that_leaves_gives_everything_back_uncounted(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk())
        alive.reserve(chunk(), A)
        assert alive.holders.leave("main-a") == 2
        (event,) = heard(alive)
        assert isinstance(event, Freed)
        assert event.losses == ()
        assert bench.everything_free()

    def test_a_dropped_chunk_frees_its_keys(self, alive: Reservations, bench: RedisBench) -> None:
        queued(alive, chunk())
        assert alive.drop(["c1", "unknown"], "message lost") == 2
        assert bench.everything_free()

    def test_a_reserved_chunk_cannot_be_dropped(self, alive: Reservations) -> None:
        queued(alive, chunk())
        reservation = alive.reserve(chunk(), A)
        assert alive.drop(["c1"], "message lost") == 0
        assert alive.holds(reservation, "[1]").is_held


class TestCensus:
    def test_it_counts_the_living(self, alive: Reservations) -> None:
        alive.holders.beat(Main("main-b", slots=3, tables=(TABLE,), is_stopping=True))
        census = alive.holders.reap()
        assert {main.id for main in census.mains} == set(FLEET)
        assert census.slots == 2

    def test_a_look_frees_nothing(self, reservations: Reservations) -> None:
        reservations.holders.beat(Main("main-a", slots=2))
        queued(reservations, chunk())
        reservations.reserve(chunk(), A)
        assert reservations.holders.look() == reservations.holders.reap()
        wait_until(
            lambda: reservations.holders.look().silent == ("main-a",), what="the lease to end"
        )
        (record,) = reservations.chunks()
        assert (record.main, record.is_reserved) == ("main-a", True)
        assert heard(reservations) == []
        wait_until(
            lambda: reservations.holders.reap().silent == ("main-a",), what="it to be reaped"
        )

    def test_a_look_remembers_no_epoch(self, alive: Reservations, bench: RedisBench) -> None:
        bench.flush()
        assert alive.holders.look().epoch == ""

    def test_a_flush_begins_a_new_epoch(self, alive: Reservations, bench: RedisBench) -> None:
        before = alive.holders.reap().epoch
        assert alive.holders.reap().epoch == before
        bench.flush()
        assert bench.open(1).holders.reap().epoch != before


class TestLead:
    def test_one_leads(self, reservations: Reservations) -> None:
        assert reservations.leads.take("a", ["t"]) == {"t"}
        assert reservations.leads.take("a", ["t"]) == {"t"}
        assert reservations.leads.take("b", ["t"]) == set()
        assert reservations.leads.leaders(["t"]) == {"t": "a"}

    def test_the_leader_is_who_has_the_lead_of_everything(self, reservations: Reservations) -> None:
        assert reservations.leads.leader() is None
        reservations.leads.take("a", ["t"])
        assert reservations.leads.leader() is None
        reservations.leads.take("a", ["t", EVERYTHING])
        reservations.leads.take("b", ["u", EVERYTHING])
        assert reservations.leads.leader() == "a"

    def test_the_lead_ends_with_its_lease(self, reservations: Reservations) -> None:
        reservations.leads.take("a", ["t"])
        wait_until(lambda: reservations.leads.take("b", ["t"]) == {"t"}, what="the lease to end")

    def test_resigning_lets_another_lead_at_once(self, reservations: Reservations) -> None:
        reservations.leads.take("a", ["t"])
        reservations.leads.resign("b", ["t"])
        assert reservations.leads.take("b", ["t"]) == set()
        reservations.leads.resign("a", ["t"])
        assert reservations.leads.take("b", ["t"]) == {"t"}
        assert reservations.leads.leaders(["t"]) == {"t": "b"}

    def test_each_table_has_its_own_leader(self, reservations: Reservations) -> None:
        assert reservations.leads.take("a", ["t1", "t2"]) == {"t1", "t2"}
        assert reservations.leads.take("b", ["t2", "t3"]) == {"t3"}
        assert reservations.leads.leaders(["t1", "t2", "t3", "t4"]) == {
            "t1": "a",
            "t2": "a",
            "t3": "b",
        }

    def test_resigning_gives_up_what_is_ours(self, reservations: Reservations) -> None:
        reservations.leads.take("a", ["t1", "t2"])
        reservations.leads.resign("b", ["t1", "t2"])
        reservations.leads.resign("a", ["t1"])
        assert reservations.leads.take("b", ["t1", "t2"]) == {"t1"}

    def test_leads_end_one_by_one(self, reservations: Reservations) -> None:
        reservations.leads.take("a", ["t1", "t2"])
        wait_until(
            lambda: (
                reservations.leads.take("a", ["t1"]) == {"t1"}
                and reservations.leads.take("b", ["t1", "t2"]) == {"t2"}
            ),
            what="the lease of one lead to end",
        )


MATLAB = {"matlab": (1, 1)}


class TestWants:
    def test_a_run_hears_what_the_others_want(self, alive: Reservations) -> None:
        assert alive.leads.want("a", 5, {"cpu": 1, "gpu": 7}) == {}
        assert alive.leads.want("b", 0, {"gpu": 2}) == {"cpu": ((5, 1),), "gpu": ((5, 7),)}
        assert alive.leads.want("a", 5, {"cpu": 1, "gpu": 7}) == {"gpu": ((0, 2),)}

    def test_what_is_not_wanted_any_more_is_gone(self, alive: Reservations) -> None:
        alive.leads.want("a", -1, {"cpu": 1})
        alive.leads.want("a", -1, {})
        assert alive.leads.want("b", 0, {"cpu": 1}) == {}

    def test_a_run_that_ended_is_forgotten(self, reservations: Reservations) -> None:
        reservations.leads.want("a", 0, {"cpu": 3})
        assert reservations.leads.want("b", 0, {}) == {"cpu": ((0, 3),)}
        wait_until(lambda: reservations.leads.want("b", 0, {}) == {}, what="the lease to end")


class TestUnits:
    def test_a_chunk_that_finds_no_unit_frees_its_keys(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[2]"))
        assert alive.reserve(chunk("c1", "[1]"), A, MATLAB).keys == ("[1]",)
        refused = alive.reserve(chunk("c2", "[2]"), B, MATLAB)
        assert (refused.keys, refused.short_of) == ((), "matlab")
        assert heard(alive) == [Freed(TABLE, "c2", "run", ("[2]",), "limit matlab")]
        assert queued(alive, chunk("c3", "[2]")) == [("[2]",)]

    def test_a_unit_comes_back_with_the_release(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk("c1", "[1]"))
        held = alive.reserve(chunk("c1", "[1]"), A, MATLAB)
        alive.release(held, released(chunk("c1", "[1]"), made=("[1]",)))
        assert bench.everything_free()
        queued(alive, chunk("c2", "[2]"))
        assert alive.reserve(chunk("c2", "[2]"), B, MATLAB).keys == ("[2]",)

    def test_a_unit_comes_back_with_the_death_of_its_holder(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[2]"))
        alive.reserve(chunk("c1", "[1]"), A, MATLAB)
        alive.holders.prune("main-a", [], is_lost=True)
        assert alive.reserve(chunk("c2", "[2]"), B, MATLAB).keys == ("[2]",)

    def test_a_doubled_message_takes_no_second_unit(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[2]"))
        two = {"matlab": (1, 2)}
        alive.reserve(chunk("c1", "[1]"), A, two)
        assert alive.reserve(chunk("c1", "[1]"), B, two).keys == ()
        assert alive.reserve(chunk("c2", "[2]"), B, two).keys == ("[2]",)

    def test_all_units_are_taken_or_none(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[2]"), chunk("c3", "[3]"))
        alive.reserve(chunk("c1", "[1]"), A, {"gpu": (2, 3)})
        both = {"matlab": (1, 1), "gpu": (2, 3)}
        assert alive.reserve(chunk("c2", "[2]"), B, both).short_of == "gpu"
        assert alive.reserve(chunk("c3", "[3]"), B, MATLAB).keys == ("[3]",)


SEARCH = Search("search", TABLE, "p-1")


def pages(reservations: Reservations, claim: Claim, due: list[str], size: int) -> None:
    """Read the page that a claim asks for, as its process does."""
    if claim.read_after is not None:
        first = due.index(claim.read_after) + 1 if claim.read_after else 0
        page = due[first : first + size]
        assert reservations.searches.add_page(claim, page, is_last=len(page) < size)


class Claimer:
    """A process that makes what it gets of a shared search."""

    def __init__(self, reservations: Reservations, holder: str, due: list[str]) -> None:
        self.reservations, self.holder, self.due = reservations, holder, due
        self.search = SEARCH
        self.made: list[str] = []
        self.n_pages = self.n_claims = 0
        self.is_done = False

    def step(self, wanted: int = 2, size: int = 5, *, is_made: bool = True) -> Claim:
        self.n_claims += 1
        name = f"{self.holder}.{self.n_claims}"
        claim = self.reservations.searches.claim(self.search, name, self.holder, wanted)
        self.search, self.is_done = claim.search, claim.is_done
        if claim.read_after is not None:
            self.n_pages += 1
            pages(self.reservations, claim, self.due, size)
        keys = claim.reservation.keys
        if keys and is_made:
            self.made.extend(keys)
            for key in keys:
                self.due.remove(key)
            done = Released(TABLE, name, "p-1", made=keys)
            self.reservations.release(claim.reservation, done)
        return claim


def a_due(n: int) -> list[str]:
    return [f"[{i}]" for i in range(1, n + 1)]


class TestSharedSearch:
    def test_one_process_gets_everything_and_is_done(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        one = Claimer(alive, A, a_due(12))
        while not one.is_done:
            one.step()
        assert one.made == a_due(12)
        assert bench.everything_free()

    def test_two_processes_share_the_keys_and_the_reading(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        due = a_due(40)
        both = [Claimer(alive, A, due), Claimer(alive, B, due)]
        while not all(one.is_done for one in both):
            for one in both:
                if not one.is_done:
                    one.step()
        assert sorted(both[0].made + both[1].made) == sorted(a_due(40))
        assert min(len(one.made) for one in both) >= 10
        # Two rounds, the second over nothing: whoever came while the first was on asks for it.
        assert sum(one.n_pages for one in both) <= 10
        assert bench.everything_free()

    def test_keys_in_other_hands_are_left_out(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[3]"))
        alive.reserve(chunk("c2", "[3]"), B)
        one = Claimer(alive, A, a_due(4))
        while not one.is_done:
            one.step(wanted=4)
        assert one.made == ["[2]", "[4]"]

    def test_what_another_process_claimed_is_not_claimed_again(self, alive: Reservations) -> None:
        due = a_due(3)
        Claimer(alive, A, due).step()
        first = alive.searches.claim(SEARCH, "x", A, 2)
        second = alive.searches.claim(SEARCH, "y", B, 2)
        assert (first.reservation.keys, second.reservation.keys) == (("[1]", "[2]"), ("[3]",))
        assert alive.holds(first.reservation, "[1]").is_held
        assert queued(alive, chunk()) == [()]

    def test_a_call_sees_what_became_due_before_it(self, alive: Reservations) -> None:
        # Given: a round is on, and has passed the place of a new key.
        due = a_due(6)[1:]
        one, other = Claimer(alive, A, due), Claimer(alive, B, due)
        one.step()
        one.step()
        due.insert(0, "[1]")
        # Then: a call that begins now ends only after a round of its own.
        while not other.is_done:
            other.step()
        assert "[1]" in other.made

    def test_a_reader_that_died_is_replaced(self, reservations: Reservations) -> None:
        lost = reservations.searches.claim(SEARCH, "x", A, 2)
        assert lost.read_after == ""
        assert reservations.searches.claim(SEARCH, "y", B, 2).read_after is None
        found: list[Claim] = []

        def is_reader() -> bool:
            found.append(reservations.searches.claim(SEARCH, "y", B, 2))
            return found[-1].read_after is not None

        wait_until(is_reader, what="the lease of the reader to end")
        assert reservations.searches.add_page(found[-1], ["[1]"], is_last=True)
        assert not reservations.searches.add_page(lost, ["[1]"], is_last=True)

    def test_a_flush_begins_anew(self, alive: Reservations, bench: RedisBench) -> None:
        one = Claimer(alive, A, a_due(8))
        one.step()
        one.step()
        bench.flush()
        n_claims = one.n_claims
        while not one.is_done:
            one.step()
        assert sorted(one.made) == sorted(a_due(8))
        assert one.n_claims - n_claims < 12

    def test_losses_come_with_the_keys(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[2]"))
        alive.reserve(chunk("c1", "[2]"), B)
        alive.holders.prune("main-b", [], is_lost=True)
        Claimer(alive, A, a_due(3)).step()
        alive.searches.claim(SEARCH, "x", A, 1)
        claim = alive.searches.claim(SEARCH, "y", B, 3)
        assert claim.reservation.keys == ("[2]",)
        assert claim.losses == {"[2]": 1}

    def test_suspects_travel_alone(self, alive: Reservations, bench: RedisBench) -> None:
        # Given: a process that died with two keys in hand, nobody knows with which.
        queued(alive, chunk("c1", "[2]", "[3]"))
        alive.reserve(chunk("c1", "[2]", "[3]"), B)
        alive.holders.prune("main-b", [], is_lost=True)
        due = a_due(5)
        pages(alive, alive.searches.claim(SEARCH, "w", A, 9), due, 9)
        # Then: neither comes with another key, and all come in their order.
        claims = [alive.searches.claim(SEARCH, f"c{i}", f"main-a/{i}", 9) for i in range(2, 6)]
        keys = [claim.reservation.keys for claim in claims]
        assert keys == [("[1]",), ("[2]",), ("[3]",), ("[4]", "[5]")]

    def test_a_suspect_that_takes_its_process_along_is_counted(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]", "[2]"))
        alive.reserve(chunk("c1", "[1]", "[2]"), B)
        alive.holders.prune("main-b", [], is_lost=True)
        pages(alive, alive.searches.claim(SEARCH, "w", A, 9), a_due(2), 9)
        alive.searches.claim(SEARCH, "x", A, 9)
        alive.holders.prune("main-a", [], is_lost=True, in_hand={"1": "?"})
        assert alive.holders.losses(TABLE) == {"[1]": 1, "[2]": 0}

    def test_the_keys_of_a_dead_process_are_counted_before_they_are_taken(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        # Given: processes that died with one key, and with one of two, and nobody noticed.
        queued(alive, chunk("c1", "[1]"), chunk("c2", "[2]", "[3]"))
        die(bench, alive, chunk("c1", "[1]"))
        die(bench, alive, chunk("c2", "[2]", "[3]"), slot=2)
        # When: another process takes the keys.
        pages(alive, alive.searches.claim(SEARCH, "w", A, 9), a_due(4), 9)
        claims = [alive.searches.claim(SEARCH, f"k{i}", f"main-a/{i}", 9) for i in range(4)]
        # Then: they are suspects, which travel alone, and the one that was alone is counted.
        assert [c.reservation.keys for c in claims] == [("[1]",), ("[2]",), ("[3]",), ("[4]",)]
        assert [c.losses for c in claims] == [{"[1]": 1}, {}, {}, {}]
        assert [event.losses for event in heard(alive)] == [(1,), (0, 0)]
        # And: nobody counts them once more.
        alive.holders.reap()
        assert alive.holders.losses(TABLE) == {"[1]": 1, "[2]": 0, "[3]": 0}

    def test_a_key_that_kills_process_after_process_is_counted_each_time(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk("c0", "[1]"))
        die(bench, alive, chunk("c0", "[1]"))
        short = bench.open(LEASE_S)
        due = a_due(1)
        for i in range(3):
            claim = short.searches.claim(SEARCH, f"k{i}", f"main-{i}/1", 1)
            pages(short, claim, due, 9)
            claim = short.searches.claim(SEARCH, f"l{i}", f"main-{i}/1", 1)
            assert claim.losses == {"[1]": i + 1}
            wait_until(lambda i=i: f"main-{i}" in short.holders.look().silent, what="its death")


STRAYS = ("q|gone", f"r|{B}|7|gone")


@pytest.mark.parametrize("state", STRAYS)
class TestStrays:
    """States whose chunk nobody knows: no script leaves one, and none may block a key for ever."""

    def test_a_key_of_an_unknown_chunk_can_be_queued(
        self, alive: Reservations, bench: RedisBench, state: str
    ) -> None:
        bench.mark("[1]", state)
        assert queued(alive, chunk()) == [("[1]", "[2]")]
        assert alive.reserve(chunk(), A).keys == ("[1]", "[2]")

    def test_a_key_of_an_unknown_chunk_can_be_reserved(
        self, alive: Reservations, bench: RedisBench, state: str
    ) -> None:
        queued(alive, chunk())
        bench.mark("[1]", state)
        assert alive.reserve(chunk(), A).keys == ("[1]", "[2]")

    def test_a_key_of_an_unknown_chunk_can_be_claimed(
        self, alive: Reservations, bench: RedisBench, state: str
    ) -> None:
        bench.mark("[1]", state)
        Claimer(alive, A, a_due(2)).step()
        assert alive.searches.claim(SEARCH, "x", A, 2).reservation.keys == ("[1]", "[2]")


class TestRepeats:
    """The answer of a script gets lost, and its client asks the same again."""

    def test_a_repeated_claim_is_answered_with_its_keys(self, alive: Reservations) -> None:
        Claimer(alive, A, a_due(5)).step()
        first = alive.searches.claim(SEARCH, "x", A, 2)
        second = alive.searches.claim(SEARCH, "x", A, 2)
        assert second.reservation.keys == first.reservation.keys == ("[1]", "[2]")
        assert alive.holds(second.reservation, "[1]").is_held
        assert alive.searches.claim(SEARCH, "y", B, 9).reservation.keys == ("[3]", "[4]", "[5]")

    def test_a_repeated_claim_leaves_nothing_behind(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        Claimer(alive, A, a_due(5)).step()
        alive.searches.claim(SEARCH, "x", A, 2)
        held = alive.searches.claim(SEARCH, "x", A, 2).reservation
        alive.release(held, Released(TABLE, "x", "p-1", made=held.keys))
        assert bench.everything_free()

    def test_a_repeated_claim_is_asked_again_to_read(self, alive: Reservations) -> None:
        asked = [alive.searches.claim(SEARCH, "x", A, 2).read_after for _ in range(2)]
        assert asked == ["", ""]
        assert alive.searches.claim(SEARCH, "y", B, 2).read_after is None

    def test_a_repeated_page_is_added_once(self, alive: Reservations) -> None:
        claim = alive.searches.claim(SEARCH, "x", A, 2)
        added = [alive.searches.add_page(claim, ["[1]"], is_last=True) for _ in range(2)]
        assert added == [True, False]
        assert alive.searches.claim(SEARCH, "y", A, 2).reservation.keys == ("[1]",)
        assert alive.searches.claim(SEARCH, "z", B, 2).reservation.keys == ()

    def test_a_repeated_reserve_is_answered_with_its_keys(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk())
        first, second = (alive.reserve(chunk(), A, MATLAB) for _ in range(2))
        assert second.keys == first.keys == chunk().keys
        assert alive.holds(second, "[1]").is_held
        alive.release(second, released(chunk(), made=second.keys))
        assert bench.everything_free()

    def test_a_chunk_that_is_begun_has_what_its_holder_got(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        # Given: a chunk whose second key was in other hands when it was queued, and is free now.
        queued(alive, chunk("c0", "[2]"))
        queued(alive, chunk())
        held = alive.reserve(chunk("c1", "[1]"), A)
        alive.drop(["c0"], "cancelled")
        # When: the scheduler, which heard an error, queues it again.
        assert queued(alive, chunk()) == [("[1]",)]
        # Then: its holder still has it, and another message for it gets nothing.
        assert alive.reserve(chunk("c1", "[1]"), B).keys == ()
        assert alive.holders.prune("main-a", [], is_lost=False) == 1
        assert held.keys == ("[1]",)
        assert bench.everything_free()

    def test_a_repeated_release_frees_what_the_first_one_did(
        self, alive: Reservations, bench: RedisBench
    ) -> None:
        queued(alive, chunk())
        held = alive.reserve(chunk(), A)
        alive.release(held, released(chunk(), returned=chunk().keys))
        queued(alive, chunk("c2"))
        new = alive.reserve(chunk("c2"), A)
        alive.release(held, released(chunk(), returned=chunk().keys))
        assert alive.holds(new, "[1]").is_held

    def test_a_repeated_death_is_counted_once(self, alive: Reservations) -> None:
        queued(alive, chunk("c1", "[1]"))
        alive.reserve(chunk("c1", "[1]"), A)
        freed = [alive.holders.prune("main-a", [], is_lost=True) for _ in range(2)]
        assert freed == [1, 0]
        assert alive.holders.losses(TABLE) == {"[1]": 1}


class TestAnnouncements:
    def test_reading_continues_after_a_position(self, alive: Reservations) -> None:
        queued(alive, chunk())
        alive.holders.leave("main-a")
        position = alive.stream.position()
        queued(alive, chunk("c2", "[3]"))
        alive.drop(["c2"], "x")
        later, heard_then = alive.stream.read(position, wait_s=1)
        assert [event.chunk for event in heard_then] == ["c2"]
        assert alive.stream.read(later, wait_s=0.01) == (later, [])


def test_an_unreachable_server_is_named_without_its_password() -> None:
    port = free_port()
    reservations = Reservations(
        Server(f"redis://user:secret@127.0.0.1:{port}/0", "x"), lease_s=LEASE_S
    )
    with pytest.raises(RedisUnavailableError, match=f"127.0.0.1:{port}") as caught:
        reservations.holders.reap()
    assert "secret" not in str(caught.value)
    assert "DJQ_REDIS_URL" in str(caught.value)


def test_two_installations_on_one_server_do_not_meet(redis_url: str) -> None:
    for namespace in ("one", "two"):
        server = Server(redis_url, namespace)
        assert Reservations(server, lease_s=LEASE_S).queue([chunk()]) == [chunk().keys]
        server.close()
