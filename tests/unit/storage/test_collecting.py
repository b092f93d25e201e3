"""Garbage collection: what goes, and that no order of steps takes what a row refers to."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import TYPE_CHECKING

import pytest

from djq.errors import ObjectMissingError, StoreUnavailableError, UsageError
from djq.storage import collecting, sweeps
from djq.storage.base import Stat
from djq.storage.clock import CLOCK, StoreClock
from djq.storage.collecting import Census, cutoff, garbage, in_words, is_ours, sweep
from djq.storage.content import FOLDER, ContentStore
from djq.storage.pathset import PathSet
from djq.storage.sweeps import SweepWatch
from tests.support.interleaving import Actor, orders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from djq.storage.buffers import Data

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
SHA = "ab" * 32


@pytest.fixture(autouse=True)
def _few_questions(monkeypatch):
    """Let a put that waits ask three times, not three hundred."""
    monkeypatch.setattr(sweeps, "PAUSE_S", sweeps.WAIT_S / 3)


class World:
    """A store, a table of paths, and the time that all clocks show."""

    def __init__(self, tick_s: float = 0) -> None:
        self.now = NOW
        self.tick = dt.timedelta(seconds=tick_s)
        self.objects: dict[str, tuple[bytes, dt.datetime]] = {}
        self.rows: list[str] = []

    def wall(self) -> float:
        return self.now.timestamp()

    def put_old(self, data: bytes) -> str:
        """Put an object three days ago."""
        path = ContentStore("raw", View(self, None)).put(data).path
        self.objects[path] = (data, self.now - 3 * DAY)
        return path


class View:
    """The store as one actor sees it: each request is a step, and takes a tick."""

    def __init__(self, world: World, actor: Actor | None, *, upload_s: float = 0) -> None:
        self.world = world
        self.actor = actor
        self.upload = dt.timedelta(seconds=upload_s)
        self.repeats_deletes = False

    def _step(self) -> None:
        if self.actor is not None:
            self.actor.pause()
        self.world.now += self.world.tick

    def put(self, path: str, data: Data) -> None:
        assert isinstance(data, bytes)
        self._step()
        if path.startswith(FOLDER):
            self.world.now += self.upload
        self.world.objects[path] = (data, self.world.now)

    def stat(self, path: str) -> Stat:
        if path != CLOCK:
            self._step()
        if path not in self.world.objects:
            raise ObjectMissingError(path)
        data, modified = self.world.objects[path]
        return Stat(path, len(data), modified)

    def get(self, path: str) -> memoryview:
        self._step()
        if path not in self.world.objects:
            raise ObjectMissingError(path)
        return memoryview(self.world.objects[path][0])

    def delete(self, path: str) -> None:
        self._step()
        self.world.objects.pop(path, None)
        if self.repeats_deletes and path.startswith(FOLDER):  # as after a lost answer
            self._step()
            self.world.objects.pop(path, None)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        self._step()
        found = [p for p in sorted(self.world.objects) if p.startswith(f"{prefix}/")]
        return iter(
            [Stat(p, len(self.world.objects[p][0]), self.world.objects[p][1]) for p in found]
        )


def sleeper(world: World, actor: Actor, *, is_waiting: bool) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        """Sleep in two parts, so that something can happen in the middle."""
        for _ in range(2):
            actor.pause(is_waiting=is_waiting)
            world.now += dt.timedelta(seconds=seconds / 2)

    return sleep


def inserting(world: World, data: bytes, *, upload_s: float = 0) -> Callable[[Actor], None]:
    """Put an object, then commit its row; without a row if the store is busy for long."""

    def insert(actor: Actor) -> None:
        view = View(world, actor, upload_s=upload_s)
        content = ContentStore("raw", view)
        content.clock = StoreClock(view, world.wall)
        sleep = sleeper(world, actor, is_waiting=True)
        content.sweeps = SweepWatch(view, content.clock, world.wall, sleep)
        try:
            path = content.put(data).path
        except StoreUnavailableError:
            return
        actor.pause()
        world.rows.append(path)

    return insert


def deleting(world: World, path: str) -> Callable[[Actor], None]:
    def delete(actor: Actor) -> None:
        actor.pause()
        world.rows.remove(path)

    return delete


def collection(world: World, *, repeats_deletes: bool = False) -> Callable[[Actor], None]:
    """Collect as `GarbageCollector` does: the time, the rows, the objects, the announced sweep."""

    def collect(actor: Actor) -> None:
        view = View(world, actor)
        view.repeats_deletes = repeats_deletes
        before = cutoff(StoreClock(view, world.wall).now(), DAY, None)
        with PathSet() as referenced:
            actor.pause()
            for path in list(world.rows):
                referenced.add(path)
            found = garbage(view, referenced, before, Census())
            sleep = sleeper(world, actor, is_waiting=False)
            deque(sweep(view, found, before, sleep=sleep, wall=world.wall))

    return collect


def lost_in(
    begin: Callable[[], tuple[World, list[Actor]]], max_deviations: int
) -> tuple[int, list]:
    """Play every order; return how many there are, and those that lost an object of a row."""
    n, lost, worlds = 0, [], []

    def begin_one() -> list[Actor]:
        world, actors = begin()
        worlds.append(world)
        return actors

    for order in orders(begin_one, max_deviations):
        n += 1
        world = worlds.pop()
        if any(path not in world.objects for path in world.rows):
            lost.append(order)
    return n, lost


@pytest.mark.parametrize("tick_s", [0, 7])
@pytest.mark.parametrize("repeats_deletes", [False, True])
def test_no_order_of_an_insert_and_a_collection_loses_an_object(tick_s, repeats_deletes):
    def begin() -> tuple[World, list[Actor]]:
        world = World(tick_s)
        world.put_old(b"old")
        collect = collection(world, repeats_deletes=repeats_deletes)
        return world, [Actor("insert", inserting(world, b"old")), Actor("collect", collect)]

    n, lost = lost_in(begin, 4)
    assert n > 400
    assert lost == []


def test_no_order_loses_an_object_that_takes_long_to_upload():
    def begin() -> tuple[World, list[Actor]]:
        world = World()
        world.put_old(b"old")
        insert = inserting(world, b"old", upload_s=400)
        return world, [Actor("insert", insert), Actor("collect", collection(world))]

    assert lost_in(begin, 2)[1] == []


def test_no_order_of_two_inserts_and_a_collection_loses_an_object():
    def begin() -> tuple[World, list[Actor]]:
        world = World()
        world.put_old(b"old")
        return world, [
            Actor("insert", inserting(world, b"old")),
            Actor("another", inserting(world, b"old")),
            Actor("collect", collection(world)),
        ]

    assert lost_in(begin, 2)[1] == []


def test_no_order_of_two_collections_and_an_insert_loses_an_object():
    def begin() -> tuple[World, list[Actor]]:
        world = World()
        world.put_old(b"old")
        return world, [
            Actor("collect", collection(world)),
            Actor("again", collection(world)),
            Actor("insert", inserting(world, b"old")),
        ]

    assert lost_in(begin, 2)[1] == []


def test_no_order_loses_an_object_whose_row_goes_and_comes_back():
    def begin() -> tuple[World, list[Actor]]:
        world = World()
        path = world.put_old(b"old")
        world.rows.append(path)
        return world, [
            Actor("delete", deleting(world, path)),
            Actor("insert", inserting(world, b"old")),
            Actor("collect", collection(world)),
        ]

    assert lost_in(begin, 2)[1] == []


def test_the_orders_include_the_one_that_would_lose_an_object_unannounced(monkeypatch):
    """Between the look of a collection and its deletion; so the tests above can fail."""
    monkeypatch.setattr(sweeps, "LEAD_S", 0)

    def begin() -> tuple[World, list[Actor]]:
        world = World()
        world.put_old(b"old")
        return world, [
            Actor("insert", inserting(world, b"old")),
            Actor("collect", collection(world)),
        ]

    assert lost_in(begin, 2)[1]


# --- what goes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        f"hash/ab/{SHA}",
        "object/lab/picture/id=1/pixels_0123456789abcdef.png",
        "object/lab/picture/id=1/pixels_0123456789abcdef/a/b.bin",
        "object/lab/picture/id=1/pixels_0123456789abcdef",
    ],
)
def test_what_djq_puts_is_known_by_its_path(path):
    assert is_ours(path)


@pytest.mark.parametrize(
    "path",
    [
        f"hash/cd/{SHA}",
        f"hash/ab/{SHA}x",
        f"hash/{SHA}",
        f"mine/hash/ab/{SHA}",
        f"hash/ab/{SHA.upper()}",
        "hash/lab/abcdefghijklmnopqrstuvwxyz",
        "object/readme.txt",
        "object/lab/picture/notes.txt",
        "object/pixels_0123456789abcdef.png",
        "_hash/ab/x",
        ".djq-clock",
        ".djq-databases/sqlite-1",
    ],
)
def test_everything_else_belongs_to_somebody_else(path):
    assert not is_ours(path)


def test_the_cutoff_leaves_the_grace_period_and_open_transactions():
    assert cutoff(NOW, DAY, None) == NOW - DAY
    assert cutoff(NOW, DAY, HOUR) == NOW - DAY
    assert cutoff(NOW, DAY, 3 * DAY) == NOW - 3 * DAY - collecting.FRESH - collecting.MARGIN


def test_a_grace_period_that_leaves_an_insert_no_time_is_refused():
    with pytest.raises(UsageError, match=r"grace is 1 h 11 min: .* longer than 1 h 11 min"):
        cutoff(NOW, HOUR + dt.timedelta(minutes=11), None)


def test_the_files_of_a_folder_that_a_row_refers_to_stay():
    world = World()
    view = View(world, None)
    owned, other = "object/a/b/x_0123456789abcdef", "object/a/b/x_fedcba9876543210"
    for path in (f"{owned}/1", f"{owned}/deep/2", f"{other}/1", other + ".bin"):
        world.objects[path] = (b"data", NOW - 3 * DAY)
    census = Census()
    with PathSet() as referenced:
        referenced.add(owned)
        found = [s.path for s in garbage(view, referenced, NOW - DAY, census)]
    assert found == [other + ".bin", f"{other}/1"]
    assert (census.kept.n, census.kept.size, census.garbage.n) == (2, 8, 2)
    assert census.oldest == NOW - 3 * DAY


def test_a_set_of_paths_knows_what_was_added():
    with PathSet() as paths:
        assert paths.contains(["a"]) == [False]
    with PathSet() as paths:
        for i in range(200_000):
            paths.add(f"hash/{i}")
        assert paths.contains(["hash/0", "hash/199999", "hash/200000", "hash/7/x", "x/hash/7"]) == [
            *(True, True, False, True, False)
        ]
        assert paths.contains([]) == []
        assert paths.n_added == 200_000


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (86_400, "24 h"), (4_260, "1 h 11 min"), (61, "1 min 1 s")]
)
def test_durations_in_words(seconds, words):
    assert in_words(dt.timedelta(seconds=seconds)) == words


def test_a_store_that_answers_more_slowly_than_collections_are_announced_takes_no_object():
    world = World(tick_s=20)
    view = View(world, None)
    content = ContentStore("raw", view)
    content.clock = StoreClock(view, world.wall)
    content.sweeps = SweepWatch(view, content.clock, world.wall)
    with pytest.raises(StoreUnavailableError, match=r"answers too slowly"):
        content.put(b"data")


# --- announcements -------------------------------------------------------------------------------


def watching(world: World) -> SweepWatch:
    view = View(world, None)

    def sleep(seconds: float) -> None:
        world.now += dt.timedelta(seconds=seconds)

    return SweepWatch(view, StoreClock(view, world.wall), world.wall, sleep)


def test_a_put_of_what_is_announced_waits_and_gives_up_in_the_end():
    world = World()
    with sweeps.announced(View(world, None), [f"hash/ab/{SHA}"], lambda _: None):
        watch = watching(world)
        watch.avoid("hash/cd/another")
        with pytest.raises(StoreUnavailableError, match=r"being deleted by a collection"):
            watch.avoid(f"hash/ab/{SHA}")
    assert world.now - NOW >= dt.timedelta(seconds=sweeps.WAIT_S)
    watch.avoid(f"hash/ab/{SHA}")


def test_an_announcement_that_was_left_behind_counts_for_an_hour():
    world = World()

    def fail() -> None:
        with sweeps.announced(View(world, None), [f"hash/ab/{SHA}"], lambda _: None):
            raise StoreUnavailableError

    with pytest.raises(StoreUnavailableError):
        fail()
    with pytest.raises(StoreUnavailableError, match=r"try again in some minutes"):
        watching(world).avoid(f"hash/ab/{SHA}")
    world.now += HOUR
    watching(world).avoid(f"hash/ab/{SHA}")


def test_a_collection_that_takes_too_long_deletes_no_more(monkeypatch):
    world = World()
    old = [world.put_old(bytes([i])) for i in range(3)]
    view = View(world, None)
    stats = [view.stat(path) for path in old]
    late = iter([0.0, 1.0, sweeps.SWEEP_S + 1, sweeps.SWEEP_S + 2])
    gone = list(sweep(view, stats, NOW - DAY, sleep=lambda _: None, wall=lambda: next(late)))
    assert len(gone) == 1
    assert sum(path in world.objects for path in old) == 2
