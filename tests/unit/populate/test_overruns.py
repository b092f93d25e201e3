"""Which processes are killed for what they take, and what is said of them afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import pytest

from djq.errors import OutOfMemoryError, TimeLimitError
from djq.populate import overruns
from djq.populate.overruns import Watch
from djq.populate.slots import Slot
from tests.support.waiting import wait_until

OWNER = "host:1:ab"


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def slot():
    with closing(Slot(OWNER, "7")) as found:
        yield found


@pytest.fixture
def process():
    """A process that does nothing until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as found:
        yield found
        found.kill()


def look(watch, process):
    watch.look([("7", process.pid)])


def killed_for(watch, process):
    process.wait()
    ((overrun, _),) = watch.autopsy(["7"]).values()
    return overrun


def test_a_key_that_takes_too_long_ends_its_process(slot, process):
    watch = Watch(OWNER)
    slot.take("[1]", time_limit_s=0.001)
    wait_until(lambda: look(watch, process) or process.poll() is not None, what="its end")
    overrun = killed_for(watch, process)
    assert (overrun.key, overrun.is_memory) == ("[1]", False)
    error = overrun.error("lab.T {'n': 1}")
    assert isinstance(error, TimeLimitError)
    assert "lab.T {'n': 1}: its process was killed after 0." in str(error)
    assert "the limit is 0.001 s (time_limit_s)" in str(error)


def test_a_process_that_holds_too_much_is_ended(slot, process):
    watch = Watch(OWNER)
    slot.take("[1]", memory_bytes=1_500_000)
    # It holds nothing yet while its interpreter is loaded.
    wait_until(lambda: look(watch, process) or process.poll() is not None, what="its end")
    overrun = killed_for(watch, process)
    error = overrun.error("lab.T {'n': 1}")
    assert isinstance(error, OutOfMemoryError)
    assert "MB of memory: the limit is 1.5 MB" in str(error)


def test_what_stays_within_its_limits_goes_on(slot, process):
    watch = Watch(OWNER)
    slot.take("[1]", time_limit_s=600, memory_bytes=10**12)
    look(watch, process)
    slot.take("[2]")
    look(watch, process)
    slot.drop()
    look(watch, process)
    assert process.poll() is None


def test_a_key_that_was_done_when_its_process_was_killed_is_not_to_blame(slot, process):
    watch = Watch(OWNER)
    slot.take("[1]", memory_bytes=1)
    look(watch, process)
    slot.take("[2]", memory_bytes=1)
    assert killed_for(watch, process) is None


def test_a_process_that_just_died_is_none_of_its_business(slot, monkeypatch):
    monkeypatch.setattr(overruns, "n_kernel_kills", lambda: 3)
    watch = Watch(OWNER)
    slot.take("[1]")
    assert watch.autopsy(["7", "8"]) == {}


def test_a_process_that_the_kernel_killed_is_told_by_its_count(slot, process, monkeypatch):
    counts = iter([3, 3, 3, 4])
    monkeypatch.setattr(overruns, "n_kernel_kills", lambda: next(counts))
    watch = Watch(OWNER)
    slot.take("[1]", memory_bytes=10**12)
    look(watch, process)
    overrun, hand = watch.autopsy(["7"])["7"]
    assert hand.key == "[1]"
    message = str(overrun.error("lab.T"))
    assert "killed by the kernel, since there was no memory left; it held" in message
    assert "may hold 1000.0 GB" in message


def test_one_kill_of_the_kernel_does_not_explain_two_deaths(slot, monkeypatch):
    counts = iter([3, 3, 4])
    monkeypatch.setattr(overruns, "n_kernel_kills", lambda: next(counts))
    watch = Watch(OWNER)
    slot.take("[1]")
    with closing(Slot(OWNER, "8")) as other:
        other.take("[2]")
        assert watch.autopsy(["7", "8"]) == {}


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("0::/user/djq", "user/djq/memory.events"),
        ("0::/somewhere/else", "memory.events"),
        ("4:memory:/user/djq", "memory/user/djq/memory.oom_control"),
        ("4:cpu,memory:/docker/1", "memory/memory.oom_control"),
    ],
)
def test_the_kernels_count_is_found_in_both_versions(tmp_path, monkeypatch, line, path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"9:cpuset:/\n{line}\n")
    file = tmp_path / "cgroup" / path
    file.parent.mkdir(parents=True)
    file.write_text("oom 7\noom_kill 5\noom_group_kill 0\n")
    monkeypatch.setattr(overruns, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(overruns, "_CGROUPS", tmp_path / "cgroup")
    assert overruns.n_kernel_kills() == 5


def test_where_the_kernel_does_not_tell_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(overruns, "_PROC", tmp_path)
    assert overruns.n_kernel_kills() is None
    assert overruns.resident_bytes(os.getpid()) is None


def test_memory_of_a_process_is_read():
    assert 10**6 < overruns.resident_bytes(os.getpid()) < 10**11
