"""`dj.fsck`: whether every reference has its object, and every object its content."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from djq.errors import ConfigError, ObjectMissingError, UsageError
from djq.storage.collecting import in_parallel
from djq.storage.content import FOLDER, digest_in
from djq.tables.connection import conn
from djq.tables.effort import Effort
from djq.tables.judging import Fault, Verdict, judge, no_reference
from djq.tables.references import Found, places, read
from djq.tables.stores import check_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from djq.definition.acceptance import Value
    from djq.storage.base import Stat
    from djq.storage.content import ContentStore
    from djq.tables.connection import Connection
    from djq.tables.schema import Schema

#: Damages that a result holds; `each` is told all of them.
MAX_SHOWN: Final = 1_000


@dataclass(frozen=True, slots=True)
class Damage:
    """An object that is not what a row, or its own name, says of it."""

    #: `missing`, `size` (another one than the row says), `content` (another one than the hash), or
    #: `reference` (what the row holds leads to no object: another value, store or path).
    kind: str
    store: str
    path: str
    #: The row that refers to it; None: an object that was found under a wrong name.
    table: str | None = None
    key: Mapping[str, Value] | None = None
    attribute: str | None = None

    def __str__(self) -> str:
        """Return it in a line."""
        if self.table is None:
            return f"{self.kind}: {self.path} in {self.store}"
        key = " ".join(f"{name}={value}" for name, value in (self.key or {}).items())
        return f"{self.kind}: {self.table} {key} {self.attribute}: {self.path} in {self.store}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What `fsck` looked at, and what is not as it should be."""

    n_references: int
    #: Objects that were read; 0 unless asked for.
    n_verified: int
    n_damages: int
    #: The first thousand of them.
    damages: tuple[Damage, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it in words."""
        read_ = f", {self.n_verified:,} objects read" if self.n_verified else ""
        return f"{self.n_references:,} references{read_}: {self.n_damages:,} damages"


class _Check:
    """One check of some schemas, or of one store."""

    def __init__(
        self, connection: Connection, store: str | None, effort: Effort, *, verify: bool
    ) -> None:
        self.connection = connection
        self.effort = effort
        self.only = store
        self.verify = verify
        self.n_references = 0
        self.n_verified = 0
        self.stores: dict[str, ContentStore] = {}
        #: Stores and paths of objects that were found under a wrong name: few, or all is lost.
        self.wrong: set[tuple[str, str]] = set()

    def references(self, schemas: list[str]) -> Iterator[Damage]:
        """Look at the object of every reference, some rows ahead."""
        for found, verdict in in_parallel(self._judge, self._read(schemas)):
            self.n_references += 1
            self.n_verified += verdict.n_read
            self.effort.add(references=1, objects=verdict.n_read)
            if verdict.faults and self._is_still_there(found):
                store, place = found.pointer.store, found.place
                for fault in verdict.faults:
                    where = str(place.table), dict(found.key), place.attribute
                    yield Damage(fault.kind, store, fault.path, *where)

    def objects(self, name: str) -> Iterator[Damage]:
        """Read every object of a store that has a content address."""
        content = self.connection.store(name)

        def judge(found: Stat) -> tuple[str, bool]:
            return found.path, self._has_its_name(content, found.path)

        listed = (each for each in content.store.list(FOLDER) if digest_in(each.path))
        for path, is_right in in_parallel(judge, listed):
            self.n_verified += 1
            self.effort.add(objects=1)
            if not is_right:
                self.wrong.add((name, path))
                yield Damage("content", name, path)

    def store_names(self, schemas: list[str]) -> list[str]:
        """Return the stores that definitions name, or the one that was asked for."""
        if self.only is not None:
            return [self.only]
        default = self.connection.settings.default_store
        return sorted({p.store or default for p in places(self.connection.database, schemas)})

    def _read(self, schemas: list[str]) -> Iterator[Found]:
        with self.connection.database.snapshot() as snapshot:
            for place in places(self.connection.database, schemas):
                for found in read(snapshot, place, self.connection, is_strict=False):
                    # A manifest is looked at with its folder.
                    is_asked = self.only in {None, found.pointer.store}
                    if is_asked and not found.pointer.is_manifest:
                        self._open(found.pointer.store)
                        yield found

    def _open(self, store: str) -> None:
        """Open a store, before several threads use it, if there can be one of this name."""
        if store not in self.stores:
            try:
                self.connection.settings.store(store)
            except ConfigError:
                return
            self.stores[store] = self.connection.store(store)

    def _judge(self, found: Found) -> tuple[Found, Verdict]:
        """Return what is wrong with the object of a reference."""
        pointer = found.pointer
        if pointer.is_broken or pointer.store not in self.stores:
            return found, no_reference(pointer)
        verdict = judge(self.stores[pointer.store], pointer, verify=self.verify)
        if not verdict.faults and (pointer.store, pointer.path) in self.wrong:
            verdict = Verdict((Fault("content", pointer.path),))
        return found, verdict

    def _has_its_name(self, content: ContentStore, path: str) -> bool:
        sha256 = hashlib.sha256()
        try:
            for chunk in content.store.iterate(path):
                sha256.update(chunk)
        except ObjectMissingError:
            return True  # collected since it was listed
        return sha256.hexdigest() == digest_in(path)

    def _is_still_there(self, found: Found) -> bool:
        """Tell whether the row refers to it still: it may have been deleted, with its object."""
        with self.connection.database.snapshot() as snapshot:
            return any(
                again.pointer == found.pointer
                for again in read(
                    snapshot, found.place, self.connection, found.key, is_strict=False
                )
            )


def fsck(
    *schemas: Schema | str,
    store: str | None = None,
    verify: bool = False,
    connection: Connection | None = None,
    each: Callable[[Damage], object] | None = None,
    progress: Callable[[Effort], object] | None = None,
) -> Checked:
    """Check that every reference of every row has its object, of the size that the row says.

    Of a folder, all files that its manifest lists.

    Parameters
    ----------
    schemas
        Schemas, or their names; none: all that the user may see.
    store
        Only references to this store; None: to all.
    verify
        Also read every object of which the hash is known: by its name, its row, or the manifest of
        its folder.
    connection
        The database; None: the schemas', or the default one.
    each
        Called with each `Damage`: a result holds the first thousand.
    progress
        Called with what was done so far, again and again: `str()` of it says it in words.

    Raises
    ------
    UsageError
        A schema or the store is not there, or a type is unknown here.
    DatabaseError, StorageError
        Rows or objects could not be read.
    """
    bound = [s.connection for s in schemas if not isinstance(s, str)]
    where = connection or (bound[0] if bound else conn())
    visible = where.database.catalog.schemas()
    names = [s if isinstance(s, str) else s.name for s in schemas] or visible
    if missing := sorted(set(names) - set(visible)):
        message = f'there is no schema "{missing[0]}". Known: {", ".join(visible) or "none"}'
        raise UsageError(message)
    if store is not None:
        check_store(where.settings, store)
    check = _Check(where, store, Effort(progress), verify=verify)
    shown: list[Damage] = []
    n_damages = 0
    for damage in _damages(check, names, verify=verify):
        n_damages += 1
        if n_damages <= MAX_SHOWN:
            shown.append(damage)
        if each is not None:
            each(damage)
    return Checked(check.n_references, check.n_verified, n_damages, tuple(shown))


def _damages(check: _Check, schemas: list[str], *, verify: bool) -> Iterator[Damage]:
    if verify:
        for name in check.store_names(schemas):
            yield from check.objects(name)
    yield from check.references(schemas)
