"""What is due in a set of tables: the loop's `Plan` on the database. Keys become ids here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from djq.definition import graph
from djq.orchestrator.fleet import FleetPlan
from djq.orchestrator.hinting import Sources, named, parts, renamings
from djq.orchestrator.routing import route
from djq.orchestrator.states import Place
from djq.populate import levels, plan
from djq.populate.failures import JobError
from djq.populate.keys import from_key_id, from_key_ids, to_wire
from djq.populate.version import code_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableName
    from djq.orchestrator.states import Find
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.keys import Key
    from djq.populate.options import PopulateOptions

#: Keys that one query names.
KEYS_PER_QUERY = 1_000


class DatabasePlan:
    """Due keys of some tables.

    Parameters
    ----------
    tables
        Display names and classes.
    restrictions
        Conditions on the keys of every table.
    fleet
        Its queues and limits.
    options
        Of the run, over those of the tables; but among the tables of a run, their own priorities
        count.

    Raises
    ------
    ConfigError
        A table asks for what no queue of the fleet has.
    """

    def __init__(
        self,
        tables: Mapping[str, type[AutoPopulate]],
        restrictions: Sequence[Value] = (),
        fleet: FleetPlan | None = None,
        options: PopulateOptions | None = None,
    ) -> None:
        self.tables = dict(tables)
        fleet = fleet or FleetPlan()
        self._restrictions = restrictions
        # A scheduler goes on with the other tables where a key source is wrong; it logs that when
        # it searches the table.
        parents = _parents(self.tables, levels.known_parents)
        self._sources = {name: Sources(table) for name, table in self.tables.items()}
        self.places = tuple(
            replace(
                _place(
                    name, level, parents[name], self.tables[name].populate_options, options, fleet
                ),
                sources=self._sources[name].are_telling(),
            )
            for level, names in enumerate(graph.levels(parents))
            for name in names
        )
        self._big_queues = {place.table: place.big_queue for place in self.places}

    def find(self, search: Find) -> tuple[str, ...]:
        """Return due keys in the order of the primary key, at most `search.limit`."""
        table = self.tables[search.table]
        heading = table.job_heading
        found = plan.due_ids(
            table,
            limit=search.limit,
            restrictions=self._restrictions,
            among=self._among(search),
            after=None if search.after is None else from_key_id(heading, search.after),
        )
        return tuple(found)

    def within(self, table: str, keys: Sequence[str]) -> Sequence[str]:
        """Return which of these keys meet the restrictions."""
        if not self._restrictions:
            return keys
        cls = self.tables[table]
        pages = [keys[i : i + KEYS_PER_QUERY] for i in range(0, len(keys), KEYS_PER_QUERY)]
        return [i for page in pages for i in plan.restricted_ids(cls, page, self._restrictions)]

    def big(self, table: str, keys: Sequence[str]) -> frozenset[str]:
        """Return which of these keys are to go to the big queue: they ran out of memory."""
        cls = self.tables[table]
        if self._big_queues[table] is None or not keys:
            return frozenset()
        return frozenset(plan.redirected_ids(cls, keys))

    def bury(self, table: str, key: str, n_losses: int) -> None:
        """Record an error for a key that killed its workers."""
        cls = self.tables[table]
        found = from_key_id(cls.job_heading, key)
        error = JobError.of_losses(found, n_losses)
        cls().jobs.record(found, "error", error=error, version=code_version(cls))

    def show(self, table: str, key: str) -> Mapping[str, Value]:
        """Return a key by its attributes' names, as plain values: for people to read."""
        return readable(self.tables[table], key)

    def _among(self, search: Find) -> list[Key] | None:
        """Keys of the parent under the names that the table gives them."""
        if search.parent is None:
            return None
        child, parent = self.tables[search.table], self.tables.get(search.parent)
        if parent is None:  # what was inserted is announced under the server's names
            return self._sources[search.table].among(search.parent, search.among)
        made = {parent.spec.name, *(part.spec.name for part in parts(parent))}
        keys = from_key_ids(parent.job_heading, search.among)
        return named(keys, parent.job_heading, renamings(child, made))


def _place(
    name: str,
    level: int,
    parents: tuple[str, ...],
    own: PopulateOptions,
    of_run: PopulateOptions | None,
    fleet: FleetPlan,
) -> Place:
    options = own if of_run is None else of_run.over(own)
    goes = route(name, options, fleet)
    return Place(
        name,
        level,
        parents,
        priority=own.priority,
        queue=goes.queue,
        big_queue=options.big_queue if options.big_queue != goes.queue else None,
        units=goes.units,
        chunk_s=options.chunk_s,
    )


def by_level(tables: Mapping[str, type[AutoPopulate]]) -> dict[str, type[AutoPopulate]]:
    """Return the tables in order, each after all that it depends on."""
    ordered = graph.levels(_parents(tables, levels.parents))
    return {name: tables[name] for names in ordered for name in names}


def readable(table: type[AutoPopulate], key: str) -> dict[str, Value]:
    """Return the key of an id by its attributes' names, as plain JSON values."""
    heading = table.job_heading
    found = from_key_id(heading, key)
    return dict(zip(found, to_wire(heading, found), strict=True))


def _parents(
    tables: Mapping[str, type[AutoPopulate]],
    parents_of: Callable[[type[AutoPopulate]], tuple[TableName, ...]],
) -> dict[str, tuple[str, ...]]:
    """Return which of the tables make the rows that each depends on: parts' masters, for parts."""
    made_by = {table.spec.name: name for name, table in tables.items()}
    for name, table in tables.items():
        made_by |= {part.spec.name: name for part in parts(table)}
    return {
        name: tuple(dict.fromkeys(made_by[p] for p in parents_of(table) if p in made_by))
        for name, table in tables.items()
    }
