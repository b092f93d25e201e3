"""`dj.gc`: which objects of a store no row refers to, and their removal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from djq.errors import UsageError
from djq.sql.identity import identity_of
from djq.sql.pending import oldest_transaction
from djq.storage.clock import StoreClock
from djq.storage.collecting import (
    GRACE,
    MAX_SKEW,
    Census,
    Tally,
    cutoff,
    garbage,
    in_words,
    sweep,
)
from djq.storage.owners import check_owners, owners
from djq.storage.owners import claim as claim_store
from djq.storage.pathset import PathSet
from djq.tables.connection import conn
from djq.tables.effort import Effort
from djq.tables.references import check_schemas, places, read
from djq.tables.stores import check_store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from djq.storage.content import ContentStore
    from djq.tables.connection import Connection
    from djq.tables.schema import Schema

__all__ = ["Garbage", "GarbageCollector", "collect", "scan"]


@dataclass(frozen=True, slots=True)
class Garbage:
    """What a collection found and did; sizes in bytes, times of the store's clock, UTC."""

    store: str
    is_dry_run: bool
    #: References that rows hold, repeated ones too, whichever store they are about.
    n_references: int
    #: Objects that djq put and that stay; the young ones among them were not looked up.
    n_kept: int
    n_kept_bytes: int
    n_young: int
    #: Objects that nothing refers to, and when the oldest of them was put.
    n_garbage: int
    n_garbage_bytes: int
    oldest: datetime | None
    n_deleted: int
    n_deleted_bytes: int
    #: Objects put later than this were left alone.
    before: datetime
    #: The databases that claimed the store.
    databases: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it in words."""
        kept = f"{self.n_kept:,} objects are kept ({self.n_kept_bytes:,} bytes"
        oldest = f", the oldest of {self.oldest:%F %T} UTC" if self.oldest else ""
        lines = [
            f'store "{self.store}": {kept}; {self.n_young:,} too young to tell)',
            f"garbage: {self.n_garbage:,} objects, {self.n_garbage_bytes:,} bytes{oldest}",
        ]
        if not self.is_dry_run:
            lines.append(f"deleted: {self.n_deleted:,} objects, {self.n_deleted_bytes:,} bytes")
        return "\n".join(lines)


class GarbageCollector:
    """Finds and removes the objects of one store that no row of any schema refers to.

    Parameters
    ----------
    schemas
        Schemas, or their names, that must be looked at beside all that the user may see: a user
        who may not see all says by this that no other one uses the store.
    store
        The store's name; None: the default store.
    connection
        The database whose rows refer to the store; None: the schemas', or the default one.
    also
        More databases that use the store.
    """

    def __init__(
        self,
        *schemas: Schema | str,
        store: str | None = None,
        connection: Connection | None = None,
        also: Sequence[Connection] = (),
    ) -> None:
        bound = [s.connection for s in schemas if not isinstance(s, str)]
        self.connection: Connection = connection or (bound[0] if bound else conn())
        self._databases = (self.connection, *also)
        self._named = {s if isinstance(s, str) else s.name for s in schemas}
        self.store: ContentStore = self.connection.store(
            self.connection.settings.default_store if store is None else store
        )

    def __repr__(self) -> str:
        """Return what is collected where."""
        return f"GarbageCollector(store={self.store.name!r}, connection={self.connection!r})"

    def collect(
        self,
        dry_run: bool = True,
        *,
        grace: timedelta | float = GRACE,
        claim: bool = False,
        each: Callable[[str], object] | None = None,
        progress: Callable[[Effort], object] | None = None,
    ) -> Garbage:
        """Find the objects that nothing refers to, and delete them unless it is a dry run.

        Parameters
        ----------
        dry_run
            Delete nothing, and write nothing: ages go by the database's clock instead of the
            store's, which shows only when something is put.
        grace
            How old an object must be [s]: more than 71 minutes, and by as much as any insert takes
            from its object to its COMMIT.
        claim
            Note that these databases use the store, and no other one does.
        each
            Called with the path of each object that is (or would be) deleted.
        progress
            Called with what was done so far, again and again: `str()` of it says it in words.

        Raises
        ------
        UsageError
            There is no such store, or it would not be safe; the message says why. Nothing was
            deleted.
        DatabaseError, StorageError
            Rows or objects could not be listed, or an object not be deleted.
        """
        check_store(self.connection.settings, self.store.name)
        wanted = grace if isinstance(grace, timedelta) else timedelta(seconds=grace)
        before = self._before(wanted, dry_run=dry_run)
        schemas = [(c, self._schemas(c)) for c in self._databases]
        if not dry_run or claim:
            self._check_owners(is_claimed=claim)
        census, deleted, effort = Census(), Tally(), Effort(progress)
        with PathSet() as referenced:
            for connection, its in schemas:
                _mark(connection, its, referenced, effort)
            found = garbage(
                self.store.store, referenced, before, census, lambda n: effort.add(objects=n)
            )
            for gone in found if dry_run else sweep(self.store.store, found, before):
                deleted.add(gone)
                if not dry_run:
                    effort.add(deleted=1)
                if each is not None:
                    each(gone.path)
            n_references = referenced.n_added
        if dry_run:
            deleted = Tally()
        return Garbage(
            store=self.store.name,
            is_dry_run=dry_run,
            n_references=n_references,
            n_kept=census.kept.n,
            n_kept_bytes=census.kept.size,
            n_young=census.young.n,
            n_garbage=census.garbage.n,
            n_garbage_bytes=census.garbage.size,
            oldest=census.oldest,
            n_deleted=deleted.n,
            n_deleted_bytes=deleted.size,
            before=before,
            databases=tuple(sorted(owners(self.store))),
        )

    def _before(self, grace: timedelta, *, dry_run: bool) -> datetime:
        """Return before when an object must have been put to be garbage.

        Asked before anything else is looked at: whoever begins to insert from now on leaves
        objects that are younger.
        """
        if dry_run:
            now = self.connection.database.clock().replace(tzinfo=UTC)
        else:
            now = StoreClock(self.store.store).now()
        open_for: list[timedelta] = []
        for connection in self._databases:
            skew = abs(now.replace(tzinfo=None) - connection.database.clock())
            if skew > MAX_SKEW:
                message = (
                    f'the clocks of store "{self.store.name}" and of {connection.database.address} '
                    f"differ by {in_words(skew)}: ages of objects mean nothing. Set them right"
                )
                raise UsageError(message)
            open_for.append(oldest_transaction(connection.database) or timedelta())
        return cutoff(now, grace, max(open_for))

    def _schemas(self, connection: Connection) -> Collection[str]:
        named = self._named if connection is self.connection else ()
        return check_schemas(connection.database, named)

    def _check_owners(self, *, is_claimed: bool) -> None:
        asked = [identity_of(c.database) for c in self._databases]
        if is_claimed:
            for database in asked:
                claim_store(self.store, database)
        check_owners(self.store, asked)


def _mark(
    connection: Connection, schemas: Collection[str], referenced: PathSet, effort: Effort
) -> None:
    """Take all paths that rows refer to, as they are at one moment, into the set.

    Whatever the store is called there: names are settings of each client.
    """
    with connection.database.snapshot() as snapshot:
        for place in places(connection.database, schemas):
            for found in read(snapshot, place, connection):
                referenced.add(found.pointer.path)
                effort.add(references=1)


def scan(
    *schemas: Schema | str,
    store: str | None = None,
    connection: Connection | None = None,
    grace: timedelta | float = GRACE,
) -> Garbage:
    """Tell which objects nothing refers to; see `GarbageCollector`."""
    return GarbageCollector(*schemas, store=store, connection=connection).collect(grace=grace)


def collect(
    *schemas: Schema | str,
    store: str | None = None,
    dry_run: bool = True,
    connection: Connection | None = None,
    grace: timedelta | float = GRACE,
    claim: bool = False,
    progress: Callable[[Effort], object] | None = None,
) -> Garbage:
    """Delete the objects that nothing refers to, unless it is a dry run; see `GarbageCollector`."""
    collector = GarbageCollector(*schemas, store=store, connection=connection)
    return collector.collect(dry_run, grace=grace, claim=claim, progress=progress)
