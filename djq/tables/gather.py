"""The user's rows → columns by name; what is wrong with a row as a whole is noted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from djq.errors import RowError
from djq.hints import suggest

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec


class _Absent:
    """Stands for a value that a row does not have."""


#: The row does not name this attribute.
MISSING: Final = _Absent()
#: The row is wrong as a whole; it is no use to look at its values.
SKIPPED: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one row: its number, counted from 1, the attribute if it is one, why."""

    row: int
    attribute: str | None
    message: str
    cause: Exception | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class Chunk:
    """Some rows as columns by name; columns that no row names are left out."""

    #: Number of the first row.
    first: int
    n: int
    columns: dict[str, Sequence[Any]]
    faults: list[Fault] = field(default_factory=list[Fault])


def chunks_of(
    rows: Iterable[Value], spec: TableSpec, size: int, *, ignore_extra_fields: bool
) -> Iterator[Chunk]:
    """Cut rows into chunks: mappings, sequences in heading order, numpy records."""
    iterator = iter(rows)
    first = 1
    while given := list(islice(iterator, size)):
        yield gather(given, first, spec, ignore_extra_fields=ignore_extra_fields)
        first += len(given)


def gather(rows: list[Value], first: int, spec: TableSpec, *, ignore_extra_fields: bool) -> Chunk:
    """Return rows as columns: quickly where all have the same form.

    Column by column: `zip(*rows)` would make an iterator per row, and keep the garbage collector
    busy with them.
    """
    kinds = set(map(type, rows))
    columns: dict[str, Sequence[Any]] | None = None
    if kinds == {dict}:
        columns = _from_equal_dicts(rows, spec, ignore_extra_fields=ignore_extra_fields)
    elif kinds <= {tuple, list} and set(map(len, rows)) == {len(spec.heading.names)}:
        columns = {n: list(map(itemgetter(i), rows)) for i, n in enumerate(spec.heading.names)}
    if columns is not None:
        return Chunk(first, len(rows), columns)
    return _one_by_one(rows, first, spec, ignore_extra_fields=ignore_extra_fields)


def _from_equal_dicts(
    rows: list[dict[str, Any]], spec: TableSpec, *, ignore_extra_fields: bool
) -> dict[str, Sequence[Any]] | None:
    """Return the columns of dicts that all have the same keys, None if they have not."""
    names = tuple(rows[0])
    known = spec.heading.by_name
    if set(map(len, rows)) != {len(names)}:
        return None
    wanted = tuple(n for n in names if n in known)
    if not wanted or (len(wanted) < len(names) and not ignore_extra_fields):
        return None
    try:
        # All names are asked for, so that rows of the same length have no other ones.
        found = {n: list(map(itemgetter(n), rows)) for n in names}
    except KeyError:
        return None
    return {n: found[n] for n in wanted}


def _one_by_one(
    rows: list[Value], first: int, spec: TableSpec, *, ignore_extra_fields: bool
) -> Chunk:
    faults: list[Fault] = []
    given: list[Mapping[str, Value] | None] = []
    for number, row in enumerate(rows, first):
        try:
            given.append(
                as_mapping(row, number, spec, ignore_extra_fields=ignore_extra_fields),
            )
        except RowError as error:
            faults.append(Fault(number, None, str(error)))
            given.append(None)
    named: set[str] = set()
    for row in given:
        named.update(row or ())
    columns: dict[str, Sequence[Any]] = {
        name: [SKIPPED if row is None else row.get(name, MISSING) for row in given]
        for name in spec.heading.names
        if name in named
    }
    return Chunk(first, len(rows), columns, faults)


def as_mapping(
    row: Value, number: int, spec: TableSpec, *, ignore_extra_fields: bool
) -> Mapping[str, Value]:
    """Return one row by its names, which all are attributes unless others are to be ignored.

    Raises
    ------
    RowError
        It is no row, has an unknown name, or another length than the heading.
    """
    given = _named(row, number, spec)
    if not ignore_extra_fields and not given.keys() <= spec.heading.by_name.keys():
        _refuse_unknown(given, number, spec)
    return given


def _named(row: Value, number: int, spec: TableSpec) -> Mapping[str, Value]:
    if isinstance(row, Mapping):
        return row  # pyright: ignore[reportUnknownVariableType] # the user's own mapping
    names: tuple[str, ...] | None = getattr(getattr(row, "dtype", None), "names", None)
    if names is not None:  # a numpy record
        return {n: row[n] for n in names}
    if type(row).__name__ == "Series" and hasattr(row, "to_dict"):  # a row of a DataFrame
        return {str(n): v for n, v in row.to_dict().items()}
    if getattr(row, "ndim", None) == 1:
        row = row.tolist()
    if isinstance(row, Sequence) and not isinstance(row, str | bytes):
        return _from_sequence(row, number, spec)  # pyright: ignore[reportUnknownArgumentType]
    message = (
        f"{spec.display_name}, row {number}: cannot insert {row!r}; "
        "a row is a mapping of names to values, or a sequence in the order of the heading"
    )
    raise RowError(message)


def _from_sequence(row: Sequence[Any], number: int, spec: TableSpec) -> dict[str, Value]:
    names = spec.heading.names
    if len(row) != len(names):
        message = (
            f"{spec.display_name}, row {number}: {len(row)} values for "
            f"{len(names)} attributes ({', '.join(names)}). "
            "Give all of them in this order, or a mapping of names to values"
        )
        raise RowError(message)
    return dict(zip(names, row, strict=True))


def _refuse_unknown(given: Iterable[str], number: int, spec: TableSpec) -> None:
    name = next(n for n in given if n not in spec.heading)
    message = (
        f"{spec.display_name}, row {number}: {unknown(name, spec)}. "
        "ignore_extra_fields=True leaves such values out"
    )
    raise RowError(message)


def unknown(name: object, spec: TableSpec) -> str:
    """Return the words for a name that is no attribute of the table."""
    return f'unknown attribute "{name}". {suggest(str(name), spec.heading.names)}'
