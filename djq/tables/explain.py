"""The database refused rows → which of them, why, and what to do; asked only after the error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Literal as OneOf

from djq.algebra.expressions import Call, Literal, Name
from djq.algebra.nodes import Projection, Relation, Restriction
from djq.errors import BrokenReferenceError, DuplicateError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import ForeignKey, TableSpec
    from djq.sql.statements import Duplicates
    from djq.tables.connection import Connection

#: Keys that one query of an error message looks up, to say which row was wrong.
EXPLAINED_ROWS = 1_000

Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Rows that were sent and refused, as columns."""

    spec: TableSpec
    connection: Connection
    columns: Mapping[str, Sequence[Value]]
    #: Number of the first row; None: there is one row, and nobody counts.
    first: int | None
    mode: Duplicates | OneOf["update"]

    def rows(self, names: Sequence[str]) -> list[Values]:
        """Return the values of some attributes, row by row."""
        return list(zip(*(self.columns[n] for n in names), strict=True))

    def where(self, i: int) -> str:
        """Return the words for the row at `i`."""
        name = self.spec.display_name
        return name if self.first is None else f"{name}, row {self.first + i}"


def explain(error: IntegrityError, refused: Refused) -> IntegrityError:
    """Return the error in words that help, as an exception of the same or a better class."""
    if isinstance(error, BrokenReferenceError):
        return BrokenReferenceError(_reference(error, refused))
    # The guard of MySQL's upsert sets a key to null where another unique index was in the way.
    if isinstance(error, DuplicateError) or refused.mode != "refuse":
        found = _duplicate(refused)
        if found is not None or isinstance(error, DuplicateError):
            return DuplicateError(found or _unknown_duplicate(error, refused))
    return type(error)(f"{refused.spec.display_name}: {error}")


def _unknown_duplicate(error: Exception, refused: Refused) -> str:
    what = (
        f"a unique index has these values already, or gets them twice ({error})"
        if any(i.is_unique for i in refused.spec.indexes) or refused.mode != "refuse"
        else f"a key is twice among the rows to insert ({error})"
    )
    last = len(next(iter(refused.columns.values()), ()))
    rows = "" if refused.first is None else f", rows {refused.first} to {refused.first + last - 1}"
    return (
        f"{refused.spec.display_name}{rows}: {what}. "
        "skip_duplicates=True keeps the rows that are there"
    )


def _duplicate(refused: Refused) -> str | None:
    spec = refused.spec
    if not spec.heading.primary_key:
        if refused.mode != "refuse":
            return None
        return (
            f"{refused.where(0)}: the table holds one row, and has it already. Change it by "
            "update1({...}) or insert1(..., replace=True)"
        )
    found = [_taken(refused, spec.heading.primary_key)] if refused.mode == "refuse" else []
    found += [
        _taken(refused, index.terms)
        for index in spec.indexes
        if index.is_unique and all(term in spec.heading for term in index.terms)
    ]
    first = min((f for f in found if f is not None), default=None)
    return None if first is None else first[1]


def _taken(refused: Refused, names: tuple[str, ...]) -> tuple[int, str] | None:
    """Return the first row whose values are there already or come again, and what to say."""
    spec = refused.spec
    key = spec.heading.primary_key
    is_key = names == key
    rows, keys = refused.rows(names), refused.rows(key)
    wanted = [values for values in dict.fromkeys(rows) if None not in values]
    relation = Relation(spec.name, spec.heading)
    shown = names if is_key else (*names, *key)
    there = {
        found[: len(names)]: found[-len(key) :]
        for found in present(refused.connection, relation, names, wanted, shown)
    }
    seen: dict[Values, int] = {}
    for i, values in enumerate(rows):
        if None in values:
            continue
        owner = there.get(values)
        if owner is not None and (is_key or owner != keys[i]):
            return i, _taken_words(refused, i, names, values, None if is_key else owner)
        before = seen.setdefault(values, i)
        if before != i and (is_key or keys[before] != keys[i]):
            return i, _twice_words(refused, i, before, show(names, values), is_key=is_key)
    return None


def _taken_words(
    refused: Refused, i: int, names: tuple[str, ...], values: Values, owner: Values | None
) -> str:
    if owner is None:
        return (
            f"{refused.where(i)}: the key {show(names, values)} is in the table already. "
            "skip_duplicates=True keeps the rows that are there, replace=True overwrites them"
        )
    return (
        f"{refused.where(i)}: {show(names, values)} is taken by the row "
        f"{show(refused.spec.heading.primary_key, owner)} (unique index on {', '.join(names)}). "
        "Give another value, or update that row"
    )


def _twice_words(refused: Refused, i: int, before: int, shown: str, *, is_key: bool) -> str:
    earlier = "" if refused.first is None else f", as in row {refused.first + before}"
    what = f"the key {shown}" if is_key else shown
    return f"{refused.where(i)}: {what} is twice among the rows to insert{earlier}. " + (
        "skip_duplicates=True takes the first of them" if is_key else "It has to be unique"
    )


def _reference(error: Exception, refused: Refused) -> str:
    found = [f for key in refused.spec.foreign_keys if (f := _missing_parent(key, refused))]
    found += [f for key in refused.spec.foreign_keys if (f := _too_early(key, refused))]
    if not found:
        return f"{refused.spec.display_name}: {error}"
    return min(found)[1]


def _missing_parent(key: ForeignKey, refused: Refused) -> tuple[int, str] | None:
    """Return the first row whose parent is missing, and what to say."""
    mine = [m for m, _ in key.columns]
    theirs = tuple(t for _, t in key.columns)
    if any(m not in refused.columns for m in mine):
        return None
    referred = refused.rows(mine)
    wanted = [values for values in dict.fromkeys(referred) if None not in values]
    heading = refused.spec.heading.project({t: m for m, t in key.columns})
    relation = Relation(key.parent, heading)
    there = set(present(refused.connection, relation, theirs, wanted))
    if key.parent == refused.spec.name:
        there.update(refused.rows(theirs))
    for i, values in enumerate(referred):
        if None not in values and values not in there:
            return i, (
                f"{refused.where(i)}: {show(theirs, values)} is not in {key.parent}, "
                f"which {_names(mine)} refers to. Insert it there first"
            )
    return None


def _too_early(key: ForeignKey, refused: Refused) -> tuple[int, str] | None:
    """Return the first row that refers to a later one of its own table, and what to say."""
    mine, theirs = key.names, tuple(t for _, t in key.columns)
    if key.parent != refused.spec.name or any(m not in refused.columns for m in mine):
        return None
    place = {values: i for i, values in reversed([*enumerate(refused.rows(theirs))])}
    for i, values in enumerate(refused.rows(mine)):
        if place.get(values, -1) > i:
            return i, (
                f"{refused.where(i)}: {_names(mine)} refers to {show(theirs, values)}, which comes "
                "later among the rows to insert. Put rows before those that refer to them; rows "
                "that refer to each other need update1"
            )
    return None


def _names(names: Sequence[str]) -> str:
    return f'"{names[0]}"' if len(names) == 1 else f"({', '.join(names)})"


def present(
    connection: Connection,
    relation: Relation,
    names: tuple[str, ...],
    wanted: Sequence[Values],
    shown: tuple[str, ...] | None = None,
) -> Iterator[Values]:
    """Iterate over the rows of a table that have one of the wanted values of `names`."""
    left = Call("tuple", tuple(Name(n) for n in names))
    columns = tuple((n, Name(n)) for n in shown or names)
    heading = relation.heading.project({n: n for n in shown or names})
    for start in range(0, len(wanted), EXPLAINED_ROWS):
        options = [
            Call("tuple", tuple(Literal(v) for v in values))
            for values in wanted[start : start + EXPLAINED_ROWS]
        ]
        restriction = Restriction(relation, Call("in", (left, *options)))
        yield from connection.database.fetch(Projection(restriction, columns, heading))


def show(names: Sequence[str], values: Sequence[Value]) -> str:
    """Return values as people read them: `subject=12 session=3`."""
    return show_key(dict(zip(names, values, strict=True)))


def show_key(key: Mapping[str, Value]) -> str:
    """Return a key as people read it: `subject=12 session=3`."""
    return " ".join(f"{name}={value}" for name, value in key.items())
