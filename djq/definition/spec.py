"""Lines + context → `TableSpec`: table name and tier, foreign keys resolved, indexes, comments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from djq.definition.attributes import Attribute, CoreType
from djq.definition.constraints import (
    ForeignKey,
    Index,
    TableName,
    ordered_indexes,
    ordered_keys,
)
from djq.definition.draft import Draft, Resolve, Words
from djq.definition.grammar import MAX_NAME, parse
from djq.definition.heading import Heading
from djq.errors import DefinitionError

__all__ = [
    "AUTO_TIERS",
    "ForeignKey",
    "Index",
    "Resolve",
    "TableName",
    "TableSpec",
    "Tier",
    "Words",
    "build",
    "snake_case",
    "table_name",
]

_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
ANY_WORDS = Words()
#: The key of a table that has one row at most.
SINGLETON = "_singleton"


class Tier(Enum):
    """What fills a table; the value is the prefix of its name on the server."""

    MANUAL = ""
    LOOKUP = "#"
    IMPORTED = "_"
    COMPUTED = "__"
    JOB = "~~"


AUTO_TIERS = frozenset({Tier.IMPORTED, Tier.COMPUTED})


@dataclass(frozen=True)
class TableSpec:
    """All that a definition says about one table.

    References and indexes are kept in one order, whatever the order in which they were written:
    specs of equal tables are equal.
    """

    name: TableName
    class_name: str
    tier: Tier
    heading: Heading
    comment: str = ""
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = ()
    master: TableName | None = None
    #: Columns that djq fills and queries do not show.
    hidden: tuple[Attribute, ...] = ()

    def __post_init__(self) -> None:
        """Put references and indexes into their order."""
        keys = ordered_keys(self.foreign_keys, self.heading)
        object.__setattr__(self, "foreign_keys", keys)
        object.__setattr__(self, "indexes", ordered_indexes(self.indexes, keys, self.heading))

    def __hash__(self) -> int:
        """Return the hash of the name: specs are keys of the statement caches."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.name)

    @property
    def display_name(self) -> str:
        """The table as people call it: `schema.Class`, parts as `schema.Master.Part`."""
        return f"{self.name.schema}.{self.class_name}"

    @property
    def parents(self) -> tuple[TableName, ...]:
        """The other tables that this one refers to, in order, each once."""
        return tuple(dict.fromkeys(f.parent for f in self.foreign_keys if f.parent != self.name))

    @property
    def is_singleton(self) -> bool:
        """Whether the table has one row at most: nothing is above the divider."""
        return any(a.name == SINGLETON and a.in_key for a in self.hidden)


def snake_case(class_name: str) -> str:
    """Return `SpikeSorting` as `spike_sorting`; other forms of class names are refused."""
    if not _CLASS_NAME.match(class_name):
        message = (
            f'bad class name "{class_name}": table classes are CamelCase, letters and digits only'
        )
        raise DefinitionError(message)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def table_name(
    schema: str, class_name: str, tier: Tier, master: TableName | None = None
) -> TableName:
    """Return the name on the server: tier's prefix and snake case; parts behind their master's."""
    base = snake_case(class_name)
    table = f"{master.table}__{base}" if master else f"{tier.value}{base}"
    if len(table) > MAX_NAME:
        message = (
            f'the table name "{table}" has {len(table)} characters, {MAX_NAME} fit: '
            f'shorten "{class_name}"'
        )
        raise DefinitionError(message)
    return TableName(schema, table)


def build(
    text: str,
    *,
    schema: str,
    class_name: str,
    tier: Tier,
    resolve: Resolve,
    master: TableSpec | None = None,
    hidden: tuple[Attribute, ...] = (),
    words: Words = ANY_WORDS,
) -> TableSpec:
    """Read a definition; `resolve` turns the name of a reference, as written, into its spec.

    A name that `resolve` does not know may be the table's own: `-> Subject.proj(father='subject')`
    within the definition of Subject.

    Raises
    ------
    DefinitionError
        The text is not of the language, a reference is unknown, or a rule of the tiers is broken.
    """
    name = table_name(schema, class_name, tier, master.name if master else None)
    owner = f"{master.class_name}.{class_name}" if master else class_name
    own_names = {class_name, owner, *((f"master.{class_name}",) if master else ())}
    draft = Draft(name, owner, own_names, words, resolve)
    for line in parse(text, owner):
        draft.read(line)
    _check(draft, owner, tier, master)
    if not draft.key:
        hidden = (*hidden, _singleton(name))
    ordered = sorted(draft.attributes.values(), key=lambda a: not a.in_key)
    return TableSpec(
        name=name,
        class_name=owner,
        tier=tier,
        heading=Heading(tuple(ordered)),
        comment=draft.comment,
        foreign_keys=tuple(draft.foreign_keys),
        indexes=tuple(draft.indexes),
        master=master.name if master else None,
        hidden=hidden,
    )


def _singleton(table: TableName) -> Attribute:
    """Return the hidden key of a table without one: it is true, so that there is one row."""
    return Attribute(
        name=SINGLETON,
        type=CoreType("bool"),
        in_key=True,
        default=True,
        comment="singleton primary key",
        lineage=f"{table}.{SINGLETON}",
    )


def _check(draft: Draft, owner: str, tier: Tier, master: TableSpec | None) -> None:
    if not draft.attributes:
        message = f"{owner} has no attributes: add lines such as subject : int32"
        raise DefinitionError(message)
    if master is not None and not any(
        _is_of(master.name, f.parent) for f in draft.foreign_keys if f.in_key
    ):
        message = f"{owner} is a part and does not refer to its master: add the line -> master"
        raise DefinitionError(message)
    if tier in AUTO_TIERS and not draft.key:
        message = (
            f"{owner} is computed and has no key, so that there is nothing to compute it for: "
            "refer to another table above the dashes"
        )
        raise DefinitionError(message)


def _is_of(master: TableName, parent: TableName) -> bool:
    """Tell whether a table is the master, or another of its parts."""
    is_part = parent.schema == master.schema and parent.table.startswith(f"{master.table}__")
    return is_part or parent == master
