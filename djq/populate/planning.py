"""`plan()`: what there is to do, what holds it up, and how long it takes, before anything runs."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

from djq.algebra import ordering
from djq.algebra.nodes import Relation
from djq.definition.heading import Heading
from djq.errors import MissingTableError, UsageError
from djq.populate import plan as due
from djq.populate.census import Census, take_census
from djq.populate.display import span
from djq.populate.expected import expected
from djq.populate.heeding import check_keys, listed, no_table
from djq.populate.levels import levels, master_or_self, parents
from djq.populate.version import code_version
from djq.sql.verify import as_present
from djq.tables.query import Query
from djq.tables.schema import Schema
from djq.tables.universal import U

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableName
    from djq.populate.autopopulate import AutoPopulate

#: The mean duration of the last so many rows tells how long the next take.
MEASURED_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Blocked:
    """Keys that wait for another table; `n` is None where only making it can tell."""

    n: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What there is to do in one table; all counts are of keys.

    `total` are the keys whose inputs are there: `made`, `due`, `retrying` (failed, and tried again
    later), `errors`, `empty` and `ignored`. Of the due ones `running` are being made. `blocked`
    come in addition: by table, the keys that wait for its rows.
    """

    table: str
    level: int
    total: int
    made: int
    due: int
    running: int = 0
    retrying: int = 0
    errors: int = 0
    empty: int = 0
    ignored: int = 0
    blocked: Mapping[str, Blocked] = field(default_factory=dict[str, Blocked])
    n_blocked: int | None = 0
    #: How long one key took lately; None if nothing was made yet, or nothing is to do.
    seconds_per_key: float | None = None
    #: For what is due, retrying and blocked, with the slots that there are now; None: not known.
    eta_s: float | None = None

    def __str__(self) -> str:
        """Return it as lines of text."""
        return str(Plan((self,)))


COLUMNS = (
    *("table", "total", "made", "due", "running", "retrying"),
    *("errors", "empty", "ignored", "blocked", "eta"),
)


@dataclass(frozen=True)
class Plan:
    """What there is to do in some tables, in the order in which they are made."""

    tables: tuple[TablePlan, ...]
    #: Chunks that the fleet works on at the same time; 0: there is none.
    slots: int = 0

    def __iter__(self) -> Iterator[TablePlan]:
        """Iterate over the tables."""
        return iter(self.tables)

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(self.tables)

    def __getitem__(self, table: str | type[AutoPopulate]) -> TablePlan:
        """Return a table's plan by its class or name, `lab.Detection`."""
        name = table if isinstance(table, str) else table.spec.display_name
        for each in self.tables:
            if each.table == name:
                return each
        message = f'"{name}" is not in this plan: it has {", ".join(t.table for t in self.tables)}'
        raise UsageError(message)

    @property
    def eta_s(self) -> float | None:
        """How long all takes [s]; None if that is not known of a table."""
        etas = [t.eta_s for t in self.tables]
        return None if None in etas else sum(e for e in etas if e is not None)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict per table, as JSON holds it."""
        return [asdict(t) for t in self.tables]

    def __str__(self) -> str:
        """Return a grid, and under it what waits for what."""
        rows = [COLUMNS, *(_cells(t) for t in self.tables)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(cells)).rstrip()
            for cells in ([*zip(row, widths, strict=True)] for row in rows)
        ]
        return "\n".join([*lines, *self._reasons()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(t)) + "</tr>"
            for t in self.tables
        )
        reasons = "".join(f"<div>{html.escape(line)}</div>" for line in self._reasons())
        return f"<table><tr>{head}</tr>{body}</table>{reasons}"

    def _reasons(self) -> list[str]:
        return [
            f"{t.table}: {'some' if b.n is None else f'{b.n:,}'} wait for {name} ({b.reason})"
            for t in self.tables
            for name, b in t.blocked.items()
        ]


def plan(*what: type[AutoPopulate] | Schema, restrictions: Value = ()) -> Plan:
    """Tell what there is to do, before anything runs; nothing is changed.

    Parameters
    ----------
    what
        Tables, and schemas for all of their tables.
    restrictions
        A condition on the keys, or several; all must hold, in every table.

    Raises
    ------
    UsageError
        Something is neither a schema nor a table with a make.
    QueryError
        A restriction says nothing of the keys of one of the tables.
    """
    tables: dict[str, type[AutoPopulate]] = {}
    for each in cast("Sequence[Value]", what):
        if isinstance(each, Schema):
            tables |= {t.spec.display_name: t for t in _made_in(each)}
        elif isinstance(each, type) and hasattr(each, "job_heading"):
            table: type[AutoPopulate] = each
            tables[table.spec.display_name] = table
        else:
            raise no_table(each, "plan")
    return plan_of(list(tables.values()), listed(restrictions))


def plan_of(tables: Sequence[type[AutoPopulate]], restrictions: Sequence[Value] = ()) -> Plan:
    """Return the plan of some tables."""
    if not tables:
        return Plan(())
    schemas = {id(t.schema): t.schema for t in tables}
    known = {t.spec.name: t for schema in schemas.values() for t in _made_in(schema)}
    known |= {t.spec.name: t for t in tables}
    census = take_census(tables[0]().connection.settings)
    planner = _Planner(known, restrictions, census)
    wanted = {t.spec.name for t in tables}
    ordered = levels(known.values())
    return Plan(
        tuple(
            planner.table(table, level)
            for level, group in enumerate(ordered)
            for table in group
            if table.spec.name in wanted
        ),
        census.slots,
    )


def _made_in(schema: Schema) -> list[type[AutoPopulate]]:
    """Return the tables of a schema whose rows are made."""
    found = (t for t in schema.tables.values() if hasattr(t, "job_heading"))
    return [cast("type[AutoPopulate]", t) for t in found]


class _Planner:
    """One walk through the tables, those first that others wait for."""

    def __init__(
        self,
        makers: Mapping[TableName, type[AutoPopulate]],
        restrictions: Sequence[Value],
        census: Census,
    ) -> None:
        self._makers = makers
        self._restrictions = restrictions
        self._census = census
        self.done: dict[TableName, TablePlan] = {}
        #: The same without restrictions: what others wait for, and why it is not there.
        self._whole = _Planner(makers, (), census) if restrictions else self

    def table(self, table: type[AutoPopulate], level: int) -> TablePlan:
        """Return the plan of one table."""
        check_keys(table, self._restrictions)
        source = due.key_source(table, self._restrictions)
        missing = source - table()
        total, n_missing = len(source), len(missing)
        counts = _states(table, missing) if n_missing else {}
        n_torn = _torn(table, source) if total > n_missing else 0
        n_due = n_missing - sum(counts.values())
        blocked, n_blocked = self._blocked(table, source)
        n_todo = n_due + counts.get("retrying", 0) + (n_blocked or 0)
        pace = _seconds_per_key(table) if n_todo or n_blocked is None else None
        found = TablePlan(
            table=table.spec.display_name,
            level=level,
            total=total,
            made=total - n_missing - n_torn,
            due=n_due,
            running=min(n_due, len(self._census.reserved.get(table.spec.display_name, ()))),
            retrying=counts.get("retrying", 0),
            errors=counts.get("error", 0) + n_torn,
            empty=counts.get("empty", 0),
            ignored=counts.get("ignore", 0),
            blocked=blocked,
            n_blocked=n_blocked,
            seconds_per_key=pace,
            eta_s=self._eta(pace, n_todo, is_known=n_blocked is not None),
        )
        self.done[table.spec.name] = found
        return found

    def _blocked(
        self, table: type[AutoPopulate], source: Query
    ) -> tuple[dict[str, Blocked], int | None]:
        """Return the keys that wait for each table before, and all of them."""
        before = [n for n in dict.fromkeys(map(master_or_self, parents(table))) if self._lacks(n)]
        if not before:
            return {}, 0
        node = expected(table, self._makers, self._restrictions)
        if node is None:
            return {self._name(n): Blocked(None, self._reason(n)) for n in before}, None
        waiting = Query(node, source.connection) - source
        n_all = len(waiting)
        each = [(n, len(_without(waiting, table, self._makers[n]))) for n in before if n_all]
        found = {self._name(name): Blocked(n, self._reason(name)) for name, n in each if n}
        return found, n_all

    def _lacks(self, name: TableName) -> bool:
        """Tell whether a table is one of those that are made, and not all of it is."""
        if name not in self._makers:
            return False
        state = self._state(name)
        return state.made < state.total or state.n_blocked != 0

    def _state(self, name: TableName) -> TablePlan:
        """Return the plan of a table that others wait for, of which all keys count."""
        done = self._whole.done
        if name not in done:
            done[name] = self._whole.table(self._makers[name], 0)
        return done[name]

    def _name(self, name: TableName) -> str:
        return self._makers[name].spec.display_name

    def _reason(self, name: TableName) -> str:
        state = self._state(name)
        counts = {
            "due": state.due,
            "to be tried again": state.retrying,
            "failed": state.errors,
            "empty": state.empty,
            "ignored": state.ignored,
            "blocked": state.n_blocked,
        }
        found = [f"{'some' if n is None else f'{n:,}'} {w}" for w, n in counts.items() if n != 0]
        return ", ".join(found)

    def _eta(self, pace: float | None, n_todo: int, *, is_known: bool) -> float | None:
        if not n_todo and is_known:
            return 0.0
        if pace is None or not is_known:
            return None
        return pace * n_todo / max(1, self._census.slots)


def _states(table: type[AutoPopulate], missing: Query) -> dict[str, int]:
    """Count the keys that are missing and not due."""
    blocking = table().jobs.blocking(code_version(table)) & missing
    groups = U("status").aggr(
        blocking.proj("status", "scheduled_time"), n="count(*)", retrying="count(scheduled_time)"
    )
    counts = {"retrying": 0}
    try:
        rows = groups.to_dicts()
    except MissingTableError:  # it may stay missing where nobody may create it
        return counts
    for row in rows:
        counts[str(row["status"])] = int(row["n"]) - int(row["retrying"])
        counts["retrying"] += int(row["retrying"])
    return counts


def _torn(table: type[AutoPopulate], source: Query) -> int:
    """Count the keys that were made in part."""
    try:
        return due.count_torn(table, source)
    except MissingTableError:  # it may stay missing where nobody may create it
        return 0


def _without(waiting: Query, table: type[AutoPopulate], parent: type[AutoPopulate]) -> Query:
    """Return the waiting keys for which a parent has no row, of any of the references to it."""
    references = [f for f in table.spec.foreign_keys if f.in_key and f.parent == parent.spec.name]
    if not references:
        return waiting - parent.proj()
    there = waiting
    for reference in references:
        renamed = {mine: theirs for mine, theirs in reference.columns if mine != theirs}
        there = there & parent.proj(**renamed)
    return waiting - there


def _seconds_per_key(table: type[AutoPopulate]) -> float | None:
    """Return how long the last keys took on average."""
    query = table()
    spec = as_present(query.connection.database, table.spec)
    duration = next((a for a in spec.hidden if a.name == "_job_duration"), None)
    if duration is None:
        return None
    key = [a for a in spec.heading if a.in_key]
    node = Relation(spec.name, Heading((*key, duration)))
    # By the key, whose index is there: newer keys are larger in most tables.
    last = ordering.order(node, [f"{a.name} DESC" for a in key], limit=MEASURED_ROWS)
    known = [row[-1] for row in query.connection.database.fetch(last) if row[-1] is not None]
    return fmean(known) if known else None


def _cells(table: TablePlan) -> tuple[str, ...]:
    counts = (table.total, table.made, table.due, table.running, table.retrying)
    failed = (table.errors, table.empty, table.ignored)
    blocked = "?" if table.n_blocked is None else f"{table.n_blocked:,}"
    eta = "?" if table.eta_s is None else span(table.eta_s) if table.eta_s else ""
    return (table.table, *(f"{n:,}" for n in (*counts, *failed)), blocked, eta)
