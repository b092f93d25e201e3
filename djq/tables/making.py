"""What a running `make` lets its tables do, and what it knows of itself."""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from djq.algebra.carrying import key_in
from djq.algebra.expressions import Call, Expression, both
from djq.errors import UsageError
from djq.sql.raw import first_words
from djq.sql.refusing import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableName

KeyValues: TypeAlias = tuple[Any, ...]


@dataclass(slots=True)
class Making:
    """One transaction of `make`: which keys of which table it fills, and what its rows carry.

    The table's primary key is the fence between two makes of one key. Therefore the first row of a
    key goes in by a plain INSERT, whatever `replace` or `skip_duplicates` say; behind it the row is
    this transaction's own. Before it there is none, and if there is one, somebody else committed
    it: then neither does a delete touch it.
    """

    table: TableName
    #: The attributes of the job's key, and what reads their values in a row.
    names: tuple[str, ...]
    values: Callable[[Mapping[str, Value]], KeyValues]
    #: These values, for each key that is to be filled.
    keys: frozenset[KeyValues]
    provenance: Mapping[str, Value]
    #: Whether these are whole primary keys; else a completion record is the fence.
    is_whole: bool = True
    #: Whether a transaction is open for the table's rows; before, make only reads and computes.
    may_insert: bool = True
    #: Whether whoever called make announces its keys to the fleet.
    is_announced: bool = False
    #: Tells the peak of the memory [bytes].
    measure: Callable[[], int | None] = lambda: None
    started: float = field(default_factory=time.monotonic)
    #: The ancestors' rows, once they were asked for.
    upstream: object = None
    #: Keys of which a row was inserted.
    inserted: set[KeyValues] = field(default_factory=set[KeyValues])
    #: Whether rows of the table may have gone since.
    has_deleted: bool = False

    @property
    def is_done(self) -> bool:
        """Whether a row of each key is known to be there."""
        return not self.has_deleted and len(self.inserted) == len(self.keys)

    def is_first(self, row: Mapping[str, Value]) -> bool:
        """Tell whether this row is to be the first of one of the keys: it must not be there yet."""
        if not self.is_whole:
            return False
        values = self.values(row)
        return values in self.keys and values not in self.inserted

    def firsts(self, columns: Mapping[str, Sequence[Value]], n: int) -> list[int]:
        """Return which of many rows are the first of their keys."""
        if not self.is_whole:
            return []
        found: dict[KeyValues, int] = {}
        for i, values in enumerate(self._rows(columns, n)):
            if values in self.keys and values not in self.inserted:
                found.setdefault(values, i)
        return list(found.values())

    def note(self, row: Mapping[str, Value]) -> Callable[[], None] | None:
        """Remember that a row of the table was inserted; return what forgets it, if it is new."""
        values = self.values(row)
        if values not in self.keys or values in self.inserted:
            return None
        self.inserted.add(values)
        return lambda: self.inserted.discard(values)

    def note_all(self, columns: Mapping[str, Sequence[Value]], n: int) -> Callable[[], None] | None:
        """Remember that many rows were inserted; return what forgets those that are new."""
        if len(self.inserted) == len(self.keys):
            return None
        new = self.keys.intersection(self._rows(columns, n)) - self.inserted
        self.inserted |= new
        return lambda: self.inserted.difference_update(new)

    def _rows(self, columns: Mapping[str, Sequence[Value]], n: int) -> Iterable[KeyValues]:
        if not self.names:
            return [()] * n
        return zip(*(columns[name] for name in self.names), strict=True)

    def spared(self, condition: Expression) -> Expression:
        """Return the condition of a delete from the table: without the rows of somebody else."""
        self.has_deleted = True
        others = sorted(self.keys - self.inserted) if self.is_whole else []
        return both(condition, Call("not", (key_in(self.names, others),))) if others else condition

    def hidden_values(self) -> dict[str, Value]:
        """Return the hidden columns of a row that is inserted now."""
        seconds = (time.monotonic() - self.started) / len(self.keys)
        return {**self.provenance, "_job_duration": seconds, "_job_peak_bytes": self.measure()}


def values_of(names: Sequence[str]) -> Callable[[Mapping[str, Value]], KeyValues]:
    """Return what reads some attributes of a row as a tuple."""
    if len(names) == 1:
        (name,) = names
        return lambda row: (row[name],)
    return itemgetter(*names) if names else lambda _: ()


_current: ContextVar[Making | None] = ContextVar("djq_making", default=None)


def current() -> Making | None:
    """Return the call of `make` that this code runs in, None outside of one."""
    return _current.get()


def current_of(table: TableName) -> Making | None:
    """Return the call of a table's own `make` that this code runs in."""
    call = _current.get()
    return call if call is not None and call.table == table else None


def refuse_definition(what: str) -> None:
    """Refuse to declare, alter or drop a table inside of a make.

    Raises
    ------
    UsageError
        This code runs in one.
    """
    if _current.get() is not None:
        message = (
            f"{what} cannot be declared, altered or dropped inside a transaction or a make: most "
            "databases would commit it silently, and it would come again with every key. Declare "
            "tables in the module of the pipeline"
        )
        raise UsageError(message)


#: Statements that neither end a transaction nor are committed silently, by their first words.
_HARMLESS = frozenset(
    {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "VALUES", "TABLE"}
    | {"INSERT", "REPLACE", "UPDATE", "DELETE", "SET", "DO", "CALL", "PRAGMA"}
)
#: Kinds of SET that contain another statement or commit.
_HARMFUL_SETS = frozenset({"STATEMENT", "PASSWORD"})
_AUTOCOMMIT = re.compile(r"\bautocommit\b", re.IGNORECASE)


def refuse_ending(text: str) -> None:
    """Refuse SQL inside of a make that would end its transaction.

    Raises
    ------
    UsageError
        This code runs in one, and the statement is not known to be harmless.
    """
    if _current.get() is None:
        return
    first, second = first_words(text)
    is_setting = first == "SET" and (second in _HARMFUL_SETS or _AUTOCOMMIT.search(text))
    if first in _HARMLESS and not is_setting:
        return
    if first in {"SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "START"}:
        advice = "Nest what may be undone alone: `with connection.transaction:`"
    else:
        advice = "Send it before, outside of the make"
    message = (
        f"{shown(text)} cannot be sent inside a make, which is one transaction: it would end that, "
        f"or most databases would commit it silently, and with it half a result. {advice}"
    )
    raise UsageError(message)


class making:  # noqa: N801 - used as `with making(call):`
    """Let the block insert into the tables of `call`."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: Making) -> None:
        self._call = call

    def __enter__(self) -> Making:
        """Begin the call."""
        self._token = _current.set(self._call)
        return self._call

    def __exit__(self, *raised: object) -> None:
        """End it."""
        _current.reset(self._token)
