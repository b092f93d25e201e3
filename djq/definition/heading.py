"""`Heading`: ordered attributes, primary key, lineage, and how each operator transforms them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from djq.definition.attributes import Attribute
from djq.errors import QueryError
from djq.hints import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True)
class Heading:
    """The attributes of a table or query, in order, those of the primary key first."""

    attributes: tuple[Attribute, ...]

    def __post_init__(self) -> None:
        """Refuse names that databases do not tell apart.

        Raises
        ------
        QueryError
            Two names differ by upper and lower case alone.
        """
        if len({a.name.lower() for a in self.attributes}) == len(self.attributes):
            return
        seen: dict[str, str] = {}
        for attribute in self.attributes:
            other = seen.setdefault(attribute.name.lower(), attribute.name)
            if other is not attribute.name:
                message = (
                    f'the result would have both "{other}" and "{attribute.name}", which databases '
                    f"do not tell apart: rename one of them, as in .proj(new='{attribute.name}')"
                )
                raise QueryError(message)

    def __hash__(self) -> int:
        """Return a hash that is computed once: headings are keys of the statement caches."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.attributes)

    @cached_property
    def by_name(self) -> dict[str, Attribute]:
        """Attributes by their names, in order."""
        return {a.name: a for a in self.attributes}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self.by_name)

    @cached_property
    def primary_key(self) -> tuple[str, ...]:
        """The names that identify a row."""
        return tuple(a.name for a in self.attributes if a.in_key)

    @cached_property
    def secondary(self) -> tuple[str, ...]:
        """The names outside of the primary key."""
        return tuple(a.name for a in self.attributes if not a.in_key)

    @property
    def secondary_attributes(self) -> list[str]:
        """The names outside of the primary key; DataJoint's spelling."""
        return list(self.secondary)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an attribute of this name."""
        return name in self.by_name

    def __getitem__(self, name: str) -> Attribute:
        """Return the attribute `name`; unknown names are a `QueryError` with suggestions."""
        try:
            return self.by_name[name]
        except KeyError:
            message = f'unknown attribute "{name}". {self.suggest(name)}'
            raise QueryError(message) from None

    def __iter__(self) -> Iterator[Attribute]:
        """Iterate over the attributes."""
        return iter(self.attributes)

    def __len__(self) -> int:
        """Return the number of attributes."""
        return len(self.attributes)

    def suggest(self, name: str) -> str:
        """Return the words that help somebody who wrote the unknown `name`."""
        return f"{suggest(name, self.names)}."

    def project(self, sources: Mapping[str, str | None]) -> Heading:
        """Return the heading of `sources`: new name → the attribute it shows, None if computed."""
        shown = [
            replace(self[old], name=new) if old is not None else Attribute(new, None, nullable=True)
            for new, old in sources.items()
        ]
        return Heading(tuple(shown))

    def join(self, other: Heading, *, left: bool = False) -> Heading:
        """Return the heading of a natural join.

        The primary key is that of whichever side determines the other: if A's attributes include
        B's key, A's key identifies a row of the result; otherwise the union does.
        """
        return _joined(self, other, left)

    def namesakes(self, other: Heading) -> tuple[str, ...]:
        """Return the names that both headings have, in this heading's order."""
        return _namesakes(self, other)

    def check_lineage(self, other: Heading, names: Iterable[str], *, what: str) -> None:
        """Refuse to match `names` that mean different things on both sides.

        Raises
        ------
        QueryError
            A name has another origin, or none, on the other side: equal by chance only.
        """
        for name in names:
            mine, theirs = self[name], other[name]
            if mine.lineage is None or mine.lineage != theirs.lineage:
                raise QueryError(_namesake_words(what, mine, theirs))


#: Verbs that match by names alone on demand → how.
_UNCHECKED = {
    "join": "A.join(B, semantic_check=False)",
    "restrict": "A.restrict(B, semantic_check=False)",
}


def _namesake_words(what: str, mine: Attribute, theirs: Attribute) -> str:
    """Say that two attributes only share their name, and what to do."""
    name = mine.name
    unchecked = _UNCHECKED.get(what)
    how = f"; to match by name all the same: {unchecked}" if unchecked else ""
    if mine.lineage is None and theirs.lineage is None:
        return (
            f'cannot {what} on "{name}": both sides have an attribute of this name, on the left '
            f"{_origin(mine)}, on the right {_origin(theirs)}. Only attributes of keys are "
            "matched, which foreign keys brought to both sides. Write B.proj() for the right side, "
            f"which is its key alone, or rename one of them, as in .proj(..., new='{name}'){how}"
        )
    return (
        f'cannot {what} on "{name}": both sides have an attribute of this name, and these are two '
        f"different things. On the left it is {_origin(mine)}, on the right {_origin(theirs)}; "
        "only what foreign keys brought to both sides from one table's key is matched. "
        f"Rename one of them, as in .proj(..., new='{name}'), or leave it out with .proj(){how}"
    )


def _origin(attribute: Attribute) -> str:
    if attribute.lineage is not None:
        return attribute.lineage
    return "a computed value" if attribute.type is None else "a value outside of any key"


# A pipeline joins the same few headings again and again.


@lru_cache(maxsize=4096)
def _joined(one: Heading, other: Heading, left: bool) -> Heading:
    if set(other.primary_key) <= set(one.names):
        key = set(one.primary_key)
    elif set(one.primary_key) <= set(other.names) and not left:
        key = set(other.primary_key)
    else:
        key = {*one.primary_key, *other.primary_key}
    others = [a for a in other if a.name not in one]
    merged = [replace(a, in_key=a.name in key) for a in (*one.attributes, *others)]
    if left:
        merged = [a if a.name in one else replace(a, nullable=True) for a in merged]
    return Heading(tuple(sorted(merged, key=lambda a: not a.in_key)))


@lru_cache(maxsize=4096)
def _namesakes(one: Heading, other: Heading) -> tuple[str, ...]:
    return tuple(n for n in one.names if n in other)
