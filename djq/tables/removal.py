"""One delete while it is carried out: leaves first, inside of an open transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from djq.algebra.carrying import key_in
from djq.algebra.cascade import Going, cascade, master_of, path_to_master
from djq.algebra.expressions import Expression, Name
from djq.algebra.nodes import Projection, Relation, Restriction
from djq.definition.attributes import Attribute
from djq.definition.graph import levels
from djq.definition.heading import Heading
from djq.errors import DefinitionError, IntegrityError
from djq.sql.reflect import reflect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from djq.algebra.carrying import Edge
    from djq.definition.spec import TableName
    from djq.sql.engine import Database

PartIntegrity: TypeAlias = Literal["enforce", "ignore", "cascade"]
Key: TypeAlias = tuple[Any, ...]

#: Keys that one statement names: MariaDB makes a temporary table of lists of 1,000 and more.
KEYS_PER_STATEMENT = 900


@dataclass(frozen=True, slots=True)
class _Bond:
    """A part and its master, with the master's attributes that the part carries."""

    part: TableName
    master: Relation


class Removal:
    """Deletes rows with all that refers to them; knows what went.

    Parameters
    ----------
    edges
        The foreign keys of the whole server.
    part_integrity
        What happens where parts go and their masters would stay: `enforce` refuses, `cascade`
        lets the masters go, too, `ignore` leaves them.
    """

    def __init__(
        self, database: Database, edges: Sequence[Edge], part_integrity: PartIntegrity
    ) -> None:
        self._database = database
        self._edges = edges
        self._part_integrity = part_integrity
        #: Tables → how many of their rows went.
        self.n_rows: Counter[TableName] = Counter()
        #: Keys of masters that may have lost parts, with how many.
        self._bereaved: dict[_Bond, Counter[Key]] = {}
        #: The table at work, for messages.
        self.current: TableName | None = None

    def remove(self, relation: Relation, condition: Expression) -> None:
        """Delete the rows of a table for which a stable condition holds, and all below them."""
        for going in reversed(cascade(relation, condition, self._edges)):
            self._remove(going)

    def remove_keys(self, relation: Relation, names: Sequence[str], keys: Iterable[Key]) -> None:
        """Delete the rows of a table that have these keys, and all below them."""
        for chunk in chunks(keys):
            self.remove(relation, key_in(names, chunk))

    def settle_masters(self) -> None:
        """Look after the masters that lost parts and are still there.

        Raises
        ------
        IntegrityError
            There are some, and the rule is to refuse that.
        """
        while self._bereaved:
            bond, n_parts = self._bereaved.popitem()
            staying = list(self._present(bond.master, n_parts))
            if staying and self._part_integrity == "enforce":
                self._refuse(bond, staying, sum(n_parts[key] for key in staying))
            self.remove_keys(bond.master, bond.master.heading.names, staying)

    def _present(self, relation: Relation, keys: Iterable[Key]) -> Iterator[Key]:
        for chunk in chunks(keys):
            condition = key_in(relation.heading.names, chunk)
            yield from self._database.fetch(Restriction(relation, condition))

    @staticmethod
    def _refuse(bond: _Bond, staying: Sequence[Key], n_parts: int) -> None:
        names = bond.master.heading.names
        first = " ".join(f"{n}={v}" for n, v in zip(names, staying[0], strict=True))
        message = (
            f"{bond.part}: {n_parts} rows would go, and their {len(staying)} masters in "
            f"{bond.master.name} would stay (the first: {first}); nothing was deleted. Start at "
            'the master, or use part_integrity="cascade" (such masters go, too) or "ignore"'
        )
        raise IntegrityError(message)

    # --- one table -----------------------------------------------------------------------------

    def _remove(self, going: Going) -> None:
        if going.loops:
            self._remove_generations(going)
        else:
            self._remove_rows(going)

    def _remove_rows(self, going: Going) -> None:
        self.current = going.name
        for branch in going.branches:
            rows = Restriction(going.relation, branch.condition)
            if not branch.is_whole and self._part_integrity != "ignore":
                self._note_masters(rows, going.relation)
            self.n_rows[going.name] += self._database.delete(rows)

    def _note_masters(self, rows: Restriction, relation: Relation) -> None:
        columns = path_to_master(relation.name, self._edges)
        master = master_of(relation.name)
        if columns is None or master is None:
            return
        theirs = [Attribute(t, relation.heading[m].type, in_key=True) for m, t in columns]
        bond = _Bond(relation.name, Relation(master, Heading(tuple(theirs))))
        keys = self._fetch(rows, [mine for mine, _ in columns])
        if keys:
            self._bereaved.setdefault(bond, Counter()).update(keys)

    def _fetch(self, rows: Restriction, names: Sequence[str]) -> list[Key]:
        shown = tuple(dict.fromkeys(names))
        heading = rows.heading.project({n: n for n in shown})
        found = self._database.fetch(Projection(rows, tuple((n, Name(n)) for n in shown), heading))
        places = [shown.index(n) for n in names]
        return [tuple(row[i] for i in places) for row in found]

    # --- a table that refers to itself ---------------------------------------------------------

    def _remove_generations(self, going: Going) -> None:
        """Delete rows that others of the same table may refer to: the youngest first."""
        names = tuple(dict.fromkeys(t for loop in going.loops for _, t in loop.columns))
        chosen, family = self._family(going, names)
        if len(family) == chosen and not any(family.values()):
            self._remove_rows(going)
            return
        for generation in reversed(self._generations(going, names, family)):
            for chunk in chunks(generation):
                for below in reversed(cascade(going.relation, key_in(names, chunk), self._edges)):
                    if below.name == going.name:
                        self._remove_rows(below)
                    else:
                        self._remove(below)

    def _generations(
        self, going: Going, names: Sequence[str], family: Mapping[Key, set[Key]]
    ) -> list[list[Key]]:
        """Return rows by generation, so that each refers to older ones only.

        Rows in a circle, and such that refer to themselves, are not deleted by MySQL and MariaDB:
        their references are set to null before.
        """
        is_alone = any(key in its for key, its in family.items())
        try:
            found = levels(family)
        except DefinitionError as error:
            self._unlink(going, names, family, error)
            return [list(family)]
        if is_alone and not self._database.is_sqlite:
            self._unlink(going, names, family, None)
            return [list(family)]
        return found

    def _unlink(
        self,
        going: Going,
        names: Sequence[str],
        family: Mapping[Key, set[Key]],
        cause: DefinitionError | None,
    ) -> None:
        spec = reflect(self._database, going.name, with_indexes=False)
        optional = {a.name for a in spec.heading if a.nullable}
        nulls = [{m for m, _ in loop.columns if m in optional} for loop in going.loops]
        if not all(nulls) or set(names) != set(spec.heading.primary_key):
            message = (
                f"{going.name}: rows of the table refer to each other in a circle, or to "
                "themselves, so that none can be deleted before the others, and the reference "
                "cannot be null. Nothing was deleted: let these rows refer to others first"
            )
            raise IntegrityError(message) from cause
        changes = dict.fromkeys(sorted(set[str]().union(*nulls)))
        for key, its in family.items():
            if its:
                self._database.update(spec, dict(zip(names, key, strict=True)), changes)

    def _family(self, going: Going, names: Sequence[str]) -> tuple[int, dict[Key, set[Key]]]:
        """Return how many rows were chosen; then all that go, each with those it refers to."""
        family: dict[Key, set[Key]] = {}
        by_place: list[dict[Key, Key]] = [{} for _ in going.loops]
        referred: list[tuple[Key, int, Key]] = []
        mine = [m for loop in going.loops for m, _ in loop.columns]

        def add(rows: Restriction) -> list[Key]:
            new: list[Key] = []
            for row in self._fetch(rows, [*names, *mine]):
                key, rest = row[: len(names)], row[len(names) :]
                if key in family:
                    continue
                family[key] = set()
                new.append(key)
                for i, loop in enumerate(going.loops):
                    values, rest = rest[: len(loop.columns)], rest[len(loop.columns) :]
                    by_place[i][_pick(key, names, loop)] = key
                    referred.append((key, i, values))
            return new

        front = add(going.rows)
        n_chosen = len(front)
        while front:
            children: list[Key] = []
            for loop in going.loops:
                for chunk in chunks([_pick(key, names, loop) for key in front]):
                    condition = key_in([m for m, _ in loop.columns], chunk)
                    children += add(Restriction(going.relation, condition))
            front = children
        for key, i, values in referred:
            if values in by_place[i]:
                family[key].add(by_place[i][values])
        return n_chosen, family


def _pick(key: Key, names: Sequence[str], loop: Edge) -> Key:
    """Return the values of a row that a reference leads to, in the order of its columns."""
    return tuple(key[names.index(theirs)] for _, theirs in loop.columns)


def chunks(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """Iterate over keys, as many at a time as one statement names."""
    waiting = list(keys)
    for start in range(0, len(waiting), KEYS_PER_STATEMENT):
        yield waiting[start : start + KEYS_PER_STATEMENT]
