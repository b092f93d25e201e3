"""Whether a table on the server is what its definition says."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy.dialects import mysql, sqlite

from djq.definition.attributes import CodecType, NativeType
from djq.definition.conversions import is_bytes
from djq.definition.heading import Heading
from djq.errors import DefinitionError
from djq.sql.clauses import full_heading
from djq.sql.reflect import reflect
from djq.sql.words import split_comment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from djq.definition.attributes import Attribute
    from djq.definition.spec import ForeignKey, TableSpec
    from djq.sql.catalog import Column
    from djq.sql.dialects import Dialect
    from djq.sql.engine import Database

#: What servers call the types of `CREATE TABLE` afterwards.
_SAME = {
    "integer": "int",
    "numeric": "decimal",
    "bool": "tinyint",
    "boolean": "tinyint",
    "double precision": "double",
    "real": "double",
    "json": "longtext",
}
#: A width in parentheses is for display only.
_WIDE = re.compile(r"\b(tinyint|smallint|mediumint|int|bigint|year)\(\d+\)")


def differences(database: Database, spec: TableSpec) -> tuple[str, ...]:
    """Return what keeps rows of a definition from going into its table on the server.

    These are attributes and references that are missing on either side, or are others; each is a
    sentence. Comments, defaults and indexes do not count.
    """
    return (*_attributes(database, spec), *_references(database, spec))


def different(spec: TableSpec, found: Iterable[str]) -> DefinitionError:
    """Return the error that says how a table differs from its definition."""
    message = (
        f"{spec.display_name} is in the database with other attributes than in the "
        f"definition: {'; '.join(found)}. Change the definition back, give the class another "
        f"name, or run {spec.class_name}.alter(), which changes what is outside of the key"
    )
    return DefinitionError(message)


def _attributes(database: Database, spec: TableSpec) -> Iterator[str]:
    present = database.catalog.columns(spec.name.schema)[spec.name.table].columns
    there = {a.name: a for a in full_heading(reflect(database, spec.name, with_indexes=False))}
    wanted = full_heading(spec)
    for name in present:
        # Hidden columns are the machinery's: another release may fill more of them.
        if name not in wanted and not name.startswith("_"):
            yield f"{name} is only there"
    for attribute in wanted:
        name = attribute.name
        if name not in present:
            if not _is_optional(attribute, spec):
                yield f"{name} is missing there"
            continue
        column, its = present[name], there[name]
        if not _is_same_type(attribute, its, column, database.dialect):
            yield f"{name} is {its.type} there and {attribute.type} here"
        if column.is_in_key != attribute.in_key:
            yield f"{name} is {'' if column.is_in_key else 'not '}in the key there"
        elif column.is_nullable != attribute.nullable:
            yield f"{name} can {'' if column.is_nullable else 'not '}be null there"


def _is_optional(attribute: Attribute, spec: TableSpec) -> bool:
    """Tell whether rows may do without a column: DataJoint declares fewer hidden ones."""
    return attribute in spec.hidden and attribute.nullable


def as_present(database: Database, spec: TableSpec) -> TableSpec:
    """Return the spec with those hidden columns that the table has; `alter` adds the others."""
    present = database.catalog.peek(spec.name) if spec.hidden else None
    if present is None:
        return spec
    kept = tuple(a for a in spec.hidden if a.name in present.columns)
    return spec if kept == spec.hidden else replace(spec, hidden=kept)


def reflect_as(database: Database, spec: TableSpec, *, are_blobs_apart: bool = False) -> TableSpec:
    """Return the spec of a table as the server has it, read with its definition in mind.

    A column without a mark, made by another program, has the type of the definition if the server
    cannot tell the two apart; unless `are_blobs_apart` and it is `<blob>` or of the `longblob`
    family: such columns differ in what their values may be.
    """
    there = reflect(database, spec.name)
    present = database.catalog.columns(spec.name.schema)[spec.name.table].columns
    wanted = full_heading(spec)

    def read(attribute: Attribute) -> Attribute:
        name = attribute.name
        if name not in wanted or name not in present:
            return attribute
        mine = wanted[name]
        if are_blobs_apart and is_bytes(mine.type) and is_bytes(attribute.type):
            return attribute
        is_same = _is_same_type(mine, attribute, present[name], database.dialect)
        return replace(attribute, type=mine.type) if is_same else attribute

    heading = Heading(tuple(map(read, there.heading)))
    return replace(there, heading=heading, hidden=tuple(map(read, there.hidden)))


def _is_same_type(attribute: Attribute, its: Attribute, column: Column, dialect: Dialect) -> bool:
    """Compare the types; where no mark tells one, compare what the server would call them."""
    is_marked = split_comment(column.comment)[0] is not None
    if dialect.is_sqlite and not is_marked:
        return dialect.column_type(attribute).compile(dialect=sqlite.dialect()) == column.type
    column_of = attribute.type.column if isinstance(attribute.type, CodecType) else None
    if attribute.type == its.type and column_of is None:
        return True
    if is_marked and not isinstance(attribute.type, NativeType) and attribute.type != its.type:
        return False
    wanted = dialect.column_type(attribute).compile(dialect=mysql.dialect())
    return _plain(wanted) == _plain(column.type)


def _plain(words: str) -> str:
    words = _WIDE.sub(r"\1", words.lower().replace(", ", ","))
    name = re.split(r"[ (]", words)[0]
    return _SAME.get(words, words.replace(name, _SAME.get(name, name), 1))


def _references(database: Database, spec: TableSpec) -> Iterator[str]:
    there = reflect(database, spec.name, with_indexes=False).foreign_keys
    here = {_pairs(k): k for k in spec.foreign_keys}
    present = {_pairs(k): k for k in there}
    for pairs, key in here.items():
        if pairs not in present:
            yield f"the reference {_shown(key)} is missing there"
    for pairs, key in present.items():
        if pairs not in here:
            yield f"the reference {_shown(key)} is only there"


def _pairs(key: ForeignKey) -> tuple[object, frozenset[tuple[str, str]]]:
    return key.parent, frozenset(key.columns)


def _shown(key: ForeignKey) -> str:
    return f"({', '.join(key.names)}) -> {key.parent}"
