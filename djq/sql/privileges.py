"""What an administrator would have to grant, when the database refused a statement."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import sqlalchemy as sa

from djq.algebra.nodes import Relation
from djq.definition.spec import TableName
from djq.errors import AccessError, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.sql.engine import Database


#: A grant on all schemas, those to come, too. A role's grants are listed under the role's name.
_READS_ALL = (
    "SELECT count(*) FROM information_schema.user_privileges"
    " WHERE privilege_type = 'SELECT' AND grantee = :account"
)


def can_read_all(database: Database) -> bool:
    """Tell whether the user may read every schema of the server, so that none is hidden from them.

    False also where that is not known: a server on which single schemas can be taken out of a
    grant on all of them (MySQL's `partial_revokes`).
    """
    if database.is_sqlite:
        return True
    revokes = database.query("SHOW GLOBAL VARIABLES LIKE 'partial_revokes'").fetchall()
    if any(value != "OFF" for _, value in revokes):
        return False
    statement = sa.text(_READS_ALL).bindparams(account=_account(database))
    return bool(database.read(statement)[0][0])


class needing:  # noqa: N801 - used as `with needing(…):`
    """Say, when the database refuses the block's statement, who would need which privilege.

    `what` is a query, a table's name or a statement of data definition; None: not known.
    """

    __slots__ = ("database", "privileges", "what")

    def __init__(self, database: Database, privileges: str, what: object) -> None:
        self.database, self.privileges, self.what = database, privileges, what

    def __enter__(self) -> None:
        """Let the block try."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raise what says more."""
        # An AccessError for a cause: the login, or explained already.
        if isinstance(error, AccessError) and not isinstance(error.__cause__, AccessError):
            explained = _explain(self.database, error, self.privileges, self.what)
            raise AccessError(explained) from error


def _explain(database: Database, error: AccessError, privileges: str, what: object) -> str:
    if database.is_sqlite:
        return (
            f"{error}. This process may not write {database.url.database} or its folder: "
            "change their permissions, or choose another file"
        )
    user = _account(database)
    if what is None:
        return f"{error}. Connected as {user}: ask an administrator for the privilege"
    places = _places(what)
    grants = "; ".join(f"GRANT {privileges} ON {place} TO {user}" for place in places)
    return f"{error}. Connected as {user}, who lacks a privilege. An administrator can: {grants}"


def _account(database: Database) -> str:
    """Return the account that the server took the user for, as GRANT spells it."""
    try:
        account = str(database.read(sa.select(sa.func.current_user()))[0][0])
    except DatabaseError:
        account = f"{database.url.username}@%"
    user, _, host = account.rpartition("@")
    return f"'{user}'@'{host}'"


def _places(what: object) -> list[str]:
    """Return what GRANT names: a table, or the schemas of several."""
    names = list(dict.fromkeys(_tables(what)))
    if len(names) == 1:
        return [f"`{names[0].schema}`.`{names[0].table}`"]
    schemas = {name.schema for name in names} or {_schema(what)}
    return [f"`{schema}`.*" if schema != "*" else "*.*" for schema in sorted(schemas)]


def _schema(statement: object) -> str:
    """Return the schema that a statement of data definition is about; "*" if it does not say."""
    element = getattr(statement, "element", None)
    table = getattr(element, "table", element)
    return getattr(table, "schema", None) or "*"


def _tables(what: object) -> Iterator[TableName]:
    """Iterate over the tables that a query names, in its conditions too."""
    match what:
        case TableName():
            yield what
        case Relation():
            yield what.name
        case tuple():
            for each in what:  # pyright: ignore[reportUnknownVariableType]
                yield from _tables(each)  # pyright: ignore[reportUnknownArgumentType]
        case _ if dataclasses.is_dataclass(what):
            for field in dataclasses.fields(what):
                yield from _tables(getattr(what, field.name))
        case _:
            return
