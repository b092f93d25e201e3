"""Which rows go with rows that are deleted: a plan made of plain values, before anything is asked.

Every foreign key below the deleted rows leads to rows that must go, too. Where the condition on the
parent reads only what the foreign key carries, it is *translated* to the child's own attributes,
pair by pair: exact, since both sides have equal values, and answered by the child's own index.
Names play no part in it: `-> Session.proj(first='session')` carries `session` as `first`, and an
attribute that came by another way is never taken for it. Otherwise the child's rows are those that
match the parent's (a semijoin). A row goes if any way leads to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.algebra.carrying import Edge, referring
from djq.algebra.expressions import Expression, either
from djq.algebra.nodes import Relation, Restriction
from djq.definition.attributes import Attribute
from djq.definition.graph import levels
from djq.definition.heading import Heading
from djq.definition.names import describe_name
from djq.definition.spec import TableName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: More ways to one table than this become one condition: statements, not rows, would multiply.
MAX_BRANCHES = 12


@dataclass(frozen=True, slots=True)
class Branch:
    """One way that leads to rows of a table."""

    condition: Expression
    #: The rows are no parts, or their masters go by the same way.
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Going:
    """The rows of one table that go: those for which the condition of any branch holds."""

    relation: Relation
    branches: tuple[Branch, ...]
    #: References of the table to itself.
    loops: tuple[Edge, ...] = ()

    @property
    def name(self) -> TableName:
        """The table."""
        return self.relation.name

    @property
    def rows(self) -> Restriction:
        """All of the rows as one query."""
        return Restriction(self.relation, either(*(b.condition for b in self.branches)))


def descendants(roots: Iterable[TableName], edges: Iterable[Edge]) -> list[TableName]:
    """Return tables and all that refer to them, directly or not, parents before children.

    Raises
    ------
    DefinitionError
        Tables refer to each other in a circle.
    """
    children: dict[TableName, list[TableName]] = {}
    for edge in edges:
        children.setdefault(edge.parent, []).append(edge.child)
    waiting = list(dict.fromkeys(roots))
    found = set(waiting)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    parents: dict[TableName, list[TableName]] = {name: [] for name in sorted(found)}
    for parent in found:
        for child in children.get(parent, ()):
            parents[child].append(parent)
    return [name for level in levels(parents) for name in level]


def cascade(root: Relation, condition: Expression, edges: Sequence[Edge]) -> list[Going]:
    """Return what goes with the rows of `root` for which `condition` holds; parents come first.

    `condition` must be stable (see `is_stable`), or the plan serve to count only: it is asked once
    per table, while rows are going.
    """
    order = descendants([root.name], edges)
    within = set(order)
    inner = [e for e in edges if e.parent in within and e.child in within]
    relations = _relations(root, order, edges)
    found: dict[TableName, Going] = {}
    for name in order:
        loops = tuple(e for e in inner if e.child == name == e.parent)
        if name == root.name:
            ways = (Branch(condition, master_of(name) is None),)
            found[name] = Going(relations[name], ways, loops)
            continue
        incoming = [e for e in inner if e.child == name != e.parent]
        branches = _branches(name, [(e, found[e.parent]) for e in incoming])
        found[name] = Going(relations[name], branches, loops)
    return list(found.values())


def _branches(name: TableName, incoming: Sequence[tuple[Edge, Going]]) -> tuple[Branch, ...]:
    ways: dict[Expression, bool] = {}
    for edge, parent in incoming:
        for branch in parent.branches:
            condition = referring(edge, parent.relation, branch.condition)
            is_whole = _brings_master(name, edge.parent, is_whole=branch.is_whole)
            ways[condition] = ways.get(condition, False) or is_whole
    if len(ways) > MAX_BRANCHES:
        ways = {either(*ways): all(ways.values())}
    return tuple(Branch(c, is_whole) for c, is_whole in ways.items())


def _brings_master(name: TableName, parent: TableName, *, is_whole: bool) -> bool:
    """Tell whether rows that go because of their parent's go together with their masters."""
    master = master_of(name)
    return master is None or parent == master or (is_whole and master_of(parent) == master)


def master_of(name: TableName) -> TableName | None:
    """Return the table of which this one is a part, by its name; None if it is none."""
    master = describe_name(name.table).master
    return None if master is None else TableName(name.schema, master)


# --- headings -----------------------------------------------------------------------------------


def _relations(
    root: Relation, order: Sequence[TableName], edges: Sequence[Edge]
) -> dict[TableName, Relation]:
    """Return each table with the attributes that its foreign keys connect, typed as the root's.

    The types come down the foreign keys with the values. Where an attribute begins further down,
    its type is not needed: its values are only compared with each other, by the server.
    """
    types: dict[TableName, dict[str, Attribute]] = {name: {} for name in order}
    types[root.name] = dict(root.heading.by_name)
    for name in order:
        its = types[name]
        below = [e for e in edges if e.parent == name and e.child in types]
        mine = [m for e in edges if e.child == name for m, _ in e.columns]
        for its_name in (*mine, *(theirs for e in below for _, theirs in e.columns)):
            its.setdefault(its_name, Attribute(its_name, None))
        for edge in below:
            there = types[edge.child]
            for child_name, theirs in edge.columns:
                if child_name not in there or there[child_name].type is None:
                    there[child_name] = Attribute(child_name, its[theirs].type)
    return {name: Relation(name, Heading(tuple(its.values()))) for name, its in types.items()}


def path_to_master(part: TableName, edges: Iterable[Edge]) -> tuple[tuple[str, str], ...] | None:
    """Return pairs of columns that lead from a part to its master, through other parts if need be.

    None if no foreign keys do.
    """
    master = master_of(part)
    its = [e for e in edges if e.child == part != e.parent]
    for edge in its:
        if edge.parent == master:
            return edge.columns
    for edge in its:
        if master is not None and master_of(edge.parent) == master:
            further = path_to_master(edge.parent, edges)
            carried = {theirs: mine for mine, theirs in edge.columns}
            if further is not None and all(between in carried for between, _ in further):
                return tuple((carried[between], theirs) for between, theirs in further)
    return None
