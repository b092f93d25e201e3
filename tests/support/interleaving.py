"""Every order in which some actors can take their steps, one run of real code for each.

An actor is a function in a thread of its own; it calls `pause` before each step that others can
see. One of them goes on at a time: by default the same one until it is done or waits. Orders are
explored depth first, up to a number of deviations from that.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: A step is some microseconds [s].
STUCK_S = 20.0


class Actor:
    """One of those that take steps."""

    def __init__(self, name: str, act: Callable[[Actor], None]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.is_done = False
        #: It waits for somebody else: to go on at once would change nothing.
        self.is_waiting = False
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(act,), name=name)
        self._thread.start()
        self._stopped.acquire(timeout=STUCK_S)

    def pause(self, *, is_waiting: bool = False) -> None:
        """Let others go on; to be called before each step, by any thread of the actor."""
        self.is_waiting = is_waiting
        self._stopped.release()
        self._go.acquire(timeout=STUCK_S)

    def go(self) -> None:
        """Let it take one step."""
        self._go.release()
        assert self._stopped.acquire(timeout=STUCK_S), f"{self.name} is stuck"
        if self.is_done:
            self._thread.join(STUCK_S)

    def _run(self, act: Callable[[Actor], None]) -> None:
        try:
            act(self)
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            self.error = error
        self.is_done = True
        self._stopped.release()


@dataclass
class Trace:
    """One order: who could go on at each step, who did, and how often by choice."""

    choices: list[int] = field(default_factory=list)
    could: list[list[int]] = field(default_factory=list)
    n_deviations: list[int] = field(default_factory=list)


def play(actors: Sequence[Actor], choices: Sequence[int]) -> Trace:
    """Let actors go on as `choices` say, then each as far as it comes."""
    trace, last, n_deviations = Trace(), -1, 0
    while able := [i for i, actor in enumerate(actors) if not actor.is_done]:
        at = len(trace.choices)
        default = _next(actors, able, last)
        chosen = choices[at] if at < len(choices) else default
        n_deviations += chosen != default
        trace.could.append(able)
        trace.choices.append(chosen)
        trace.n_deviations.append(n_deviations)
        actors[chosen].go()
        last = chosen
    return trace


def _next(actors: Sequence[Actor], able: Sequence[int], last: int) -> int:
    """Return the one who took the last step, or the next one if that is done or waits."""
    if last in able and not actors[last].is_waiting:
        return last
    return next((i for i in able if i > last), able[0])


def orders(begin: Callable[[], Sequence[Actor]], max_deviations: int) -> Iterator[list[str]]:
    """Play every order, each with actors of its own; yield who took the steps."""
    waiting: list[list[int]] = [[]]
    while waiting:
        prefix = waiting.pop()
        actors = begin()
        trace = play(actors, prefix)
        for at in range(len(prefix), len(trace.choices)):
            n_before = trace.n_deviations[at - 1] if at else 0
            others = [i for i in trace.could[at] if i != trace.choices[at]]
            if n_before < max_deviations:
                waiting.extend([*trace.choices[:at], other] for other in others)
        for actor in actors:
            if actor.error is not None:
                raise actor.error
        yield [actors[i].name for i in trace.choices]
