"""A definition while it is read: line by line, each checked against those above it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from djq.definition.attributes import Attribute, CodecType, NativeType, Special, can_be_key
from djq.definition.constraints import ForeignKey, Index, TableName
from djq.definition.defaults import read_default
from djq.definition.grammar import (
    AttributeLine,
    CommentLine,
    DividerLine,
    IndexLine,
    Line,
    ReferenceLine,
)
from djq.definition.indexterms import check_terms
from djq.definition.native import NATIVE_TYPES
from djq.errors import CodecError, DefinitionError
from djq.hints import did_you_mean

if TYPE_CHECKING:
    from djq.definition.spec import TableSpec

logger = logging.getLogger("djq")
#: Attributes of native types that were mentioned in the log: each once.
_MENTIONED: set[tuple[str, str, str]] = set()

Resolve = Callable[[str], "TableSpec"]


@dataclass(frozen=True, slots=True)
class Words:
    """Names that the language's text may use, or must not, by what higher layers know."""

    #: Codecs that exist; None: any.
    codecs: Collection[str] | None = None
    #: Returns a codec's type with that of its column; a CodecError says what is wrong with it.
    complete: Callable[[CodecType], CodecType] = lambda type_: type_
    #: Attributes that the key must not have, since tables that follow from this one use the names.
    reserved: Collection[str] = ()


@dataclass
class Draft:
    """What has been read so far."""

    name: TableName
    owner: str
    #: Names by which the definition refers to its own table.
    own_names: Collection[str]
    words: Words
    resolve: Resolve
    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])
    foreign_keys: list[ForeignKey] = field(default_factory=list[ForeignKey])
    indexes: list[Index] = field(default_factory=list[Index])
    comment: str = ""
    in_key: bool = True

    @property
    def key(self) -> list[Attribute]:
        """The attributes of the primary key so far."""
        return [a for a in self.attributes.values() if a.in_key]

    def read(self, line: Line) -> None:
        """Take one line in.

        Raises
        ------
        DefinitionError
            The line does not fit those above it.
        """
        match line:
            case CommentLine():
                self.comment = line.comment
            case DividerLine():
                self.in_key = False
            case AttributeLine():
                self._attribute(line)
            case ReferenceLine():
                self._reference(line)
            case IndexLine():
                check_terms(line.at, line.terms, self.attributes)
                self.indexes.append(Index(line.terms, line.unique))

    # --- attributes ----------------------------------------------------------------------------

    def _attribute(self, line: AttributeLine) -> None:
        if line.name in self.attributes:
            line.at.fail(f'"{line.name}" is declared twice', line.name, "Remove one, or rename it.")
        if self.in_key and not can_be_key(line.type):
            line.at.fail(
                f"{line.type} cannot be part of the primary key",
                str(line.type),
                "Move it below the dashes.",
            )
        type_ = line.type
        if isinstance(type_, CodecType):
            type_ = _complete(line, type_, self.words)
        if self.in_key:
            self._check_reserved(line, line.name)
        self._check_auto(line)
        default, is_nullable = read_default(line)
        if self.in_key and is_nullable:
            line.at.fail(
                "an attribute of the primary key cannot be null",
                line.name,
                "Give it a value or move it below the dashes.",
            )
        self._mention(line)
        self.attributes[line.name] = Attribute(
            name=line.name,
            type=type_,
            in_key=self.in_key,
            nullable=is_nullable,
            default=default,
            comment=line.comment,
            lineage=f"{self.name}.{line.name}" if self.in_key else None,
            is_auto=line.is_auto,
        )

    def _check_auto(self, line: AttributeLine) -> None:
        """Refuse a key of several attributes of which one counts up: databases do not agree."""
        if line.is_auto and not self.in_key:
            line.at.fail(
                "only the primary key counts up",
                "auto_increment",
                "Move the attribute above the dashes, or leave auto_increment out.",
            )
        counting = next((a.name for a in self.key if a.is_auto), None)
        if (line.is_auto and self.key) or (counting is not None and self.in_key):
            other = counting if counting is not None else self.key[0].name
            line.at.fail(
                "an attribute that counts up is the whole primary key",
                "auto_increment" if line.is_auto else line.name,
                f'"{other}" is in it, too: move one below the dashes, or leave auto_increment out.',
            )

    def _mention(self, line: AttributeLine) -> None:
        """Log a native type once: pipelines have many, and they work."""
        if not isinstance(line.type, NativeType):
            return
        place = (self.name.schema, self.owner, line.name)
        if place in _MENTIONED:
            return
        _MENTIONED.add(place)
        logger.warning(
            'native type "%s" of "%s" in %s: %s is the same on every database',
            line.type,
            line.name,
            self.owner,
            NATIVE_TYPES[line.type.name].core,
        )

    def _check_reserved(self, line: AttributeLine | ReferenceLine, name: str) -> None:
        if name in self.words.reserved:
            line.at.fail(
                f'"{name}" cannot be in the key: the job records of the table have an attribute '
                "of this name",
                advice=f"Rename it, as in -> Parent.proj(my_{name}='{name}').",
            )

    # --- references ----------------------------------------------------------------------------

    def _reference(self, line: ReferenceLine) -> None:
        if self.in_key and "nullable" in line.options:
            line.at.fail(
                "a reference of the primary key cannot be nullable",
                "nullable",
                "Move it below the dashes.",
            )
        parent, key = self._parent(line)
        renames = {old: new for new, old in line.renames}
        names = [a.name for a in key]
        for old in renames:
            if old not in names:
                known = f"Its key: {', '.join(names)}."
                line.at.fail(f'"{old}" is not in the primary key of {line.table}', old, known)
        columns = tuple((renames.get(old, old), old) for old in names)
        self._check_columns(line, parent, columns)
        for attribute, (new, _) in zip(key, columns, strict=True):
            self._adopt(line, replace(attribute, name=new, is_auto=False))
        in_key = all(self.attributes[new].in_key for new, _ in columns)
        self.foreign_keys.append(ForeignKey(parent, columns, in_key))
        if "unique" in line.options:
            self.indexes.append(Index(tuple(new for new, _ in columns), is_unique=True))

    def _parent(self, line: ReferenceLine) -> tuple[TableName, list[Attribute]]:
        """Return the table that a reference is to, and its key."""
        try:
            parent = self.resolve(line.table)
        except DefinitionError as error:
            if line.table not in self.own_names:
                problem, *advice = error.args
                line.at.fail(str(problem), line.table, *advice)
            return self.name, self._own_key(line)
        if parent.name == self.name:  # an earlier declaration of this class
            return self.name, self._own_key(line)
        if not parent.heading.primary_key:
            line.at.fail(
                f"{line.table} has one row and no key: there is nothing to refer to",
                line.table,
                f"Leave the reference out, or give {line.table} a key.",
            )
        return parent.name, [parent.heading[n] for n in parent.heading.primary_key]

    def _own_key(self, line: ReferenceLine) -> list[Attribute]:
        if self.in_key:
            line.at.fail(
                "a table cannot refer to itself within its own key",
                line.table,
                "Move the reference below the dashes.",
            )
        if not self.key:
            line.at.fail(
                f"{line.table} has one row and no key: there is nothing to refer to",
                line.table,
                "Leave the reference out, or give the table a key.",
            )
        return self.key

    def _check_columns(
        self, line: ReferenceLine, parent: TableName, columns: tuple[tuple[str, str], ...]
    ) -> None:
        mine = [new for new, _ in columns]
        for name in mine:
            if mine.count(name) > 1:
                line.at.fail(
                    f'two attributes of the reference would be called "{name}"',
                    name,
                    "Give each a name of its own.",
                )
        if parent == self.name and all(new == old for new, old in columns):
            line.at.fail(
                "every row would refer to itself",
                line.table,
                f"Rename what is referred to: -> {line.table}.proj(parent_{mine[0]}='{mine[0]}').",
            )

    def _adopt(self, line: ReferenceLine, inherited: Attribute) -> None:
        """Add the parent's attribute, or check that the one already here is the same by origin."""
        present = self.attributes.get(inherited.name)
        if present is not None:
            if present.lineage != inherited.lineage:
                advice = f"Rename it: -> {line.table}.proj(new_name='{inherited.name}')."
                line.at.fail(
                    f'"{inherited.name}" is here already, with another meaning', line.table, advice
                )
            return
        counting = next((a.name for a in self.key if a.is_auto), None)
        if self.in_key:
            self._check_reserved(line, inherited.name)
            if counting is not None:
                line.at.fail(
                    "an attribute that counts up is the whole primary key",
                    line.table,
                    f'"{counting}" counts up: move the reference below the dashes.',
                )
        self.attributes[inherited.name] = replace(
            inherited,
            in_key=self.in_key,
            nullable="nullable" in line.options,
            default=None if "nullable" in line.options else Special.REQUIRED,
        )


def _complete(line: AttributeLine, type_: CodecType, words: Words) -> CodecType:
    """Return a codec's type with that of its column."""
    known = words.codecs
    if known is not None and type_.codec not in known:
        hint = did_you_mean(type_.codec, known)
        line.at.fail(
            f'unknown codec "{type_.codec}"', str(type_), f"{hint}Known codecs: {', '.join(known)}."
        )
    try:
        return words.complete(type_)
    except CodecError as error:
        problem, _, advice = str(error).partition(": ")
        line.at.fail(problem, str(type_), f"{advice[:1].upper()}{advice[1:]}." if advice else "")
