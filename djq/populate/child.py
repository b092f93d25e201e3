"""A child of `populate(processes=N)`: makes the chunks that its parent sends, and says how it went.

Both sides talk in lines of JSON. A child that hears nothing more ends.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing.spawn
import os
import pickle
import sys
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from djq.codecs.compression import library
from djq.populate.chunks import make_chunk
from djq.populate.ends import CHILD, Stopped, mark_signals, stop_on_sigterm
from djq.populate.keys import from_key_ids, key_id
from djq.populate.slots import SEVERAL, Slot
from djq.populate.tenure import Tenure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.make import Outcome

#: Outcomes of quick keys are sent together, this often [s].
FLUSH_S = 0.05
#: At its end it waits so long until what it committed last is announced [s].
LAST_WORDS_S = 2.0

#: This process imports the main script of its parent.
is_starting = False


def preload(tables: Iterable[type[AutoPopulate]]) -> None:
    """Load what encodes arrays, if tables have any, before processes are forked that need it."""
    specs = (spec for t in tables for spec in (t.spec, *t.parent_specs.values()))
    if any(a.is_encoded for spec in specs for a in spec.heading):
        library()


def serve(
    table: type[AutoPopulate], make_kwargs: Mapping[str, Value], ends: tuple[int, int], slot: Slot
) -> None:
    """Make what comes, until the parent closes its end or sends SIGTERM."""
    stop_on_sigterm()
    mark_signals()
    lines = os.fdopen(ends[0], "rb")
    # The parent hears of Ctrl-C, too, and has closed the pipe by now.
    with suppress(BrokenPipeError, Stopped), closing(slot):
        tell(ends[1], {"is_ready": True})
        while line := lines.readline():
            _Chunk(table, make_kwargs, lines.readline, ends[1], slot).make(json.loads(line))
    table.schema.connection.announcer.close(LAST_WORDS_S)


class _Chunk:
    """One chunk in the hands of a child."""

    def __init__(
        self,
        table: type[AutoPopulate],
        make_kwargs: Mapping[str, Value],
        read_line: Any,  # noqa: ANN401 - a method of a file
        to_parent: int,
        slot: Slot,
    ) -> None:
        self._table = table
        self._make_kwargs = make_kwargs
        self._read_line = read_line
        self._to_parent = to_parent
        self._slot = slot
        self._outcomes: list[Sequence[Any]] = []
        self._sent = time.monotonic()
        self._n_done = 0

    def make(self, message: Mapping[str, Any]) -> None:
        """Make its keys, and report them."""
        ids: list[str] = message["keys"]
        begun = itertools.cycle(ids)
        options = self._table.populate_options
        # Who asks holds locks: SQLite's one lock the parent may want itself before it answers.
        is_shared: bool = message["is_shared"]
        tenure = Tenure(
            lambda key: not is_shared or self._ask(key),
            self._table.schema.connection.settings.chunk_s,
        )

        def is_late() -> bool:
            if self._n_done and tenure.is_late:
                return True
            n_keys = len(ids) if self._table.maker.has_many else 1
            key = next(begun) if n_keys == 1 else SEVERAL
            limit_s = options.time_limit_s
            self._slot.take(
                key,
                time_limit_s=None if limit_s is None else limit_s * n_keys,
                memory_bytes=options.memory_bytes,
            )
            return False

        for outcome in make_chunk(
            self._table,
            from_key_ids(self._table.job_heading, ids),
            holds=lambda key: tenure.holds(key_id(self._table.job_heading, key)),
            should_stop=is_late,
            worker=message["worker"],
            make_kwargs=self._make_kwargs,
            host=CHILD,
        ):
            self._note(outcome)
        self._slot.drop()
        tell(self._to_parent, {"outcomes": self._outcomes, "is_last": True})

    def _note(self, outcome: Outcome) -> None:
        error = outcome.error
        told = None
        if error is not None:
            told = (error.message, error.traceback, error.fingerprint, error.retry_after_s)
        key = key_id(self._table.job_heading, outcome.key)
        self._outcomes.append((key, outcome.status, outcome.seconds, told))
        self._n_done += 1
        now = time.monotonic()
        if now - self._sent > FLUSH_S:
            tell(self._to_parent, {"outcomes": self._outcomes, "is_last": False})
            self._outcomes, self._sent = [], now

    def _ask(self, key: str) -> bool:
        answer = b""
        with suppress(BrokenPipeError):
            tell(self._to_parent, {"holds": key})
            answer = self._read_line()
        if not answer:
            # The parent ended: nobody keeps the reservation, and the key is not to blame.
            raise Stopped
        return bool(json.loads(answer)["is_held"])


def tell(pipe: int, message: Mapping[str, Any]) -> None:
    """Send one line."""
    text = json.dumps(message).encode() + b"\n"
    while text:
        text = text[os.write(pipe, text) :]


def main() -> None:
    """Start as a new interpreter: prepare it as the parent was, then serve."""
    global is_starting  # noqa: PLW0603 - asked by a script that calls populate when imported
    # Before `prepare`, which gives this process the arguments of its parent.
    ends, owner, slot = (int(sys.argv[1]), int(sys.argv[2])), sys.argv[3], sys.argv[4]
    prepared = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent
    is_starting = True
    multiprocessing.spawn.prepare(prepared)
    table, make_kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent
    is_starting = False
    serve(table, make_kwargs, ends, Slot(owner, slot))
