"""Due keys as one query: `key_source` minus made minus blocked; counts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from rich.console import Console

from djq.algebra import ordering
from djq.algebra.equality import is_listed
from djq.algebra.expressions import Expression, Name, either
from djq.algebra.nodes import Node, Projection
from djq.algebra.operators import restrict
from djq.definition.heading import Heading
from djq.errors import DefinitionError, DjqError
from djq.populate.keys import from_key_ids, key_id, key_ids
from djq.populate.version import code_version
from djq.tables.query import Query
from djq.tables.universal import U

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.populate.autopopulate import AutoPopulate
    from djq.populate.keys import Key


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table is; all counts are of keys.

    As in DataJoint, `remaining, total = Table.progress()` works, too.
    """

    total: int
    made: int
    due: int
    errors: int
    ignored: int
    empty: int

    @property
    def remaining(self) -> int:
        """Keys that are not made, for whatever reason."""
        return self.total - self.made

    def __iter__(self) -> Iterator[int]:
        """Iterate over the keys that are not made, and all."""
        return iter((self.remaining, self.total))

    def __str__(self) -> str:
        """Return it as people say it."""
        percent = 100 * self.made / self.total if self.total else 100.0
        counts = {"due": self.due, "failed": self.errors + self.empty, "ignored": self.ignored}
        rest = "".join(f", {n:,} {name}" for name, n in counts.items() if n)
        return f"{self.made:,} of {self.total:,} made ({percent:.1f} %){rest}"


def key_source(table: type[AutoPopulate], restrictions: Sequence[Value] = ()) -> Query:
    """Return all keys that the table should have, restricted, with the key's attributes only.

    Raises
    ------
    DefinitionError
        The key source is no query, or lacks an attribute of the table's key.
    """
    source = wide_source(table)
    restricted = source.restrict(*restrictions) if restrictions else source
    key = table.job_heading.primary_key
    narrow = restricted.proj(*(n for n in key if n not in restricted.heading.primary_key))
    return Query(_adopted(table, narrow.node), narrow.connection)


def wide_source(table: type[AutoPopulate]) -> Query:
    """Return the key source with all of its attributes: restrictions may name any of them.

    Raises
    ------
    DefinitionError
        It is no query, lacks an attribute of the table's key, or raised what is no error of djq.
    """
    source = _asked(table)
    if not isinstance(source, Query):
        message = f"{table.spec.display_name}.key_source is {source!r}; it must be a table or query"
        raise DefinitionError(message)
    key = table.job_heading.primary_key
    present = tuple(n for n in table.spec.heading.primary_key if n in source.heading)
    if present != key:
        message = (
            f"{table.spec.display_name}.key_source has {', '.join(present) or 'nothing'} of the "
            f"table's key ({', '.join(table.spec.heading.primary_key)}), and its job records "
            f"have {', '.join(key)}, which its key_source had when the table was declared. "
            "Make key_source give the same attributes always"
        )
        raise DefinitionError(message)
    return source


def _asked(table: type[AutoPopulate]) -> Value:
    """Return what a table gives as its key source; what that raises says whose it is."""
    name = table.spec.display_name
    try:
        source: Value = table().key_source
        return source() if isinstance(source, type) else source
    except DjqError as error:
        message = f"key_source of {name}: {error}"
        raise type(error)(message) from error
    except Exception as error:
        message = f"key_source of {name} raised {type(error).__name__}: {error}"
        raise DefinitionError(message) from error


def _adopted(table: type[AutoPopulate], node: Node) -> Node:
    """Return the keys with attributes that originate in the table itself, as far as they do."""
    referred = {n for f in table.spec.foreign_keys if f.in_key for n in f.names}
    heading = tuple(
        a if a.name in referred else replace(a, lineage=table.job_heading[a.name].lineage)
        for a in (node.heading[n] for n in table.job_heading.names)
    )
    columns = tuple((a.name, Name(a.name)) for a in heading)
    return Projection(node, columns, Heading(tuple(replace(a, in_key=True) for a in heading)))


def due(
    table: type[AutoPopulate], restrictions: Sequence[Value] = (), *, retries: bool = False
) -> Query:
    """Return the keys to make now; with `retries` also those that failed before."""
    jobs = table().jobs
    blocked = jobs.lasting if retries else jobs.blocking(code_version(table))
    return key_source(table, restrictions) - table() - blocked.proj()


def due_keys(
    table: type[AutoPopulate],
    *,
    limit: int,
    restrictions: Sequence[Value] = (),
    among: Sequence[Mapping[str, Value]] | None = None,
    after: Mapping[str, Value] | None = None,
    retries: bool = False,
    is_here: bool = False,
) -> list[Key]:
    """Return the first `limit` due keys behind `after`, in the order of the primary key.

    With `among`, only keys that agree with one of these (say, of a parent) where they share names.
    With `is_here`, without those that wait for another queue.
    """
    page = _page(table, limit, restrictions, among, after, retries=retries, is_here=is_here)
    return page.keys()


def due_ids(
    table: type[AutoPopulate],
    *,
    limit: int,
    restrictions: Sequence[Value] = (),
    among: Sequence[Mapping[str, Value]] | None = None,
    after: Mapping[str, Value] | None = None,
    retries: bool = False,
) -> list[str]:
    """Return the keys of `due_keys` as ids, whose making costs a third of a key's."""
    page = _page(table, limit, restrictions, among, after, retries=retries)
    if not page.heading.names:
        return ["[]"] * len(page)
    return key_ids(page.connection.database.fetch_columns(page.node))


def _page(
    table: type[AutoPopulate],
    limit: int,
    restrictions: Sequence[Value],
    among: Sequence[Mapping[str, Value]] | None,
    after: Mapping[str, Value] | None,
    *,
    retries: bool,
    is_here: bool = False,
) -> Query:
    """Return the first due keys behind one, in the order of the primary key."""
    wanted = due(table, restrictions, retries=retries)
    if is_here and table.populate_options.big_queue is not None:
        wanted = wanted - table().jobs.redirected.proj()
    node = wanted.node
    if among is not None:
        node = restrict(node, _among(among, wanted.heading))
    if after is not None:
        node = ordering.after(node, after)
    node = ordering.order(node, table.job_heading.primary_key, limit=limit)
    return Query(node, wanted.connection)


def _among(keys: Sequence[Mapping[str, Value]], heading: Heading) -> Expression:
    """Return whether a key agrees with one of `keys` in the attributes that they share."""
    first = keys[0].keys() if keys else ()
    if all(key.keys() == first for key in keys):
        names = tuple(n for n in heading.names if n in first)
        return is_listed(names, _values(keys, names))
    groups: dict[tuple[str, ...], list[Mapping[str, Value]]] = {}
    for key in keys:
        groups.setdefault(tuple(n for n in heading.names if n in key), []).append(key)
    return either(*(is_listed(names, _values(some, names)) for names, some in groups.items()))


def _values(
    keys: Sequence[Mapping[str, Value]], names: tuple[str, ...]
) -> Iterable[tuple[Value, ...]]:
    """Return the keys' values of some names, at the pace of C."""
    if len(names) > 1:
        return map(itemgetter(*names), keys)
    return [tuple([key[n] for n in names]) for key in keys]


def made_keys(table: type[AutoPopulate], keys: Sequence[Mapping[str, Value]]) -> list[Key]:
    """Return which of `keys` have a row, by one query."""
    if not keys:
        return []
    source: Query = (key_source(table) & table()) if is_coarse(table) else table()
    node = restrict(source.node, _among(keys, table.job_heading))
    return Query(node, source.connection).keys()


def keys_of_ids(
    table: type[AutoPopulate], ids: Sequence[str], restrictions: Sequence[Value] = ()
) -> Query:
    """Return the keys of ids, as far as there should be such."""
    source = key_source(table, restrictions)
    keys = from_key_ids(table.job_heading, ids)
    return Query(restrict(source.node, _among(keys, table.job_heading)), source.connection)


def restricted_ids(
    table: type[AutoPopulate], ids: Sequence[str], restrictions: Sequence[Value]
) -> list[str]:
    """Return which of some keys meet restrictions."""
    found = keys_of_ids(table, ids, restrictions).keys()
    return [key_id(table.job_heading, key) for key in found]


def redirected_ids(table: type[AutoPopulate], ids: Sequence[str]) -> list[str]:
    """Return which of some keys are to be tried next on another queue than the table's."""
    jobs = table().jobs
    keys = from_key_ids(table.job_heading, ids)
    found = Query(
        restrict(jobs.redirected.node, _among(keys, jobs.heading)), jobs.connection
    ).keys()
    return [key_id(table.job_heading, key) for key in found]


def is_coarse(table: type[AutoPopulate]) -> bool:
    """Tell whether one call of make inserts rows of several keys."""
    return len(table.job_heading) < len(table.spec.heading.primary_key)


def job_heading(table: type[AutoPopulate], *, has_own_source: bool) -> Heading:
    """Return the attributes that identify one call of make, when the table is declared.

    These are the attributes of the key that the table's own `key_source` has; otherwise those that
    references of the key bring.
    """
    heading = table.spec.heading
    names = {n for f in table.spec.foreign_keys if f.in_key for n in f.names}
    if has_own_source:
        # It may need tables that are not declared yet; then references have to tell.
        with suppress(Exception):
            names = set(table().key_source.heading.names)
    found = tuple(heading[n] for n in heading.primary_key if n in names)
    return Heading(found or tuple(heading[n] for n in heading.primary_key))


def progress(
    table: type[AutoPopulate], restrictions: Sequence[Value] = (), *, display: bool = False
) -> Progress:
    """Count the table's keys by state. With `display` a line tells it to people.

    What was made in part is an error, and not made.
    """
    source = key_source(table, restrictions)
    total = len(source)
    missing = source - table()
    n_missing = len(missing)
    counts = {"error": 0, "ignore": 0, "empty": 0}
    if n_missing:
        blocking = table().jobs.blocking(code_version(table)) & missing
        groups = U("status").aggr(blocking.proj("status"), n="count(*)")
        counts.update({str(row["status"]): int(row["n"]) for row in groups.to_dicts()})
    n_torn = count_torn(table, source) if total > n_missing else 0
    found = Progress(
        total=total,
        made=total - n_missing - n_torn,
        due=n_missing - sum(counts.values()),
        errors=counts["error"] + n_torn,
        ignored=counts["ignore"],
        empty=counts["empty"],
    )
    if display:
        Console().print(f"{table.spec.display_name}: {found}", markup=False, highlight=False)
    return found


def count_torn(table: type[AutoPopulate], source: Query) -> int:
    """Count the keys of which a part was made and committed, and the rows are there."""
    return len(table().jobs.torn & source & table())
