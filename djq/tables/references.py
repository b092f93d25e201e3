"""Every reference to an object that any row of a database holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from djq.algebra.equality import equals
from djq.algebra.expressions import Call, Name, both
from djq.algebra.nodes import Relation, Restriction
from djq.codecs.codec import Codec, fields_of
from djq.codecs.registry import resolve
from djq.definition.attributes import Attribute, CodecType, CoreType, NativeType
from djq.definition.heading import Heading
from djq.definition.spec import TableName
from djq.errors import CodecError, StorageError, UsageError
from djq.objects import manifest
from djq.objects.managed import ObjectCodec
from djq.sql.privileges import can_read_all
from djq.sql.reflect import reflect
from djq.sql.words import split_comment
from djq.storage.content import ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from djq.definition.acceptance import Value
    from djq.sql.catalog import TableColumns
    from djq.sql.engine import Database
    from djq.sql.snapshot import Snapshot
    from djq.tables.connection import Connection

#: JSON is read as its text: what is no JSON is an error that names its row.
_TEXT: Final = NativeType("longtext")


@dataclass(frozen=True, slots=True)
class Pointer:
    """An object, or a folder of objects, that a row refers to, and what the row says of it."""

    store: str
    path: str
    #: [bytes]
    size: int | None = None
    #: Of a folder: its manifest's.
    hash: str | None = None
    is_folder: bool = False
    #: How many files the manifest of a folder lists; None: it has none.
    n_files: int | None = None
    #: It belongs to the folder that the same value refers to.
    is_manifest: bool = False
    #: The value is no reference at all: this is its attribute's store, and how it begins.
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """An attribute whose values are references."""

    table: TableName
    attribute: str
    codec: Codec
    #: The store's name in the definition, empty for the default one.
    store: str

    def __str__(self) -> str:
        """Return the attribute's full name."""
        return f"{self.table}.{self.attribute}"


@dataclass(frozen=True, slots=True)
class Found:
    """One reference, and the row that holds it."""

    place: Place
    key: Mapping[str, Value]
    pointer: Pointer


def check_schemas(database: Database, named: Collection[str] = ()) -> list[str]:
    """Return all schemas of a database, and those that were named.

    Raises
    ------
    UsageError
        The user may not see every schema, and named none: rows of a hidden one may refer to
        objects, too. Or a named one is not there.
    """
    visible = database.catalog.schemas()
    if missing := sorted(set(named) - set(visible)):
        message = (
            f'there is no schema "{missing[0]}" in {database.address}, or it is hidden from this '
            f"user. Visible: {', '.join(visible) or 'none'}"
        )
        raise UsageError(message)
    if not named and not can_read_all(database):
        message = (
            f"{database.user} may not read every schema of {database.address}, and rows of a "
            "hidden one may refer to objects, too. Connect as a user with GRANT SELECT ON *.*, or "
            "name all schemas that use stores (djq gc --schema lab --schema lab_2)"
        )
        raise UsageError(message)
    return visible


def places(database: Database, schemas: Collection[str]) -> list[Place]:
    """Return the attributes of the schemas' tables whose values are references.

    Every table counts: hidden ones, parts, jobs, those that no class of this process stands for.

    Raises
    ------
    UsageError
        The type of an attribute is unknown here, so that nobody can tell what it refers to.
    """
    database.catalog.forget()
    found: list[Place] = []
    for schema, tables in database.catalog.columns_of(schemas).items():
        for table, its in tables.items():
            found += _places(TableName(schema, table), its)
    return sorted(found, key=lambda place: (place.table, place.attribute))


def _places(table: TableName, its: TableColumns) -> Iterator[Place]:
    for attribute, column in its.columns.items():
        if not column.comment.startswith(":<"):
            continue
        marked, _ = split_comment(column.comment)
        if not isinstance(marked, CodecType):
            message = (
                f"{table}.{attribute}: the type in its comment is unknown: {column.comment[:100]}; "
                "update djq"
            )
            raise UsageError(message)
        try:
            chain = resolve(marked.codec, marked.store)
        except CodecError as error:
            message = (
                f"{table}.{attribute}: what its values refer to is not known here: {error} "
                "(djq gc --import MODULE)"
            )
            raise UsageError(message) from error
        # djq's own codecs put objects only into the attribute's store; a user's may choose one.
        own = chain.links[: chain.n_own]
        if chain.store is not None or any(link.writes_objects for link in own):
            yield Place(table, attribute, chain.links[-1], chain.store or "")


def read(
    snapshot: Snapshot,
    place: Place,
    connection: Connection,
    of: Mapping[str, Value] | None = None,
    *,
    is_strict: bool = True,
) -> Iterator[Found]:
    """Yield the references of one attribute, in flat memory.

    Parameters
    ----------
    of
        The key of a single row; None: all rows.
    is_strict
        Refuse a value that is no reference; otherwise it is yielded as a broken one.

    Raises
    ------
    StorageError
        A value is none; the message names its row.
    """
    spec = reflect(connection.database, place.table, with_indexes=False)
    mine = {a.name: a for a in (*spec.heading, *spec.hidden)}[place.attribute]
    is_json = not isinstance(mine.type, CodecType) or mine.type.kept == CoreType("json")
    type_ = _TEXT if is_json else cast("CodecType", mine.type).kept
    key = [a for a in spec.heading if a.in_key]
    heading = Heading((*key, Attribute(place.attribute, type_, nullable=True)))
    is_there = Call("not", (Call("is null", (Name(place.attribute),)),))
    wanted = both(is_there, *(equals(heading[n], value) for n, value in (of or {}).items()))
    for *values, stored in snapshot.stream(Restriction(Relation(place.table, heading), wanted)):
        row = dict(zip((a.name for a in key), values, strict=True))
        pointers = [*_pointers(place, stored, connection.settings.default_store)]
        if is_strict and any(pointer.is_broken for pointer in pointers):
            raise _no_reference(place, row, stored)
        yield from (Found(place, row, pointer) for pointer in pointers)


def _no_reference(place: Place, row: Mapping[str, Value], stored: object) -> StorageError:
    where = ", ".join(f"{name}={value}" for name, value in row.items())
    message = (
        f"{place} of the row {where}: {str(stored)[:100]!r} is not a reference to an object. "
        "Mend the row, or let the codec say what it refers to (Codec.referenced_paths)"
    )
    return StorageError(message)


def _pointers(place: Place, stored: object, default: str) -> Iterator[Pointer]:
    named = [(path.strip("/"), store) for path, store in place.codec.referenced_paths(stored)]
    if not named and _always_refers(place.codec):
        yield Pointer(place.store or default, str(stored)[:100], is_broken=True)
    fields = fields_of(stored)
    described = str(fields.get("path")).strip("/")
    is_folder = bool(fields.get("is_dir"))
    for path, store in named:
        if len(named) == 1 or path == described:
            yield _described(store or default, path, fields)
        else:
            is_manifest = is_folder and path == described + manifest.SUFFIX
            yield Pointer(store or default, path, is_manifest=is_manifest)


def _always_refers(codec: Codec) -> bool:
    """Tell whether each value must be a reference; a codec of the user's may say that it is not."""
    its = type(codec).referenced_paths
    return its in {Codec.referenced_paths, ObjectCodec.referenced_paths}


def _described(store: str, path: str, fields: Mapping[str, object]) -> Pointer:
    """Return where the object is, and what the row says of it as far as it says it."""
    size, hash_, sha256, n_files = map(fields.get, ("size", "hash", "sha256", "item_count"))
    is_folder = bool(fields.get("is_dir"))
    if is_folder or isinstance(sha256, str):
        hash_ = f"{ALGORITHM}:{sha256}" if isinstance(sha256, str) else None
    return Pointer(
        store,
        path,
        size if type(size) is int else None,
        hash_ if isinstance(hash_, str) else None,
        is_folder,
        n_files if type(n_files) is int else None,
    )
