"""Mapping, text, sequence, `Not` or query → one condition over known attributes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from djq.algebra.equality import equalities, equals_any
from djq.algebra.expressions import (
    FALSE,
    TRUE,
    Expression,
    Matches,
    aggregates_in,
    both,
    either,
    names_in,
    negate,
)
from djq.algebra.forms import AndList, Not, Top, Universal, records
from djq.algebra.jsonpath import check_json, read_name
from djq.algebra.jsonpath import equals as json_equals
from djq.errors import QueryError

if TYPE_CHECKING:
    from djq.algebra.jsonpath import JsonName
    from djq.algebra.nodes import Node
    from djq.algebra.operators import ReadExpression
    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading


#: What may follow an attribute's name in the name of a value within JSON.
_ROOT = re.compile(r"[.\[:]")


@runtime_checkable
class HasNode(Protocol):
    """A query: what tables and expressions have in common."""

    @property
    def node(self) -> Node:
        """The query's tree."""
        ...


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Turns what users write behind `&` and `-` into an expression; `read_text` reads SQL text."""

    read_text: ReadExpression
    #: Whether attributes shared with a query must be of one origin.
    checks_lineage: bool = True

    def read(self, condition: Value, heading: Heading) -> Expression:
        """Return the condition as an expression over `heading`.

        Raises
        ------
        QueryError
            A name is unknown, a value does not fit its attribute, or nothing of the kind is known.
        """
        if isinstance(condition, type) and hasattr(condition, "node"):
            condition = condition()
        match condition:
            case str():
                return self._read_text(condition, heading)
            case dict() | Mapping():  # asking what is a mapping takes long
                return read_mapping(cast("Mapping[str, Value]", condition), heading)
            case None | bool():
                return TRUE if condition else FALSE
            case HasNode():  # behind what is met most often: looking for a protocol takes long
                return read_query(condition.node, heading, checks_lineage=self.checks_lineage)
            case AndList() | Not() | Universal() | Top():
                return self._read_form(condition, heading)
            case _:
                return self._read_rows(condition, heading)

    def _read_form(self, form: AndList | Not | Universal | Top, heading: Heading) -> Expression:
        match form:
            case AndList():
                return both(*(self.read(c, heading) for c in form))
            case Not(condition=Universal()):
                message = "dj.U is without end: nothing is left when it is subtracted"
            case Not():
                return negate(self.read(form.condition, heading))
            case Universal():
                return TRUE  # whatever values a row has are among all values
            case Top():
                message = (
                    f"{form} says how many rows, not which: restrict by it alone, as in "
                    "Table & dj.Top(...), or within dj.AndList"
                )
        raise QueryError(message)

    def _read_text(self, text: str, heading: Heading) -> Expression:
        expression = self.read_text(text, heading)
        for name in names_in(expression):
            heading[name]
        if aggregate := next(aggregates_in(expression), None):
            message = (
                f"cannot use the condition {text!r}: {aggregate} combines rows; restrict the "
                f"result of aggr instead, as in A.aggr(B, x='{aggregate}(…)') & 'x > 1'"
            )
            raise QueryError(message)
        return expression

    def _read_rows(self, condition: Value, heading: Heading) -> Expression:
        rows = records(condition)
        if _is_truth(condition):
            return TRUE if condition else FALSE
        if rows is not None:
            return self._read_any(rows, heading)
        if isinstance(condition, Iterable):
            return self._read_any([*condition], heading)
        message = (
            f"cannot restrict by {condition!r}: use a mapping, a condition in text, a query, "
            "a list or data frame of these (any of them), dj.AndList (all of them) or dj.Not"
        )
        raise QueryError(message)

    def _read_any(self, conditions: list[Value], heading: Heading) -> Expression:
        """Read a list; keys of the same attributes become one `IN`, which databases look up."""
        keys = [cast("Mapping[str, Value]", c) for c in conditions if isinstance(c, Mapping)]
        if len(keys) == len(conditions) and keys:
            names = [n for n in keys[0] if n in heading]
            has_paths = any(_path(n, heading) for k in keys for n in k if n not in heading)
            if (
                names
                and not has_paths
                and all(len(k) == len(keys[0]) and set(names) <= set(k) for k in keys)
            ):
                return equals_any(names, keys, heading)
        each = (self.read(c, heading) for c in conditions)
        return either(*each)


def _is_truth(condition: Value) -> bool:
    """Tell whether a condition is a bool of numpy."""
    is_bool = getattr(getattr(condition, "dtype", None), "kind", "") == "b"
    return is_bool and getattr(condition, "shape", None) == ()


def read_mapping(mapping: Mapping[str, Value], heading: Heading) -> Expression:
    """Return the conjunction of equalities; names that are not attributes do not count."""
    found: list[Expression] = []
    known = equalities(heading)
    for name, value in mapping.items():
        if name in known:
            found.append(known[name](value))
        elif (path := _path(name, heading)) is not None:
            found.append(json_equals(path, value))
    return found[0] if len(found) == 1 else both(*found)


def _path(name: str, heading: Heading) -> JsonName | None:
    """Return a name as that of a value within a JSON attribute; None where it is none."""
    path = read_name(name)
    if path is None:
        root = _ROOT.split(name, maxsplit=1)[0]
        if root != name and root in heading:
            message = f'"{name}" is neither an attribute nor a path into one, as in "{root}.key[0]"'
            raise QueryError(message)
        return None
    if path.attribute not in heading:
        return None
    check_json(heading[path.attribute], name)
    return path


def read_query(other: Node, heading: Heading, *, checks_lineage: bool) -> Expression:
    """Return the semijoin with `other` on all shared attributes, whose lineage must agree."""
    names = heading.namesakes(other.heading)
    if checks_lineage:
        heading.check_lineage(other.heading, names, what="restrict")
    return Matches(other, names)


def materialized(condition: Value) -> Value:
    """Return a condition that can be read twice: a generator's or a frame's rows as a list."""
    if isinstance(condition, Iterator):
        return [*condition]
    rows = None if isinstance(condition, str | type) else records(condition)
    return condition if rows is None else rows


def unheeded(condition: Value, heading: Heading) -> tuple[str, ...]:
    """Return the names of what restricts nothing: mappings and queries that share no attribute.

    Reading such a query is harmless; deleting its rows is not.
    """
    if isinstance(condition, dict) and not heading.by_name.keys().isdisjoint(
        cast("dict[str, Value]", condition)
    ):
        return ()  # met most often
    if isinstance(condition, type) and hasattr(condition, "node"):
        condition = condition()
    names: Iterable[str] = ()
    match condition:
        case str():  # its names were checked
            return ()
        case Not():
            return unheeded(condition.condition, heading)
        case Mapping():
            names = [str(n) for n in cast("Mapping[str, Value]", condition)]
        case HasNode():
            # A typing error inside of a query widens it, too.
            inner: tuple[str, ...] = getattr(condition, "unheeded", ())
            if inner:
                return inner
            names = condition.node.heading.names
        case list() | tuple() | set() | frozenset():
            each = cast("Iterable[Value]", condition)
            return tuple(dict.fromkeys(n for c in each for n in unheeded(c, heading)))
        case _:
            rows = records(condition)
            names = rows[0] if rows else ()
    # A name may go on with a path into a JSON value.
    roots = [n.partition(".")[0].partition("[")[0] for n in names]
    return () if any(n in heading for n in roots) else tuple(names)
