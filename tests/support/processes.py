"""Real processes: started in a group of their own, logged to a file, and never left behind."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import SecretStr

from djq.settings import PREFIX, Settings
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
#: What a process gets from the environment of the test session.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
#: A process that ignores SIGTERM this long is killed [s].
STOP_S = 10.0


class Session:
    """The folder of a test session and the watcher that cleans up after it."""

    def __init__(self) -> None:
        # Short, since the path of a unix socket may have 104 characters at most on macOS.
        self.folder = Path(tempfile.mkdtemp(prefix="djq-"))
        self._reaper = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("reaper.py")), str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
            bufsize=1,
        )
        self.shared: set[int] = {self._reaper.pid}

    def started(self, group: int) -> None:
        """Promise that `group` is killed at the end of this session."""
        self._tell(f"+{group}\n")

    def stopped(self, group: int) -> None:
        """Take the promise back, since the number may be used again."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Kill what is left and remove the folder."""
        self._reaper.communicate()

    def _tell(self, line: str) -> None:
        pipe = self._reaper.stdin
        if pipe is not None and not pipe.closed:
            pipe.write(line)


@functools.cache
def session() -> Session:
    """Return this process's session; it begins at the first call."""
    return Session()


def close_session() -> None:
    """End the session, if one began."""
    if session.cache_info().currsize:
        session().close()
        session.cache_clear()


class Process:
    """One running command.

    Parameters
    ----------
    argv
        The command; it becomes the leader of a process group of its own.
    log
        The file that gets its standard output and standard error.
    env
        Its whole environment.
    shared
        It outlives the test that started it.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
        shared: bool = False,
    ) -> None:
        self.log = log
        self._argv = [str(part) for part in argv]
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        session().started(self.pid)
        if shared:
            session().shared.add(self.pid)

    def __repr__(self) -> str:
        """Name the command and what became of it."""
        state = "running" if self.is_running else f"exit {self._popen.returncode}"
        return f"<Process {self.pid} {' '.join(self._argv)}: {state}>"

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """Its exit status; None while it runs, negative when a signal ended it."""
        return self._popen.poll()

    def children(self) -> list[psutil.Process]:
        """Return the running processes below it, oldest first."""
        try:
            found = psutil.Process(self.pid).children(recursive=True)
            return sorted(found, key=lambda child: child.create_time())
        except psutil.NoSuchProcess:
            return []

    def text(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Return its exit status once it ended."""
        return self._popen.wait(timeout_s)

    def wait_for(self, words: str, *, timeout_s: float = 30.0) -> None:
        """Wait until it has printed `words`; fail at once when it ends before."""
        self.wait_until(lambda: words in self.text(), what=repr(words), timeout_s=timeout_s)

    def wait_until(
        self, condition: Callable[[], object], *, what: str, timeout_s: float = 30.0
    ) -> None:
        """Wait until `condition` is true; fail at once when the process ends before."""

        def is_true() -> bool:
            # Asked first: what it did just before it ended counts.
            was_running = self.is_running
            if condition():
                return True
            if not was_running:
                message = f"{self!r} ended before {what}:\n{tail(self.log)}"
                raise AssertionError(message)
            return False

        wait_until(is_true, what=f"{what} from {self!r}", timeout_s=timeout_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone, not to its group."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End the whole group at once, as a lost host would."""
        self._kill_group()
        self._popen.wait()

    def stop(self, timeout_s: float = STOP_S) -> int:
        """End it as an operator would; its group is killed when that takes too long."""
        if self.is_running:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout_s)
        self.kill()
        return self._popen.returncode

    def _kill_group(self) -> None:
        # macOS answers EPERM for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        session().stopped(self.pid)
        session().shared.discard(self.pid)


def environment(settings: Settings | None = None, **extra: str) -> dict[str, str]:
    """Return the environment of a process that is to run with `settings`."""
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    env |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    if settings is not None:
        env |= dict(_variables(settings))
    return env | extra


def _variables(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in Settings.model_fields:
        variable, value = PREFIX + name.upper(), getattr(settings, name)
        if name == "stores":
            for store, its in settings.stores.items():
                for field in type(its).model_fields:
                    yield from _variable(
                        f"{variable}__{store.upper()}__{field.upper()}", getattr(its, field)
                    )
        else:
            yield from _variable(variable, value)


def _variable(name: str, value: object) -> Iterator[tuple[str, str]]:
    match value:
        case None:
            return
        case SecretStr():
            yield name, value.get_secret_value()
        case tuple():
            yield name, ",".join(value)
        case _:
            yield name, str(value)


def shared_processes() -> frozenset[int]:
    """Return the ids of those that outlive a test: the session's servers and its watcher."""
    return frozenset(session().shared) if session.cache_info().currsize else frozenset()


def tail(log: Path, lines: int = 60) -> str:
    """Return the end of a log, for a failure's report."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
