"""What a running `make` lets its tables do, and what it knows of itself."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableName


@dataclass(slots=True)
class Making:
    """One call of `make`: which key of which table it fills, and what its rows carry."""

    table: TableName
    key: Mapping[str, Value]
    provenance: Mapping[str, Value]
    started: float = field(default_factory=time.monotonic)
    #: Whether a row of this key was inserted.
    is_done: bool = False

    def note(self, row: Mapping[str, Value]) -> None:
        """Remember that a row of the table was inserted."""
        self.is_done = self.is_done or all(row[name] == value for name, value in self.key.items())

    def hidden_values(self) -> dict[str, Value]:
        """Return the hidden columns of a row that is inserted now."""
        return {**self.provenance, "_job_duration": time.monotonic() - self.started}


_current: ContextVar[Making | None] = ContextVar("djq_making", default=None)


def current() -> Making | None:
    """Return the call of `make` that this code runs in, None outside of one."""
    return _current.get()


@contextmanager
def making(call: Making) -> Generator[Making]:
    """Let the block insert into the tables of `call`."""
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)
