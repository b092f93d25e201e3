"""Buckets in processes that were forked from one that had used a bucket, and the ends of relays."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from djq.settings import load
from tests.support.s3 import ACCESS_KEY, SECRET_KEY
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from djq.settings import Settings, StoreSettings
    from tests.support.processes import Process

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

#: A script as people write it: its tables in it, nothing guarded.
PIPELINE = """
import multiprocessing
import os
import numpy as np
import djq as dj

schema = dj.Schema(os.environ["TEST_SCHEMA"])

@schema
class Wave(dj.Manual):
    definition = '''
    wave : int32
    ---
    samples : <blob@raw>
    '''

@schema
class Power(dj.Computed):
    definition = '''
    -> Wave
    ---
    power   : int64
    squares : <blob@raw>
    '''

    def make(self, key):
        squares = compute(key)
        self.insert1({**key, "power": int(np.sum(squares)), "squares": squares})

def square(key):
    return (Wave & key).fetch1("samples") ** 2

Wave.insert((i, np.full(100_000, i)) for i in range(6))
"""
POPULATE = """
print(Power.populate(processes=2))
print(Power.to_arrays("power", order_by="wave") // 100_000)
print([int(squares[-1]) for squares in Power.to_arrays("squares", order_by="wave")])
"""
IN_MAKE = "\ncompute = square\n"
#: A fork of a fork: a pool within a make that itself has used the bucket.
IN_POOL = """
def compute(key):
    before = square(key)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        first, second = pool.map(square, [key, key])
    assert np.array_equal(first, before) and np.array_equal(second, before)
    return first
"""
#: `store`, and `fork(act)`: `act` in a child, whose exit status is returned.
FORK = """
import os, signal, sys, threading, time, traceback
from concurrent.futures import ThreadPoolExecutor
import psutil
from djq.errors import StorageError, StoreUnavailableError
from djq.settings import StoreSettings
from djq.storage.open import open_store

store = open_store("raw", StoreSettings.model_validate_json(sys.argv[1])).store

def relays():
    return psutil.Process().children()

def begin(act):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(60)
        act()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)

def fork(act):
    return os.waitstatus_to_exitcode(os.waitpid(begin(act), 0)[1])

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

"""
UP_S = 90


@pytest.fixture
def settings(database_url: str, s3_settings: StoreSettings, tmp_path: Path) -> Settings:
    return load(
        database_url=database_url,
        state_dir=tmp_path / ".djq",
        stores={"raw": s3_settings},
    )


@pytest.fixture
def run(
    s3_settings: StoreSettings, start_process: Callable[..., Process]
) -> Callable[..., Process]:
    """Start a script that has a store and may fork."""
    # Its own dump would hide the keys.
    shown = s3_settings.model_dump() | {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}

    def start(script: str) -> Process:
        return start_process("-c", FORK + script, json.dumps(shown))

    return start


@pytest.mark.parametrize("compute", [IN_MAKE, IN_POOL], ids=["in a make", "in its pool"])
def test_an_unguarded_script_that_has_used_a_bucket_populates_in_processes(
    settings: Settings,
    schema_name: str,
    start_process: Callable[..., Process],
    tmp_path: Path,
    compute: str,
):
    script = tmp_path / "script.py"
    script.write_text(PIPELINE + compute + POPULATE)
    process = start_process(script, settings=settings, env={"TEST_SCHEMA": schema_name})
    assert process.wait(UP_S) == 0, process.text()
    assert process.text().splitlines()[-3:] == [
        "{'success_count': 6, 'error_list': []}",
        "[ 0  1  4  9 16 25]",
        "[0, 1, 4, 9, 16, 25]",
    ]


def test_only_a_fork_from_a_process_that_has_used_a_bucket_needs_a_relay(run):
    process = run("""
def use():
    store.put("a", b"1")
    say("relays:", len(relays()))

assert fork(use) == 0
store.put("a", b"0")
assert fork(use) == 0
say("parent:", len(relays()), bytes(store.get("a")))
""")
    assert process.wait(UP_S) == 0, process.text()
    assert process.text().splitlines() == ["relays: 0", "relays: 1", "parent: 0 b'1'"]


@pytest.mark.parametrize("act", ["work()", "use(); assert fork(work) == 0"])
def test_a_process_forked_while_others_wait_for_the_bucket_can_use_it(run, act: str):
    # Given: threads that wait for the client, or for the relay of a process that was forked itself.
    process = run(f"""
def hammer(number, busy, is_over):
    while not is_over.is_set():
        store.put(f"parent/{{number}}", bytes(100_000))
        busy.release()
        assert store.get(f"parent/{{number}}").nbytes == 100_000

def use():
    store.put(f"child/{{os.getpid()}}", bytes(20_000_000))
    assert store.get(f"child/{{os.getpid()}}") == bytes(20_000_000)

def work():
    busy, is_over = threading.Semaphore(0), threading.Event()
    with ThreadPoolExecutor(6) as threads:
        hammers = [threads.submit(hammer, number, busy, is_over) for number in range(6)]
        for _ in range(6):
            assert busy.acquire(timeout=30)
        codes = [fork(use) for _ in range(3)]
        is_over.set()
        for each in hammers:
            each.result()
    say(codes)

{act}
""")
    assert process.wait(UP_S) == 0, process.text()
    assert process.text().splitlines() == ["[0, 0, 0]"]


def test_a_relay_serves_several_threads_at_once(run):
    process = run("""
def use():
    def go(number):
        data = os.urandom(1000) * (1 + 3000 * (number % 4))
        store.put(f"a/{number}", data)
        assert store.get(f"a/{number}") == data
        assert store.get_range(f"a/{number}", 10, 20) == data[10:30]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(go, range(64)))
    assert sorted(found.path for found in store.list("a")) == sorted(f"a/{n}" for n in range(64))
    assert len(relays()) == 1

store.put("a", b"1")
store.delete("a")
assert fork(use) == 0
""")
    assert process.wait(UP_S) == 0, process.text()


def test_a_fork_of_a_fork_has_a_relay_of_its_own(run):
    process = run("""
def inner():
    store.put("inner", b"2")
    assert [each.pid for each in relays()] != outer_relay
    say(store.client is not None, len(relays()))

def outer():
    global outer_relay
    store.put("outer", b"1")
    outer_relay = [each.pid for each in relays()]
    listing = store.list()
    next(listing)
    assert fork(inner) == 0
    # Its own relay has not noticed.
    assert [each.pid for each in relays()] == outer_relay
    assert store.get("inner") == b"2"
    list(listing)

store.put("a", b"0")
assert fork(outer) == 0
""")
    assert process.wait(UP_S) == 0, process.text()
    assert process.text().splitlines() == ["True 1"]


def test_what_was_begun_before_a_fork_goes_on_or_is_refused(run):
    process = run("""
store.put("a", b"01234567")
chunks, listing = store.iterate("a", 3), store.list()
assert next(chunks) == b"012"
next(listing)

def use():
    assert list(chunks) == [b"345", b"67"]
    try:
        list(listing)
    except StorageError as error:
        say(error)

assert fork(use) == 0
assert list(chunks) == [b"345", b"67"]
assert list(listing) == []
""")
    assert process.wait(UP_S) == 0, process.text()
    assert "the listing was begun before this process was forked; begin it anew" in process.text()


@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit()", "signal.pause()"])
def test_a_relay_ends_with_its_process_however_that_ends(run, ending: str):
    process = run(f"""
store.put("a", b"0")
child = os.fork()
if child == 0:
    store.put("a", bytes(20_000_000))
    relay = relays()[0].pid
    # A child that goes on has the connections of its parent, also those in use.
    listing = store.list()
    next(listing)
    begin(signal.pause)
    say("pids", os.getpid(), relay)
    {ending}
os.waitpid(child, 0)
say("ended")
signal.pause()
""")
    process.wait_for("pids ", timeout_s=UP_S)
    child, relay = map(int, process.text().split()[1:3])
    if ending == "signal.pause()":
        assert is_running(relay)
        os.kill(child, signal.SIGKILL)
    process.wait_for("ended")
    wait_until(lambda: not is_running(relay), what="the relay's end")


def test_a_relay_that_died_is_unavailable_once_and_then_there_again(run):
    process = run("""
def use():
    store.put("a", b"1")
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(store.get, ["a"] * 30)) == [b"1"] * 30
    for _ in range(2):
        (relay,) = relays()
        relay.kill()
        try:
            store.get("a")
        except StoreUnavailableError as error:
            say(error)
        assert store.get("a") == b"1"
        assert relays() != [relay] and len(relays()) == 1
    # In the middle of a put.
    def parts():
        yield bytes(20_000_000)
        relays()[0].kill()
        yield bytes(20_000_000)
    try:
        store.put("a", parts())
    except StoreUnavailableError as error:
        say(error)
    assert store.get("a") == b"1"

store.put("a", b"0")
assert fork(use) == 0
""")
    assert process.wait(UP_S) == 0, process.text()
    lines = process.text().splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == ["get", "get", "put"]
    assert all("has ended or could not be started; try again" in line for line in lines)


@pytest.mark.parametrize("python", ["/bin/false", "/nowhere/python"])
def test_a_relay_that_cannot_be_started_is_unavailable(run, python: str):
    process = run(f"""
def use():
    sys.executable = {python!r}
    for _ in range(2):
        try:
            store.stat("a")
        except StoreUnavailableError as error:
            say(error)

store.put("a", b"0")
assert fork(use) == 0
""")
    assert process.wait(UP_S) == 0, process.text()
    assert process.text().count("stat 'a' in s3://") == 2
    assert process.text().count("could not be started; try again") == 2


def test_a_relay_hears_no_ctrl_c_and_shows_no_keys(run):
    process = run("""
def use():
    store.put("a", b"1")
    signal.signal(signal.SIGINT, lambda *_: None)
    say("relay", relays()[0].pid)
    signal.pause()
    assert store.get("a") == b"1"
    say("went on")

signal.signal(signal.SIGINT, lambda *_: None)
store.put("a", b"0")
assert fork(use) == 0
""")
    process.wait_for("relay ", timeout_s=UP_S)
    relay = psutil.Process(int(process.text().split()[1]))
    assert SECRET_KEY not in " ".join([*relay.cmdline(), *relay.environ().values()])
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(UP_S) == 0, process.text()
    assert "went on" in process.text()


def test_a_file_system_with_an_event_loop_has_another_one_after_a_fork(run, tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    process = run(f"""
import fsspec
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.local import LocalFileSystem

class Asynchronous(AsyncFileSystemWrapper):
    protocol = "asynchronous"

    def __init__(self, **_):
        super().__init__(LocalFileSystem(), asynchronous=False)

    @classmethod
    def _strip_protocol(cls, path):
        return path.removeprefix("asynchronous://")

fsspec.register_implementation("asynchronous", Asynchronous)
files = open_store("raw", StoreSettings(url="asynchronous://{tmp_path}")).store

def use():
    assert files.get("a") == b"1"

use()
assert any("fsspec" in thread.name for thread in threading.enumerate())
assert fork(use) == 0
""")
    assert process.wait(UP_S) == 0, process.text()


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
