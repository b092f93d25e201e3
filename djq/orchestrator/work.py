"""What a run is about: its record, and the classes of this process."""

from __future__ import annotations

import importlib
import secrets
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from djq.errors import UsageError
from djq.orchestrator.fleet import load_fleet
from djq.orchestrator.planning import by_level
from djq.orchestrator.reservations import Reservations
from djq.orchestrator.routing import route
from djq.populate import restrictions as stored
from djq.populate.autopopulate import AutoPopulate
from djq.populate.heeding import no_table
from djq.populate.pipeline import collect
from djq.populate.runs import failed_since, n_made_since, new_record
from djq.tables.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.populate.options import PopulateOptions
    from djq.populate.runs import RunRecord
    from djq.settings import Settings
    from djq.tables.connection import Connection


@contextmanager
def opened(settings: Settings) -> Generator[Reservations]:
    """Open the reservations of the fleet for a moment."""
    with closing((reservations := Reservations.open(settings)).server):
        yield reservations


@dataclass(frozen=True)
class Work:
    """What a run is about, with the classes of this process."""

    record: RunRecord
    tables: Mapping[str, type[AutoPopulate]]
    restrictions: Sequence[Value]
    max_keys: int | None = None

    @property
    def connection(self) -> Connection:
        """Where the tables are."""
        return next(iter(self.tables.values())).schema.connection

    def n_made(self) -> int:
        """Count the keys that were made since the run began."""
        record = self.record
        return sum(
            n_made_since(table, self.restrictions, record.created, record.made_before.get(name))
            for name, table in self.tables.items()
        )

    def n_failed(self) -> int:
        """Count the keys that failed since the run began."""
        since = self.record.created
        return sum(len(failed_since(t, self.restrictions, since)) for t in self.tables.values())


def new_work(
    tables: Mapping[str, type[AutoPopulate]],
    conditions: Sequence[Value],
    *,
    options: PopulateOptions | None = None,
    is_continuous: bool = False,
    max_keys: int | None = None,
) -> Work:
    """Return a run that is new; refused where it could not be made."""
    settings = next(iter(tables.values())).schema.connection.settings
    fleet = load_fleet(settings)
    for name, table in tables.items():
        own = table.populate_options
        route(name, own if options is None else options.over(own), fleet)
    with opened(settings) as reservations:
        reservations.server.ping()
    run_id = f"r-{secrets.token_hex(4)}"
    record = new_record(run_id, tables, conditions, options=options, is_continuous=is_continuous)
    return Work(record, tables, conditions, max_keys)


def tables_of(what: Sequence[object]) -> dict[str, type[AutoPopulate]]:
    """Return the auto-populated tables that were named, level by level.

    Raises
    ------
    UsageError
        There is none, or something else was named.
    """
    tables: dict[str, type[AutoPopulate]] = {}
    for item in what:
        if isinstance(item, Schema):
            tables |= collect([item])
        elif isinstance(item, type) and issubclass(item, AutoPopulate):
            tables[item.spec.display_name] = item
        else:
            raise no_table(item, "make")  # pyright: ignore[reportUnknownArgumentType] # whatever
    if not tables:
        message = "nothing to make: name at least one Computed or Imported table, or its schema"
        raise UsageError(message)
    return by_level(tables)


def work_of(record: RunRecord) -> Work:
    """Return a stored run with its classes.

    Raises
    ------
    UsageError
        They are not here, or its restrictions are not.
    """
    if record.restrictions is None:
        message = (
            f"the run {record.id} is restricted by a query, which only the process that submitted "
            f"it has: {record.pid} on {record.host}. Conditions as text or mappings are stored"
        )
        raise UsageError(message)
    tables = {name: _find_class(record.id, name, place) for name, place in record.tables.items()}
    return Work(record, tables, stored.from_json(record.restrictions))


def _find_class(run: str, name: str, place: str) -> type[AutoPopulate]:
    """Return the class of a table of a stored run.

    Raises
    ------
    UsageError
        It is not here.
    """
    module, _, path = place.partition(":")
    try:
        home: Any = sys.modules.get(module) or importlib.import_module(module)
        found: Any = reduce(getattr, path.split("."), home)
    except (ImportError, AttributeError) as error:
        message = (
            f"the run {run} makes {name}, which is {path} in {module}, and that is not here: "
            f"{error}. Start where {module} can be imported, and import it"
        )
        raise UsageError(message) from error
    if not (isinstance(found, type) and issubclass(found, AutoPopulate)):
        message = f"the run {run} makes {name}, and {path} in {module} is no such table here"
        raise UsageError(message)
    if found.spec.display_name != name:
        message = (
            f"the run {run} makes {name}, and {path} in {module} is {found.spec.display_name} "
            "here: does its schema have another name in this process?"
        )
        raise UsageError(message)
    return found
