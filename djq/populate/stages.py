"""One key in the hands of a make: all at once, or in stages of which only the last needs locks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from djq.errors import InputsChangedError, MakeError
from djq.populate.digests import digest
from djq.tables.explain import show_key

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from djq.definition.acceptance import Value
    from djq.populate.keys import Key


class Work(Protocol):
    """One key in work."""

    @property
    def needs_preparing(self) -> bool:
        """Whether something is to be done before the transaction."""
        ...

    def prepare(self) -> None:
        """Do what needs no transaction."""
        ...

    def insert(self) -> None:
        """Do the rest, in a transaction; called again if that is rolled back."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """All in the transaction."""

    call: Callable[[], object]

    @property
    def needs_preparing(self) -> bool:
        """Whether something is to be done before the transaction: never."""
        return False

    def prepare(self) -> None:
        """Do nothing: all needs the transaction."""

    def insert(self) -> None:
        """Call the method."""
        self.call()


class _Stages(Protocol):
    """Three steps of a make, each of which may be repeated from `fetch` on."""

    def fetch(self) -> Value: ...

    def compute(self, fetched: Value) -> Value: ...

    def insert(self, computed: Value) -> None: ...


@dataclass(slots=True)
class InParts:
    """Fetch and compute outside of the transaction; in it only fetch again, compare and insert."""

    table: Value
    key: Key
    stages: _Stages
    _digest: bytes | None = None
    _computed: Value = None

    @property
    def needs_preparing(self) -> bool:
        """Whether it is to be computed: the first time, and when the inputs changed."""
        return self._digest is None

    def prepare(self) -> None:
        """Fetch and compute."""
        fetched = self.stages.fetch()
        found = digest(fetched)  # before compute may change it
        self._computed = self.stages.compute(fetched)
        self._digest = found

    def insert(self) -> None:
        """Insert what was computed, if the inputs are what they were.

        Raises
        ------
        InputsChangedError
            They are not: all begins anew.
        """
        # On SQLite nobody writes from here on; elsewhere the transaction's snapshot begins here.
        self.table.connection.database.hold()
        if digest(self.stages.fetch()) != self._digest:
            self._digest = self._computed = None
            message = (
                f"{self.table.display_name} {show_key(self.key)}: what make_fetch reads changed "
                "while make_compute was at work, or it comes in another order each time: then "
                "fetch it with order_by"
            )
            raise InputsChangedError(message)
        self.stages.insert(self._computed)


@dataclass(slots=True)
class Methods:
    """`make_fetch`, `make_compute`, `make_insert`."""

    table: Value
    key: Key
    kwargs: Mapping[str, Value]

    def fetch(self) -> Value:
        """Return what the first stage read."""
        return self._checked("make_fetch", self.table.make_fetch(dict(self.key), **self.kwargs))

    def compute(self, fetched: Value) -> Value:
        """Return what the second stage made of it."""
        return self._checked("make_compute", self.table.make_compute(dict(self.key), *fetched))

    def insert(self, computed: Value) -> None:
        """Insert that."""
        self.table.make_insert(dict(self.key), *computed)

    def _checked(self, name: str, value: Value) -> Value:
        if isinstance(value, tuple | list):
            return value  # pyright: ignore[reportUnknownVariableType] # the user's
        message = (
            f"{self.table.display_name}.{name} returned {type(value).__name__}, and the next part "
            "gets the items of a tuple: return (value,) for one value, () for none"
        )
        raise MakeError(message)


def _ended() -> Generator[Any, Any, Any]:
    yield from ()


@dataclass(slots=True)
class Steps:
    """A generator: it yields what it fetched, then what it computed, then inserts.

    The second time it is sent what it computed in place of its first yield's value, None before.
    """

    table: Value
    key: Key
    kwargs: Mapping[str, Value]
    _running: Generator[Any, Any, Any] = field(default_factory=_ended)

    def fetch(self) -> Value:
        """Return what the first stage read."""
        self._running = self.table.make(dict(self.key), **self.kwargs)
        return self._next("fetched")

    def compute(self, fetched: Value) -> Value:  # noqa: ARG002 - the generator has it
        """Return what the second stage made of it."""
        try:
            return self._next("computed")
        finally:
            self._running.close()

    def insert(self, computed: Value) -> None:
        """Insert that."""
        try:
            self._running.send(computed)
            for _ in self._running:
                pass
        except StopIteration:
            pass
        finally:
            self._running.close()

    def _next(self, what: str) -> Value:
        try:
            return next(self._running)
        except StopIteration:
            message = (
                f"{self.table.display_name}.make is a generator and ended before it yielded what "
                f"it {what}: `computed = yield fetched; if computed is None: "
                "computed = …; yield computed`, then the inserts"
            )
            raise MakeError(message) from None
