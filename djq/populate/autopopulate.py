"""`populate()` and `progress()`; `Imported` and `Computed`."""

from __future__ import annotations

import functools
import os
import pkgutil
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from djq.algebra.nodes import Relation
from djq.definition.attributes import Attribute, CoreType
from djq.definition.spec import Tier
from djq.errors import DefinitionError, UsageError
from djq.populate.arguments import as_whole, check_flag
from djq.populate.heeding import listed, warn_unheeded
from djq.populate.here import Call
from djq.populate.jobs import Jobs
from djq.populate.makers import Maker, maker_of
from djq.populate.options import PopulateOptions, check_options
from djq.populate.plan import Progress, job_heading, progress
from djq.populate.planning import TablePlan, plan_of
from djq.populate.processes import populate_here
from djq.populate.records import RECORD_NAMES, jobs_spec
from djq.populate.stale import accept, stale
from djq.tables.classwise import on_class_too, seen_on_class_too
from djq.tables.query import Query
from djq.tables.table import Table, TableMeta
from djq.tables.upstream import Upstream, upstream_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading
    from djq.populate.keys import Key

#: The one place where this layer reaches the orchestrator, by name.
DISTRIBUTED = "djq.orchestrator.distributed:populate_distributed"


def _hidden(name: str, type_: CoreType, comment: str) -> Attribute:
    return Attribute(name, type_, nullable=True, default=None, comment=comment)


class AutoMeta(TableMeta):
    """Lets `Detection.key_source` be asked of the class, though users define it as a property."""

    @property
    def key_source(cls) -> Query:  # noqa: N805 - a metaclass: its instances are classes
        """All keys that there should be."""
        return _instance(cls).key_source


def _instance(cls: type) -> AutoPopulate:
    return cast("AutoPopulate", cls())


class AutoPopulate(Table, metaclass=AutoMeta):
    """A table whose rows are made by its `make(key)`, one key at a time."""

    hidden_attributes: ClassVar[tuple[Attribute, ...]] = (
        _hidden("_job_start_time", CoreType("datetime", (3,)), "when make began, UTC"),
        _hidden("_job_duration", CoreType("float64"), "from there to this INSERT [s]"),
        _hidden("_job_version", CoreType("varchar", (64,)), "of the code"),
        _hidden("_job_host", CoreType("varchar", (255,)), "where it ran"),
        _hidden("_job_worker", CoreType("varchar", (255,)), "which process made it"),
        _hidden("_job_attempt", CoreType("int16"), "how often it was begun in this try"),
        _hidden("_job_commit", CoreType("varchar", (64,)), "of the code's git repository"),
        _hidden("_job_peak_bytes", CoreType("int64"), "most memory of the process meanwhile"),
    )

    #: How the keys are made: `populate_options = dj.PopulateOptions(max_retries=2)`.
    populate_options: ClassVar[PopulateOptions] = PopulateOptions()

    reserved_names: ClassVar[frozenset[str]] = RECORD_NAMES
    #: What one call of make is given: the key, or the part of it that `key_source` has where a
    #: make inserts several rows. Set when the class is declared.
    job_heading: ClassVar[Heading]
    #: How its rows are made. Set when the class is declared.
    maker: ClassVar[Maker]

    def make(self, key: Key) -> None:  # noqa: ARG002 - tables define their own
        """Compute one key: fetch its inputs, and insert its row and parts with `self.insert1`."""
        raise DefinitionError(_no_make(type(self)))

    @property
    def key_source(self) -> Query:
        """All keys that there should be: by default the join of what the key refers to."""
        parents = [self._parent(i) for i, f in enumerate(self.spec.foreign_keys) if f.in_key]
        if not parents:
            message = f"{self.display_name} refers to no table in its key: define key_source"
            raise DefinitionError(message)
        return functools.reduce(lambda a, b: a * b, parents)

    def _parent(self, index: int) -> Query:
        """Return the keys of a parent under the names that this table gives them."""
        reference = self.spec.foreign_keys[index]
        parent = self.parent_specs[reference.parent]
        keys = Query(Relation(parent.name, parent.heading), self.connection)
        renamed = {mine: theirs for mine, theirs in reference.columns if mine != theirs}
        return keys.proj(**renamed)

    @property
    def upstream(self) -> Upstream:
        """Within its make: the table's ancestors, restricted to the key, as `upstream[Session]`."""
        return upstream_of(self)

    @seen_on_class_too
    def jobs(self) -> Jobs:
        """Durable records of errors, ignored and empty keys."""
        self._check_whole("jobs", "jobs & condition")
        return Jobs(self)

    @on_class_too
    def stale(self, *, unknown: bool = False) -> Self:
        """Return the rows that another version of the code made: a query, and deletable.

        They are never made again by themselves: delete them to have them made anew, or `accept`
        them. With `unknown`, also rows of which no version is known: made by DataJoint, or inserted
        directly.
        """
        return stale(self, unknown=unknown)

    @on_class_too
    def accept(self, *restrictions: Value, unknown: bool = False) -> int:
        """Let stale rows count as made by today's code; return how many.

        Parameters
        ----------
        restrictions
            Conditions on the rows; all must hold.
        unknown
            Accept rows of which no version is known, too.
        """
        return accept(self, restrictions, unknown=unknown)

    @on_class_too
    def progress(self, *restrictions: Value, display: bool = False) -> Progress:
        """Count the keys by state: total, made, due, errors, ignored, empty.

        `remaining, total = Table.progress()` works, too; `display` writes a line about it.
        """
        self._check_whole("progress", "progress(condition)")
        return progress(type(self), restrictions, display=display)

    @on_class_too
    def plan(self, *restrictions: Value) -> TablePlan:
        """Tell what there is to do: due, blocked by which table, failed; and how long it takes.

        Nothing is changed. `dj.plan(schema)` tells it of several tables.
        """
        self._check_whole("plan", "plan(condition)")
        (found,) = plan_of([type(self)], restrictions)
        return found

    @on_class_too
    def populate(  # noqa: PLR0913 - DataJoint's, by keyword
        self,
        *restrictions: Value,
        suppress_errors: bool = False,
        return_exception_objects: bool = False,
        reserve_jobs: bool = False,
        max_calls: int | None = None,
        display_progress: bool = False,
        processes: int | None = 1,
        make_kwargs: Mapping[str, Value] | None = None,
        priority: int | None = None,
        refresh: bool | None = None,
        distributed: bool = False,
    ) -> dict[str, Any]:
        """Make the keys that are missing, here or on the fleet.

        Parameters
        ----------
        restrictions
            Conditions on the keys; all must hold. One that has none of their attributes is told of
            by a `RestrictionWarning`, and leaves all keys.
        suppress_errors
            Go on when a `make` raises, and return the errors. Otherwise the first one is raised,
            and the keys after it wait for the next call; on a fleet, the other keys are done first.
        return_exception_objects
            Return exceptions instead of their texts.
        max_calls
            Make at most so many keys.
        reserve_jobs
            Share the keys with all other processes and workers that make them now: each key is
            made once. Keys that failed before are left alone. Needs Redis: `djq up` starts it.
        display_progress
            Show a line of progress.
        processes
            Make keys in so many child processes; None: one per core.
        make_kwargs
            Further arguments for each call of make.
        priority, refresh
            As in DataJoint, and without effect: what is due is asked anew by each call, and all due
            keys of a table are equally urgent.
        distributed
            Let Celery workers do it, and wait. Needs Redis and workers: `djq up` starts both.

        Returns
        -------
        `{"success_count": int, "error_list": [(key, error), …]}`. Errors are in `jobs.errors`, too,
        until a later call makes their keys.
        """
        table = type(self)
        if not table.maker:
            raise DefinitionError(_no_make(table))
        self._check_whole("populate", "populate(condition)")
        if self.connection.in_transaction:
            message = (
                "populate cannot run inside a transaction: each key commits its own. "
                "Call it behind the block"
            )
            raise UsageError(message)
        del priority, refresh
        suppress_errors = check_flag("populate", "suppress_errors", suppress_errors)
        reserve_jobs = check_flag("populate", "reserve_jobs", reserve_jobs)
        distributed = check_flag("populate", "distributed", distributed)
        n_processes, max_calls = _n_processes(processes), _max_calls(max_calls)
        kwargs = table.maker.check_kwargs(table, make_kwargs)
        conditions = listed(restrictions)
        warn_unheeded(table, conditions)
        if distributed:
            if kwargs or n_processes > 1:
                message = (
                    "populate(distributed=True) takes neither processes nor make_kwargs: "
                    "the fleet's workers have their own processes, and call make(key)"
                )
                raise UsageError(message)
            submit = pkgutil.resolve_name(DISTRIBUTED)
            found: dict[str, Any] = submit(
                tables=[table],
                restrictions=conditions,
                suppress_errors=suppress_errors,
                return_exception_objects=return_exception_objects,
                max_calls=max_calls,
                display_progress=display_progress,
            )
            return found
        call = Call(
            table,
            conditions,
            suppress_errors=suppress_errors,
            return_exception_objects=return_exception_objects,
            max_calls=max_calls,
            make_kwargs=kwargs,
            retries=not reserve_jobs,
        )
        return populate_here(
            call,
            reserve_jobs=reserve_jobs,
            processes=n_processes,
            display_progress=display_progress,
        )

    def _check_whole(self, verb: str, example: str) -> None:
        """Refuse a restricted table, whose restrictions are on its rows: keys may have none yet."""
        if isinstance(self.node, Relation):
            return
        message = (
            f"{self.display_name} is restricted: {verb} is asked of the whole table, with "
            f"conditions on its keys, as in {type(self).__name__}.{example}"
        )
        raise UsageError(message)

    @classmethod
    def check_class(cls) -> None:
        """Refuse a class whose make cannot work."""
        maker_of(cls, AutoPopulate)

    @classmethod
    def declared(cls) -> None:
        """Declare the table of job records beside it."""
        check_options(cls.spec.display_name, cls.populate_options)
        has_own_source = any("key_source" in vars(c) for c in cls.__mro__ if c is not AutoPopulate)
        cls.maker = maker_of(cls, AutoPopulate)
        cls.job_heading = job_heading(cls, has_own_source=has_own_source)
        cls.schema.create(jobs_spec(cls.spec, cls.job_heading), {})


def _no_make(table: type[AutoPopulate]) -> str:
    return (
        f"{table.spec.display_name} has no make: "
        "define make(self, key) that inserts the row of one key"
    )


def _n_processes(given: object) -> int:
    """Return the number of processes; None stands for one per core, as in DataJoint."""
    if given is None:
        return os.cpu_count() or 1
    number = as_whole(given)
    if number is None or number < 1:
        message = f"populate(processes={given!r}): give a number from 1 on, or None: one per core"
        raise UsageError(message)
    return number


def _max_calls(given: object) -> int | None:
    """Return how many keys are tried at most; numbers of numpy are numbers, too."""
    if given is None:
        return None
    number = as_whole(given)
    if number is None or number < 0:
        message = f"populate(max_calls={given!r}): give a whole number from 0 on, or None: all keys"
        raise UsageError(message)
    return number


class Imported(AutoPopulate):
    """A table whose `make` reads from outside of the database: files, instruments."""

    tier = Tier.IMPORTED


class Computed(AutoPopulate):
    """A table whose `make` computes from other tables alone."""

    tier = Tier.COMPUTED
