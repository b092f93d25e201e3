"""`&`, `-`, `*`, `+`, `proj`, `aggr`: check headings and lineage, build nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, Protocol

from djq.algebra.expressions import (
    Expression,
    Name,
    aggregates_in,
    both,
    names_in,
)
from djq.algebra.nodes import Grouping, Join, Node, Projection, Restriction, Top, Union
from djq.definition.heading import Heading
from djq.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from djq.definition.acceptance import Value

#: Names that mean something else, also to SQLite in quotes.
TAKEN = {"KEY": "it stands for the primary key", "true": "it is a value", "false": "it is a value"}
#: The last letter that servers take in a name.
LAST_LETTER = "\uffff"
#: Length of a name that every database takes [characters].
MAX_NAME = 64


class ReadExpression(Protocol):
    """Reads an expression in text against a heading; `what` it is, errors say."""

    def __call__(self, text: str, heading: Heading, what: str = ..., /) -> Expression:
        """Return the expression."""
        ...


def restrict(source: Node, condition: Expression) -> Node:
    """Return the rows of `source` for which `condition` is true."""
    if isinstance(source, Restriction):  # one level, however many restrictions follow each other
        return Restriction(source.source, both(source.condition, condition))
    return Restriction(source, condition)


def join(left: Node, right: Node, *, is_left: bool = False, checks_lineage: bool = True) -> Node:
    """Return the natural join on all shared attributes, whose lineage must agree."""
    names = left.heading.namesakes(right.heading)
    if checks_lineage:
        left.heading.check_lineage(right.heading, names, what="join")
    if is_left and not set(right.heading.primary_key) <= set(left.heading.names):
        message = (
            "a left join must find at most one row on the right: its key "
            f"({', '.join(right.heading.primary_key)}) is not within the left side's attributes"
        )
        raise QueryError(message)
    heading = left.heading.join(right.heading, left=is_left)
    return Join(left, right, names, is_left, heading)


def unite(left: Node, right: Node) -> Node:
    """Return the rows of both sides, which have the same key and no other attribute in common.

    Raises
    ------
    QueryError
        The keys differ, or an attribute outside of the key is on both sides.
    """
    mine, theirs = left.heading, right.heading
    if set(mine.primary_key) != set(theirs.primary_key):
        message = (
            f"cannot unite rows with the key ({', '.join(mine.primary_key)}) and rows with the key "
            f"({', '.join(theirs.primary_key)}): rename attributes with .proj() until they agree"
        )
        raise QueryError(message)
    shared = [n for n in mine.secondary if n in theirs.secondary]
    if shared:
        message = (
            f'cannot unite: both sides have "{shared[0]}" outside of their key. Leave it out with '
            f".proj() or rename it with .proj(..., new='{shared[0]}') on one side"
        )
        raise QueryError(message)
    mine.check_lineage(theirs, mine.primary_key, what="unite")
    others = [replace(a, nullable=True) for a in (*mine, *theirs) if not a.in_key]
    key = [
        replace(mine[n], nullable=mine[n].nullable or theirs[n].nullable) for n in mine.primary_key
    ]
    heading = Heading((*key, *others))
    return Union(left, right, heading)


def distinct(source: Node, names: Sequence[str]) -> Node:
    """Return the different values of some attributes, all of which are the key."""
    columns = tuple((n, Name(n)) for n in names)
    heading = promoted(source.heading.project({n: n for n in names}), names)
    shown = Projection(source, columns, heading)
    if not names:
        return Top(shown, (), 1)
    if set(source.heading.primary_key) <= set(names):
        return shown
    return Grouping(source, tuple(names), (), heading)


def promote(source: Node, names: Sequence[str]) -> Node:
    """Return the same rows, with some more attributes in their key."""
    for name in names:
        source.heading[name]
    heading = promoted(source.heading, {*source.heading.primary_key, *names})
    return Projection(source, tuple((n, Name(n)) for n in heading.names), heading)


def promoted(heading: Heading, key: Collection[str]) -> Heading:
    """Return the heading with the key `key`, which stands in front."""
    marked = [replace(a, in_key=a.name in key) for a in heading]
    return Heading(tuple(sorted(marked, key=lambda a: not a.in_key)))


def project(
    source: Node, shown: Sequence[object], computed: Mapping[str, Value], read: ReadExpression
) -> Node:
    """Return `source` with its key, the attributes `shown`, and renamed or computed ones.

    `shown` may hold names, an ellipsis for all secondary attributes and `-name` to leave one out.
    A value of `computed` is another attribute's name (rename), `(name)` (copy) or an expression.
    """
    heading = source.heading
    columns = shown_columns(heading, shown)
    texts = {new: checked_text(new, value) for new, value in computed.items()}
    for text in texts.values():  # all at once, so that names can be exchanged
        columns.pop(text, None)
    for new in sorted(texts, key=lambda n: texts[n] not in heading):
        if new in columns:
            refuse_collision(new)
        text = texts[new]
        if text in heading:
            columns[new] = Name(text)
            continue
        columns[new] = expression = read_checked(new, text, heading, read)
        if name := next(aggregates_in(expression), None):
            message = f'{new}="{text}": {name} combines rows; use aggr, as in Groups.aggr(Rows, …)'
            raise QueryError(message)
    ordered = sorted(
        columns.items(),
        key=lambda c: not (isinstance(c[1], Name) and heading[c[1].attribute].in_key),
    )
    sources = {new: e.attribute if isinstance(e, Name) else None for new, e in ordered}
    marked = sorted(_mark_copies(heading.project(sources), sources), key=lambda a: not a.in_key)
    return Projection(source, tuple((a.name, columns[a.name]) for a in marked), Heading((*marked,)))


def _mark_copies(shown: Heading, sources: Mapping[str, str | None]) -> Heading:
    """Keep one of several copies of a key attribute in the key: the one that keeps the name."""
    seen: set[str | None] = set()
    marked: list[bool] = []
    for attribute in shown:
        old = sources[attribute.name]
        is_there = old in seen or (old is not None and sources.get(old) == old)
        kept = attribute.in_key and (attribute.name == old or not is_there)
        seen.add(old)
        marked.append(kept)
    return Heading(tuple(replace(a, in_key=k) for a, k in zip(shown, marked, strict=True)))


def shown_columns(heading: Heading, shown: Sequence[object]) -> dict[str, Expression]:
    """Return the columns that names, an ellipsis and `-name` choose, the key first."""
    columns: dict[str, Expression] = {n: Name(n) for n in heading.primary_key}
    removed: list[str] = []
    for item in shown:
        if item is Ellipsis:
            columns.update({n: Name(n) for n in heading.secondary})
        elif isinstance(item, str) and item.startswith("-"):
            removed.append(heading[item[1:].strip()].name)
        elif isinstance(item, str):
            columns[heading[item].name] = Name(item)
        else:
            message = f"cannot project by {item!r}: use names, ..., '-name' or new='expression'"
            raise QueryError(message)
    for name in removed:
        if heading[name].in_key:
            message = f'cannot leave out "{name}": it is in the primary key; rename it instead'
            raise QueryError(message)
        columns.pop(name, None)
    return columns


def checked_text(new: str, value: Value) -> str:
    """Return the right side of `new="text"`; refuse what is no text, or no name on the left."""
    is_name = new.isidentifier() and len(new) <= MAX_NAME and max(new) <= LAST_LETTER
    if not is_name or new in TAKEN or new.lower() in TAKEN:
        why = TAKEN.get(new) or TAKEN.get(new.lower(), "that is no name")
        message = (
            f"cannot call an attribute {new[:MAX_NAME]!r}: {why}. A name has letters, digits and _,"
            f" does not begin with a digit, and is at most {MAX_NAME} long"
        )
        raise QueryError(message)
    if not isinstance(value, str):
        message = f"{new}={value!r}: the right side is an attribute or an expression, as text"
        raise QueryError(message)
    return value.strip()


def refuse_collision(new: str) -> NoReturn:
    """Refuse a second attribute of a name."""
    message = f'the result would have "{new}" twice: choose another name, or rename the other one'
    raise QueryError(message)


def read_checked(new: str, text: str, heading: Heading, read: ReadExpression) -> Expression:
    """Read the expression of an attribute; each name in it is an attribute of `heading`."""
    expression = read(text, heading, f'the expression of "{new}"')
    for name in names_in(expression):
        heading[name]
    return expression
