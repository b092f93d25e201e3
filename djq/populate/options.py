"""`PopulateOptions`: how the keys of a table are made; a value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self, cast

from djq.errors import DefinitionError, UsageError
from djq.hints import suggest
from djq.populate.arguments import as_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from djq.definition.acceptance import Value

#: Names of queues, tags and limits: they are parts of keys in Redis and of file names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
#: A higher priority goes first; the range of Celery's and DataJoint's priorities fits in.
PRIORITIES = range(-1000, 1001)


@dataclass(frozen=True, kw_only=True)
class PopulateOptions:
    """How the keys of a table are made: as a class's `populate_options`, or of one run.

    What a run does not say, the class says; what neither says has the default below.

    Parameters
    ----------
    queue
        Queue of the workers that make the keys; by default one that has the resources.
    priority
        Tables and runs of higher priority go first.
    max_retries
        How often a key is tried again after an error of its `make`.
    backoff_s
        Wait before the first of these tries; doubled for each further one [s].
    max_backoff_s
        Longest wait between two tries [s].
    soft_time_limit_s
        After so long an exception is raised in `make`, which may still clean up [s].
    time_limit_s
        After so long the process that makes the key is killed [s].
    chunk_s
        How long the keys of one message shall take [s]; by default as the settings say.
    cpu
        Cores that one `make` keeps busy.
    memory_bytes
        Most memory that one `make` needs: its process is killed when it holds more.
    gpu
        Graphics cards that one `make` needs.
    tags
        What else a worker must have, in the words of the fleet's file.
    limits
        Of what is scarce on the whole fleet (licences, instruments), the units that a worker takes
        while it makes a chunk: names for one unit each, or numbers by name.
    big_queue
        Queue that a key goes to, once, after it ran out of memory.

    Raises
    ------
    UsageError
        A value is out of range.
    """

    queue: str | None = None
    priority: int = 0
    max_retries: int = 0
    backoff_s: float = 10.0
    max_backoff_s: float = 3600.0
    soft_time_limit_s: float | None = None
    time_limit_s: float | None = None
    chunk_s: float | None = None
    cpu: float = 1
    memory_bytes: int | None = None
    gpu: int = 0
    tags: Sequence[str] = ()
    limits: Mapping[str, int] | Sequence[str] = field(default=(), hash=False)
    big_queue: str | None = None
    #: The options that were named, even with their defaults.
    given: frozenset[str] = field(init=False, repr=False)

    def __new__(cls, **given: Value) -> Self:
        """Remember what is given: only that takes precedence over other options."""
        made = super().__new__(cls)
        object.__setattr__(made, "given", frozenset[str](given))
        return made

    def __post_init__(self) -> None:
        """Check every value."""
        for name in NAMES:
            wanted, accept = _RULES[name]
            value = accept(getattr(self, name))
            if value is _REFUSED:
                message = f"PopulateOptions({name}={getattr(self, name)!r}): it must be {wanted}"
                raise UsageError(message)
            object.__setattr__(self, name, value)
        self._check_order("soft_time_limit_s", "time_limit_s")
        if {"backoff_s", "max_backoff_s"} <= self.given:
            self._check_order("backoff_s", "max_backoff_s", may_be_equal=True)

    def _check_order(self, low: str, high: str, *, may_be_equal: bool = False) -> None:
        first, second = getattr(self, low), getattr(self, high)
        if first is None or second is None:
            return
        if first > second or (first == second and not may_be_equal):
            relation = "at most" if may_be_equal else "below"
            message = f"PopulateOptions: {low}={first:g} must be {relation} {high}={second:g}"
            raise UsageError(message)

    def __repr__(self) -> str:
        """Return what was given, as code."""
        shown = (f"{name}={getattr(self, name)!r}" for name in NAMES if name in self.given)
        return f"PopulateOptions({', '.join(shown)})"

    @property
    def units(self) -> dict[str, int]:
        """How many units of each limit a chunk takes."""
        return dict(self.limits) if isinstance(self.limits, Mapping) else {}

    def over(self, other: PopulateOptions) -> PopulateOptions:
        """Return these options, and for what they do not name those of `other`."""
        return PopulateOptions(**(other.to_json() | self.to_json()))

    def retry_after_s(self, attempt: int) -> float | None:
        """Return how long to wait after a key failed for the nth time; None: no further try."""
        if attempt > self.max_retries:
            return None
        doubled = self.backoff_s * 2.0 ** min(attempt - 1, 64)
        return min(doubled, max(self.max_backoff_s, self.backoff_s))

    def to_json(self) -> dict[str, Any]:
        """Return what was given by its names, as JSON holds it."""
        plain = {name: getattr(self, name) for name in NAMES if name in self.given}
        return plain | {"tags": list(self.tags)} if "tags" in plain else plain

    @classmethod
    def from_json(cls, options: Mapping[str, Value]) -> PopulateOptions:
        """Return the options of `to_json`.

        Raises
        ------
        UsageError
            An option is unknown, or its value out of range.
        """
        for name in options:
            if name not in NAMES:
                message = f'PopulateOptions has no option "{name}". {suggest(name, NAMES)}'
                raise UsageError(message)
        return cls(**options)


#: The options, in the order of the signature.
NAMES = tuple(f.name for f in fields(PopulateOptions) if f.init)

_REFUSED = object()


def check_options(table: str, options: Value) -> None:
    """Refuse a class whose `populate_options` are none, when it is declared."""
    if not isinstance(options, PopulateOptions):
        message = (
            f"{table}.populate_options is {options!r}; write "
            "populate_options = dj.PopulateOptions(max_retries=2)"
        )
        raise DefinitionError(message)


def _number(value: Value, least: float, most: float = math.inf) -> Value:
    number = value if isinstance(value, float) else as_whole(value)
    return _REFUSED if number is None or not least <= number <= most else number


def _whole(value: Value, least: int, most: float = math.inf) -> Value:
    number = as_whole(value)
    return _REFUSED if number is None or not least <= number <= most else number


def _positive(value: Value) -> Value:
    found = _number(value, 0)
    return _REFUSED if found in {0, math.inf} else found


def _name(value: Value) -> Value:
    return value if isinstance(value, str) and _NAME.match(value) else _REFUSED


def _names(value: Value) -> Value:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return _REFUSED
    names = tuple(cast("Iterable[Value]", value))
    return _REFUSED if any(_name(n) is _REFUSED for n in names) else names


def _units(value: Value) -> Value:
    if isinstance(value, Mapping):
        units = dict(cast("Mapping[str, Value]", value))
    elif (names := _names(value)) is _REFUSED:
        return _REFUSED
    else:
        units = dict.fromkeys(names, 1)
    found = {name: _whole(n, 1) for name, n in units.items()}
    is_right = all(_name(name) is not _REFUSED and n is not _REFUSED for name, n in found.items())
    return found if is_right else _REFUSED


def _or_none(accept: Callable[[Value], Value]) -> Callable[[Value], Value]:
    return lambda value: None if value is None else accept(value)


_A_NAME = 'None or a name such as "djq.gpu": letters, digits, ".", "_" and "-"'
_SECONDS = "None or seconds greater than 0"

#: What each option must be, in words, and the check that returns its value or `_REFUSED`.
_RULES: dict[str, tuple[str, Callable[[Value], Value]]] = {
    "queue": (_A_NAME, _or_none(_name)),
    "priority": (
        f"a whole number from {PRIORITIES[0]} to {PRIORITIES[-1]}",
        lambda v: _whole(v, PRIORITIES[0], PRIORITIES[-1]),
    ),
    "max_retries": ("a whole number, 0 or more", lambda v: _whole(v, 0)),
    "backoff_s": ("seconds greater than 0", _positive),
    "max_backoff_s": ("seconds greater than 0", _positive),
    "soft_time_limit_s": (_SECONDS, _or_none(_positive)),
    "time_limit_s": (_SECONDS, _or_none(_positive)),
    "chunk_s": (_SECONDS, _or_none(_positive)),
    "cpu": ("a number greater than 0", _positive),
    "memory_bytes": ("None or a whole number of bytes", _or_none(lambda v: _whole(v, 1))),
    "gpu": ("a whole number, 0 or more", lambda v: _whole(v, 0)),
    "tags": ('a list of names, as in ("matlab", "large-disk")', _names),
    "limits": ('names, or numbers of units by name, as in {"matlab": 1}', _units),
    "big_queue": (_A_NAME, _or_none(_name)),
}
