"""Programs started in stages, kept alive, and stopped in order."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from djq.errors import FleetError
from djq.ops.child import Child, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from djq.ops.child import Program, Restart

#: How often the children are looked at [s].
LOOK_S = 0.1
#: A program that is not ready by then never will be [s].
READY_S = 20.0


class Supervisor:
    """Runs programs in stages: each stage starts when the one before is ready, and stops before it.

    As a context manager it starts all, and stops all at the end.

    Parameters
    ----------
    stages
        The programs; those of one stage start and stop together.
    logs
        The folder that gets one log per program.
    report
        Told of each restart, from the supervisor's thread.
    on_failure
        Told that a program could not be kept alive, from the supervisor's thread; `check` raises
        why.
    """

    def __init__(
        self,
        stages: Sequence[Iterable[Program]],
        *,
        logs: Path,
        report: Callable[[Restart], None],
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._stages = [[Child(p, logs / f"{p.name}.log") for p in stage] for stage in stages]
        self._report = report
        self._on_failure = on_failure
        # Children end with the thread that started them, so one thread starts and stops all.
        self._thread = threading.Thread(target=self._run, name="djq-supervisor", daemon=True)
        self._is_up = threading.Event()
        self._is_stopping = threading.Event()
        self._is_down = threading.Event()
        self._is_hasty = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        """Start all and return when all are ready.

        Raises
        ------
        FleetError
            A program cannot run, or is not ready in time; the others were stopped.
        """
        self._thread.start()
        try:
            self._is_up.wait()
        except BaseException:
            self.stop()
            raise
        self.check()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all."""
        self.stop()

    def check(self) -> None:
        """Raise the failure that ended the supervision, if there is one."""
        if self._failure is not None:
            self.stop()
            raise self._failure

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether all programs were stopped, by `stop` or after a failure, in this time."""
        return self._is_down.wait(timeout_s)

    def stop(self) -> None:
        """Stop all in order; an interrupt meanwhile kills them at once."""
        self._is_stopping.set()
        while self._thread.is_alive():
            try:
                self._thread.join()
            except KeyboardInterrupt:
                self._is_hasty.set()

    def pids(self) -> dict[str, int]:
        """Return the process id of each running program."""
        children = [child for stage in self._stages for child in stage]
        return {c.program.name: pid for c in children if (pid := c.pid) is not None}

    def _run(self) -> None:
        try:
            for stage in self._stages:
                self._start(stage)
            self._is_up.set()
            while not self._is_stopping.wait(LOOK_S):
                self._look()
        except BaseException as error:  # noqa: BLE001 - raised again by `check` in the caller's thread
            self._failure = error
            if self._is_up.is_set():
                self._on_failure()
        finally:
            for stage in reversed(self._stages):
                self._stop(stage)
            self._is_down.set()
            self._is_up.set()

    def _start(self, stage: list[Child]) -> None:
        for child in stage:
            if self._is_stopping.is_set():
                return
            child.start()
        deadline = time.monotonic() + READY_S
        for child in stage:
            self._wait_until_ready(child, deadline)

    def _wait_until_ready(self, child: Child, deadline: float) -> None:
        is_ready = child.program.is_ready
        while is_ready is not None and not is_ready() and not self._is_stopping.wait(LOOK_S / 5):
            self._look()
            if time.monotonic() > deadline:
                message = (
                    f"{child.program.name} was not ready after {READY_S:.0f} s:\n{tail(child.log)}"
                )
                raise FleetError(message)

    def _look(self) -> None:
        for stage in self._stages:
            for child in stage:
                if (restart := child.look()) is not None:
                    self._report(restart)

    def _stop(self, stage: list[Child]) -> None:
        for child in stage:
            child.begin_stop()
        begun = time.monotonic()
        for child in stage:
            while child.pid is not None and time.monotonic() < begun + child.program.grace_s:
                if self._is_hasty.wait(LOOK_S / 4):
                    break
            child.end_stop()
