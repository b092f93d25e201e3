"""What the operators of the algebra mean: relations in memory, in as few words as possible.

A relation is its attributes, its key and its rows: dicts in which None is an unknown value.
Conditions are functions of a row that return True, False or None. The order of the rows counts
where `order` made it, until an operator mixes rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class RefusedError(Exception):
    """The operator has no meaning for these operands."""


@dataclass(frozen=True)
class Attribute:
    """A name, what kind of values it has, and the attribute of a key that they come from."""

    name: str
    type: str
    lineage: str | None = None


@dataclass(frozen=True)
class Relation:
    """A set of rows; those with equal values in `key` are the same row."""

    attributes: tuple[Attribute, ...]
    key: frozenset[str]
    rows: tuple[dict, ...]
    is_ordered: bool = False

    def __post_init__(self):
        keys = [tuple(row[n] for n in sorted(self.key)) for row in self.rows]
        assert len(set(keys)) == len(keys), f"{sorted(self.key)} is no key of {self.rows}"
        assert all(row.keys() == set(self.names) for row in self.rows)

    @property
    def names(self):
        return tuple(a.name for a in self.attributes)

    @property
    def secondary(self):
        return tuple(n for n in self.names if n not in self.key)

    def __getitem__(self, name):
        return next(a for a in self.attributes if a.name == name)

    def shared(self, other, *, is_checked=True, among=None):
        """Return the names that both have; their values must come from the same attribute."""
        names = [n for n in self.names if n in other.names and (among is None or n in among)]
        if is_checked:
            for name in names:
                if self[name].lineage is None or self[name].lineage != other[name].lineage:
                    message = f"{name}: {self[name].lineage}, {other[name].lineage}"
                    raise RefusedError(message)
        return names

    # --- restriction ------------------------------------------------------------------------

    def restrict(self, truth):
        return replace(self, rows=tuple(r for r in self.rows if truth(r) is True))

    def antirestrict(self, truth):
        return self.restrict(complement(truth))

    def matching(self, other, *, is_checked=True):
        """Return the condition that a row has a match in `other`."""
        names = self.shared(other, is_checked=is_checked)
        return lambda row: any(agree(row, theirs, names) for theirs in other.rows)

    def semijoin(self, other, *, is_checked=True):
        return self.restrict(self.matching(other, is_checked=is_checked))

    def antijoin(self, other):
        return self.antirestrict(self.matching(other))

    # --- projection -------------------------------------------------------------------------

    def project(self, *shown, renamed=None, copied=None, computed=None):
        """Choose attributes as `proj` does.

        `renamed` and `copied` are new name → old one; `computed` is new name → type, function.
        """
        renamed, copied, computed = renamed or {}, copied or {}, computed or {}
        kept = {n: n for n in self.names if n in self.key}
        for item in shown:
            if item is Ellipsis:
                kept.update({n: n for n in self.secondary})
            elif not item.startswith("-"):
                kept[item] = item
        for item in (i[1:] for i in shown if i is not Ellipsis and i.startswith("-")):
            if item in self.key:
                raise RefusedError(item)
            kept.pop(item, None)
        for old in renamed.values():
            kept.pop(old, None)
        new_names = [*kept, *renamed, *copied, *computed]
        if len(set(new_names)) < len(new_names):
            raise RefusedError(new_names)
        sources = {**kept, **renamed, **copied}
        key = {n for n in kept if n in self.key}
        for old in self.key - key:  # its own name, or the first new one, stands for it
            key.add(old if sources.get(old) == old else _first(renamed, old))
        attributes = [replace(self[old], name=new) for new, old in sources.items()]
        attributes += [Attribute(new, kind) for new, (kind, _) in computed.items()]
        rows = [
            {new: row[old] for new, old in sources.items()}
            | {new: value(row) for new, (_, value) in computed.items()}
            for row in self.rows
        ]
        return Relation(tuple(attributes), frozenset(key), tuple(rows), self.is_ordered)

    # --- joins ------------------------------------------------------------------------------

    def join(self, other, *, is_left=False, is_checked=True):
        """Pair rows that agree; the key is that of the side which determines the other."""
        names = self.shared(other, is_checked=is_checked)
        if other.key <= set(self.names):
            key = self.key
        elif is_left:
            message = "more than one match"
            raise RefusedError(message)
        else:
            key = other.key if self.key <= set(other.names) else self.key | other.key
        unknown = dict.fromkeys(other.names)
        rows = []
        for row in self.rows:
            found = [theirs for theirs in other.rows if agree(row, theirs, names)]
            rows += [{**theirs, **row} for theirs in found or ([unknown] if is_left else [])]
        return Relation(self._with(other), key, tuple(rows))

    def _with(self, other):
        return (*self.attributes, *(a for a in other.attributes if a.name not in self.names))

    def promoting(self, names):
        """Return the same rows with `names` in the key: `dj.U(*names) * relation`."""
        self._known(names)
        return replace(self, key=self.key | set(names))

    # --- aggregation ------------------------------------------------------------------------

    def aggregate(self, detail, *shown, computed, keeps_empty=True):
        """Compute from the rows of `detail` that agree in the key, for each row.

        `computed` is new name → type, function of these rows.
        """
        if not self.key <= set(detail.names):
            message = "the detail has no key of the groups"
            raise RefusedError(message)
        names = self.shared(detail, among=self.key)
        kept = self.project(*shown)
        if set(kept.names) & set(computed):
            message = "twice"
            raise RefusedError(message)
        rows = []
        for full, row in zip(self.rows, kept.rows, strict=True):
            its = [theirs for theirs in detail.rows if agree(full, theirs, names)]
            if its or keeps_empty:
                rows.append({**row, **{n: value(its) for n, (_, value) in computed.items()}})
        attributes = [Attribute(n, kind) for n, (kind, _) in computed.items()]
        return Relation((*kept.attributes, *attributes), kept.key, tuple(rows))

    def distinct(self, names):
        """Return the distinct values of `names`: `dj.U(*names) & relation`."""
        self._known(names)
        found = {tuple(row[n] for n in names): None for row in self.rows}
        rows = tuple(dict(zip(names, values, strict=True)) for values in found)
        return Relation(tuple(self[n] for n in names), frozenset(names), rows)

    def totals(self, names, computed):
        """Aggregate over the distinct values of `names`: `dj.U(*names).aggr(relation, …)`.

        Unknown values make a group, and no names one row, whatever there is.
        """
        groups = self.distinct(names) if names else Relation((), frozenset(), ({},))
        rows = []
        for group in groups.rows:
            its = [row for row in self.rows if all(row[n] == v for n, v in group.items())]
            rows.append({**group, **{n: value(its) for n, (_, value) in computed.items()}})
        attributes = [Attribute(n, kind) for n, (kind, _) in computed.items()]
        return Relation((*groups.attributes, *attributes), groups.key, tuple(rows))

    def _known(self, names):
        if unknown := set(names) - set(self.names):
            raise RefusedError(unknown)

    # --- union and top ----------------------------------------------------------------------

    def union(self, other):
        """Return the rows of both; values that a side does not have are unknown."""
        if self.key != other.key or set(self.secondary) & set(other.secondary):
            message = "other keys, or secondary attributes in common"
            raise RefusedError(message)
        self.shared(other, among=self.key)
        names = sorted(self.key)
        found = {}
        for row in (*self.rows, *other.rows):
            known = found.setdefault(tuple(row[n] for n in names), {})
            known.update(row)
        unknown = dict.fromkeys((*self.names, *other.names))
        rows = tuple({**unknown, **row} for row in found.values())
        return Relation(self._with(other), self.key, rows)

    def order(self, terms: Sequence[tuple[str, bool]]):
        """Order by names, each with "is descending"; unknown is below everything."""
        rows = list(self.rows)
        for name, is_descending in reversed(terms):
            rows.sort(key=lambda r: (r[name] is not None, r[name]), reverse=is_descending)
        return replace(self, rows=tuple(rows), is_ordered=True)

    def window(self, limit, offset=0):
        stop = None if limit is None else offset + limit
        return replace(self, rows=self.rows[offset:stop])


def _first(renamed, old):
    return next(new for new, its in renamed.items() if its == old)


def agree(row, other, names):
    """Tell whether two rows have the same known values in `names`."""
    return all(row[n] is not None and row[n] == other[n] for n in names)


# --- conditions: true, false or unknown ---------------------------------------------------------


def complement(truth):
    """Return what `-` and `dj.Not` mean: true where the condition is false or unknown."""
    return lambda row: truth(row) is not True


def negation(truth):
    """Return what NOT means in text: unknown stays unknown."""

    def negated(row):
        value = truth(row)
        return None if value is None else not value

    return negated


def conjunction(truths: Iterable):
    def all_of(row):
        values = [t(row) for t in truths]
        return False if False in values else None if None in values else True

    return all_of


def disjunction(truths: Iterable):
    def any_of(row):
        values = [t(row) for t in truths]
        return True if True in values else None if None in values else False

    return any_of


def known(function, *names):
    """Return a function of the values of `names`, unknown where one of them is."""

    def of(row):
        values = [row[n] for n in names]
        return None if None in values else function(*values)

    return of
