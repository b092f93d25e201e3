"""Which databases use a store, as far as they said so: their marks, beside the objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from djq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from djq.storage.content import ContentStore

#: An object for each database, named after what the database says it is.
FOLDER: Final = ".djq-databases"


def owners(store: ContentStore) -> frozenset[str]:
    """Return the databases that claimed the store."""
    return frozenset(each.path.rpartition("/")[2] for each in store.store.list(FOLDER))


def claim(store: ContentStore, database: str) -> None:
    """Note that a database's rows refer to the store's objects."""
    store.store.put(f"{FOLDER}/{database}", b"")


def check_owners(store: ContentStore, asked: Collection[str]) -> None:
    """Refuse to take objects for garbage that other databases' rows may refer to.

    Parameters
    ----------
    store
        It.
    asked
        The databases whose rows were looked at.

    Raises
    ------
    UsageError
        Another database claimed the store, or none of those that were asked did.
    """
    found = owners(store)
    if others := sorted(found - set(asked)):
        message = (
            f'store "{store.name}" is also used by {", ".join(others)}, whose rows were not looked '
            "at: nothing was deleted. Look at all its databases at once "
            f"(djq gc {store.name} --also URL), or, where such a database is no more, remove its "
            f"mark {FOLDER}/{others[0]} from the store"
        )
        raise UsageError(message)
    if unclaimed := sorted(set(asked) - found):
        message = (
            f'store "{store.name}" was never claimed by {unclaimed[0]}: nothing was deleted. '
            "Objects that rows of other databases refer to would be lost. If no other database "
            f"uses the store, say so once: djq gc {store.name} --claim"
        )
        raise UsageError(message)
