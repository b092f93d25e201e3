"""Lines + context → `TableSpec`: table name and tier, foreign keys resolved, indexes, comments."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from djq.definition.attributes import KEYLESS_TYPES, Attribute, CodecType, CoreType, Special
from djq.definition.grammar import (
    MAX_NAME,
    AttributeLine,
    CommentLine,
    DividerLine,
    IndexLine,
    Line,
    ReferenceLine,
    parse,
)
from djq.definition.heading import Heading
from djq.errors import DefinitionError

if TYPE_CHECKING:
    from djq.definition.acceptance import Value

_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")


class Tier(Enum):
    """What fills a table; the value is the prefix of its name on the server."""

    MANUAL = ""
    LOOKUP = "#"
    IMPORTED = "_"
    COMPUTED = "__"
    JOB = "~~"


AUTO_TIERS = frozenset({Tier.IMPORTED, Tier.COMPUTED})


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table's identity on the server."""

    schema: str
    table: str

    def __str__(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to `parent`: `columns` pairs this table's attribute with the parent's.

    `in_key` tells whether all of its attributes are in this table's primary key. That it is
    unique is an `Index` over the same attributes; that it is nullable is theirs to say.
    """

    parent: TableName
    columns: tuple[tuple[str, str], ...]
    in_key: bool

    @property
    def names(self) -> tuple[str, ...]:
        """This table's attributes."""
        return tuple(mine for mine, _ in self.columns)


@dataclass(frozen=True, slots=True)
class Index:
    """An index over attributes of this table, or `(expressions)` and JSON paths `a.b:type`."""

    terms: tuple[str, ...]
    is_unique: bool = False


@dataclass(frozen=True)
class TableSpec:
    """All that a definition says about one table."""

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

    def __hash__(self) -> int:
        """Return the hash of the name: specs are keys of the statement caches."""
        return hash(self.name)

    @property
    def display_name(self) -> str:
        """The table as people call it: `schema.Class`, parts as `schema.Master.Part`."""
        return f"{self.name.schema}.{self.class_name}"

    @property
    def parents(self) -> tuple[TableName, ...]:
        """The tables that this one refers to, in order, each once."""
        return tuple(dict.fromkeys(f.parent for f in self.foreign_keys))


Resolve = Callable[[str], TableSpec]


@dataclass(frozen=True, slots=True)
class Words:
    """Names that the language's text may use, or must not, by what higher layers know."""

    #: Codecs that exist; None: any.
    codecs: Collection[str] | None = None
    #: Attributes that the key must not have, since tables that follow from this one use the names.
    reserved: Collection[str] = ()


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


@dataclass
class _Draft:
    """What has been read so far."""

    name: TableName
    words: Words
    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])
    foreign_keys: list[ForeignKey] = field(default_factory=list[ForeignKey])
    indexes: list[Index] = field(default_factory=list[Index])
    comment: str = ""
    in_key: bool = True


def build(
    text: str,
    *,
    schema: str,
    class_name: str,
    tier: Tier,
    resolve: Resolve,
    master: TableSpec | None = None,
    hidden: tuple[Attribute, ...] = (),
    words: Words = Words(),
) -> TableSpec:
    """Read a definition; `resolve` turns the name of a reference, as written, into its spec.

    Raises
    ------
    DefinitionError
        The text is not of the language, a reference is unknown, or a rule of the tiers is broken.
    """
    name = table_name(schema, class_name, tier, master.name if master else None)
    draft = _Draft(name, words)
    owner = f"{master.class_name}.{class_name}" if master else class_name
    for line in parse(text, owner):
        _read(draft, line, resolve)
    _check(draft, owner, tier, master)
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


def _read(draft: _Draft, line: Line, resolve: Resolve) -> None:
    match line:
        case CommentLine():
            draft.comment = line.comment
        case DividerLine():
            draft.in_key = False
        case AttributeLine():
            _read_attribute(draft, line)
        case ReferenceLine():
            _read_reference(draft, line, resolve)
        case IndexLine():
            for name in line.names:
                if name not in draft.attributes:
                    known = f"Declare it above the index. Known: {', '.join(draft.attributes)}."
                    line.at.fail(f'unknown attribute "{name}"', name, known)
            draft.indexes.append(Index(line.names, line.unique))


def _read_attribute(draft: _Draft, line: AttributeLine) -> None:
    if line.name in draft.attributes:
        line.at.fail(f'"{line.name}" is declared twice', line.name, "Remove one, or rename it.")
    if draft.in_key and (isinstance(line.type, CodecType) or line.type.name in KEYLESS_TYPES):
        line.at.fail(
            f"{line.type} cannot be part of the primary key",
            str(line.type),
            "Move it below the dashes.",
        )
    if isinstance(line.type, CodecType):
        _check_codec(line, line.type, draft.words.codecs)
    if draft.in_key:
        _check_reserved(draft, line, line.name)
    default, is_nullable = _read_default(line)
    if draft.in_key and is_nullable:
        line.at.fail(
            "an attribute of the primary key cannot be null",
            line.name,
            "Give it a value or move it below the dashes.",
        )
    draft.attributes[line.name] = Attribute(
        name=line.name,
        type=line.type,
        in_key=draft.in_key,
        nullable=is_nullable,
        default=default,
        comment=line.comment,
        lineage=f"{draft.name}.{line.name}" if draft.in_key else None,
    )


def _check_codec(line: AttributeLine, type_: CodecType, known: Collection[str] | None) -> None:
    if known is None or type_.codec in known:
        return
    near = difflib.get_close_matches(type_.codec, known, n=1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    line.at.fail(
        f'unknown codec "{type_.codec}"', str(type_), f"{hint}Known codecs: {', '.join(known)}."
    )


def _check_reserved(draft: _Draft, line: AttributeLine | ReferenceLine, name: str) -> None:
    if name in draft.words.reserved:
        line.at.fail(
            f'"{name}" cannot be in the key: the job records of the table have an attribute of '
            "this name",
            advice=f"Rename it, as in -> Parent.proj(my_{name}='{name}').",
        )


def _read_default(line: AttributeLine) -> tuple[Value, bool]:
    if line.default is None:
        return Special.REQUIRED, False
    text = line.default.strip()
    if text.lower() == "null":
        return None, True
    if isinstance(line.type, CodecType) or line.type.name in KEYLESS_TYPES:
        line.at.fail(
            f"{line.type} can only be null by default",
            text,
            f"Write {line.name} = null : {line.type}.",
        )
    if re.fullmatch(r"current_timestamp(\(\d?\))?", text, re.IGNORECASE):
        if line.type.name != "datetime":
            line.at.fail("CURRENT_TIMESTAMP is a default of datetime", text)
        return Special.NOW, False
    value: Value = text[1:-1] if text[0] in "\"'" else text
    if text[0] == "'":
        value = value.replace("''", "'")
    if line.type.name == "bool" and str(value).lower() in {"true", "false", "0", "1"}:
        value = str(value).lower() in {"true", "1"}
    return _accept_default(line, value, text), False


def _accept_default(line: AttributeLine, value: object, text: str) -> Value:
    type_ = line.type
    if not isinstance(type_, CoreType):
        return value
    try:
        return type_.accept(value)
    except ValueError as error:
        line.at.fail(f"bad default: {error}", text)


def _read_reference(draft: _Draft, line: ReferenceLine, resolve: Resolve) -> None:
    try:
        parent = resolve(line.table)
    except DefinitionError as error:
        problem, *advice = error.args
        line.at.fail(str(problem), line.table, *advice)
    if draft.in_key and "nullable" in line.options:
        line.at.fail(
            "a reference of the primary key cannot be nullable",
            "nullable",
            "Move it below the dashes.",
        )
    renames = {old: new for new, old in line.renames}
    for old in renames:
        if old not in parent.heading.primary_key:
            known = f"Its key: {', '.join(parent.heading.primary_key)}."
            line.at.fail(f'"{old}" is not in the primary key of {line.table}', old, known)
    columns: list[tuple[str, str]] = []
    for old in parent.heading.primary_key:
        new = renames.get(old, old)
        _adopt(draft, line, replace(parent.heading[old], name=new))
        columns.append((new, old))
    in_key = all(draft.attributes[new].in_key for new, _ in columns)
    draft.foreign_keys.append(ForeignKey(parent.name, tuple(columns), in_key))
    if "unique" in line.options:
        draft.indexes.append(Index(tuple(new for new, _ in columns), is_unique=True))


def _adopt(draft: _Draft, line: ReferenceLine, inherited: Attribute) -> None:
    """Add the parent's attribute, or check that the one already here is the same by origin."""
    present = draft.attributes.get(inherited.name)
    if present is not None:
        if present.lineage != inherited.lineage:
            advice = f"Rename it: -> {line.table}.proj(new_name='{inherited.name}')."
            line.at.fail(
                f'"{inherited.name}" is here already, with another meaning', line.table, advice
            )
        return
    if draft.in_key:
        _check_reserved(draft, line, inherited.name)
    draft.attributes[inherited.name] = replace(
        inherited,
        in_key=draft.in_key,
        nullable="nullable" in line.options,
        default=None if "nullable" in line.options else Special.REQUIRED,
    )


def _check(draft: _Draft, owner: str, tier: Tier, master: TableSpec | None) -> None:
    key = [a for a in draft.attributes.values() if a.in_key]
    if not key:
        message = (
            f"{owner} has no primary key; tables of one row (nothing above the dashes) "
            "are not supported yet"
        )
        raise DefinitionError(message)
    if master is not None and not any(
        _is_of(master.name, f.parent) for f in draft.foreign_keys if f.in_key
    ):
        message = f"{owner} is a part and does not refer to its master: add the line -> master"
        raise DefinitionError(message)
    if tier in AUTO_TIERS and master is None:
        referred = {mine for f in draft.foreign_keys if f.in_key for mine, _ in f.columns}
        own = [a.name for a in key if a.name not in referred]
        if own:
            message = (
                f'{owner} is computed, and its key has "{own[0]}", which no reference of the key '
                "brings. Move it into a part, or into a table that this one refers to; "
                "keys finer than the work are not supported yet"
            )
            raise DefinitionError(message)


def _is_of(master: TableName, parent: TableName) -> bool:
    """Tell whether a table is the master, or another of its parts."""
    is_part = parent.schema == master.schema and parent.table.startswith(f"{master.table}__")
    return is_part or parent == master
