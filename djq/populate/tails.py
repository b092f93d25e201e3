"""The last lines that a `make` wrote, for the record of its error.

What is logged, and what goes to stdout and stderr, goes on as before; its end is kept beside, per
key and thread, and forgotten when the next key begins.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from djq.definition.acceptance import Value

#: So much is kept of one key's output.
MAX_LINES = 200
MAX_CHARACTERS = 64_000


class Tail:
    """The end of a text that grows."""

    def __init__(self) -> None:
        self._pieces: deque[str] = deque()
        self._n_characters = 0

    def write(self, text: str) -> None:
        """Append to the text."""
        self._pieces.append(text[-MAX_CHARACTERS:])
        self._n_characters += len(self._pieces[-1])
        while self._n_characters > 2 * MAX_CHARACTERS:
            self._n_characters -= len(self._pieces.popleft())

    def text(self) -> str:
        """Return the last lines."""
        lines = "".join(self._pieces)[-MAX_CHARACTERS:].splitlines()
        return "\n".join(lines[-MAX_LINES:])


_current: ContextVar[Tail | None] = ContextVar("djq_tail", default=None)


def begin() -> None:
    """Forget what this thread wrote so far: another key begins."""
    _current.set(Tail() if _listening.count else None)


def text() -> str:
    """Return the last lines that this thread wrote since `begin`."""
    tail = _current.get()
    return "" if tail is None else tail.text()


class _Handler(logging.Handler):
    """Notes what the program's loggers say."""

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record to the tail of the key in hand."""
        tail = _current.get()
        if tail is not None:
            try:
                tail.write(f"{self.format(record)}\n")
            except Exception:  # noqa: BLE001 - a record that cannot be written: as logging does
                self.handleError(record)


class _Tee:
    """A stream that passes on what is written, and notes it."""

    def __init__(self, stream: Value) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        tail = _current.get()
        if tail is not None:
            tail.write(text)
        written: int = self.stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        """Return what the stream has."""
        return getattr(self.stream, name)


class _Listening:
    """How many chunks of this process are being made, and what listens meanwhile."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._handler = _Handler()
        self._handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        )
        self._streams: dict[str, _Tee] = {}

    def start(self) -> None:
        with self._lock:
            self.count += 1
            if self.count == 1:
                logging.getLogger().addHandler(self._handler)
                self._streams = {n: _Tee(getattr(sys, n)) for n in ("stdout", "stderr")}
                for name, tee in self._streams.items():
                    setattr(sys, name, tee)

    def stop(self) -> None:
        with self._lock:
            self.count -= 1
            if self.count == 0:
                logging.getLogger().removeHandler(self._handler)
                for name, tee in self._streams.items():
                    if getattr(sys, name) is tee:  # else somebody else's is there by now
                        setattr(sys, name, tee.stream)


_listening = _Listening()


@contextmanager
def listening() -> Generator[None]:
    """Note what is written in the block, in any of its threads that called `begin`."""
    _listening.start()
    try:
        yield
    finally:
        _listening.stop()
        _current.set(None)
