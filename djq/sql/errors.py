"""The one door by which a driver's errors enter and leave as ours."""

from __future__ import annotations

import sqlite3

import sqlalchemy.exc as sa_exc

from djq.errors import (
    AccessError,
    BrokenReferenceError,
    ContentionError,
    DatabaseError,
    DuplicateError,
    IntegrityError,
    LostConnectionError,
    MissingTableError,
    UnreachableError,
)
from djq.sql.embedded.failing import last_failure

#: The packages of the drivers.
DRIVERS = frozenset({"sqlite3", "pymysql", "MySQLdb"})

#: Server error numbers → our class (MySQL 8.4 error reference; MariaDB shares them).
MYSQL_ERRORS: dict[int, type[DatabaseError]] = {
    1022: DuplicateError,
    1062: DuplicateError,
    1586: DuplicateError,
    1216: BrokenReferenceError,
    1217: BrokenReferenceError,
    1451: BrokenReferenceError,
    1452: BrokenReferenceError,
    3730: BrokenReferenceError,
    1048: IntegrityError,
    1364: IntegrityError,
    3819: IntegrityError,
    4025: IntegrityError,
    1044: AccessError,
    1045: AccessError,
    1142: AccessError,
    1143: AccessError,
    1227: AccessError,
    1130: AccessError,
    1290: AccessError,
    1370: AccessError,
    1410: AccessError,
    1419: AccessError,
    1698: AccessError,
    1792: AccessError,
    1836: AccessError,
    1008: MissingTableError,
    1049: MissingTableError,
    1051: MissingTableError,
    1109: MissingTableError,
    1146: MissingTableError,
    1824: MissingTableError,
    1040: UnreachableError,
    1203: UnreachableError,
    2002: UnreachableError,
    2003: UnreachableError,
    2005: UnreachableError,
    2026: UnreachableError,
    1205: ContentionError,
    1213: ContentionError,
    1020: ContentionError,
    1614: ContentionError,
    3101: ContentionError,
    3572: ContentionError,
    1053: LostConnectionError,
    1077: LostConnectionError,
    1152: LostConnectionError,
    1158: LostConnectionError,
    1159: LostConnectionError,
    1160: LostConnectionError,
    1161: LostConnectionError,
    1184: LostConnectionError,
    1927: LostConnectionError,
    2006: LostConnectionError,
    2013: LostConnectionError,
    2014: LostConnectionError,
    2055: LostConnectionError,
    4031: LostConnectionError,
}
#: No encrypted connection; or its end, which mysqlclient calls the same.
TLS_FAILED = 2026

#: After these the server has rolled back the whole transaction, not only the statement: deadlock,
#: changed since the snapshot (MariaDB), rolled back by a cluster.
ENDS_TRANSACTION = frozenset({1020, 1213, 1614, 3101})

#: SQLite's extended result codes → our class (https://sqlite.org/rescode.html).
SQLITE_ERRORS: dict[str, type[DatabaseError]] = {
    "SQLITE_CONSTRAINT_PRIMARYKEY": DuplicateError,
    "SQLITE_CONSTRAINT_UNIQUE": DuplicateError,
    "SQLITE_CONSTRAINT_ROWID": DuplicateError,
    "SQLITE_CONSTRAINT_FOREIGNKEY": BrokenReferenceError,
    "SQLITE_CONSTRAINT_TRIGGER": BrokenReferenceError,
    "SQLITE_BUSY": ContentionError,
    "SQLITE_BUSY_SNAPSHOT": ContentionError,
    "SQLITE_BUSY_RECOVERY": ContentionError,
    "SQLITE_LOCKED": ContentionError,
    "SQLITE_READONLY": AccessError,
    "SQLITE_PERM": AccessError,
    "SQLITE_CANTOPEN": AccessError,
}


def classify(error: BaseException, *, is_open: bool = False) -> type[DatabaseError]:
    """Return our class for a driver's error; `is_open` says that the connection was made before."""
    if isinstance(error, sqlite3.Error):
        return _classify_sqlite(error)
    number = number_of(error)
    if number == TLS_FAILED and is_open:
        return LostConnectionError
    if number in MYSQL_ERRORS:
        return MYSQL_ERRORS[number]
    if number == 0 and _is_a(error, "InterfaceError"):
        return LostConnectionError
    return IntegrityError if _is_a(error, "IntegrityError") else DatabaseError


def _is_a(error: BaseException, name: str) -> bool:
    """Tell whether a driver's error is of a class that all drivers have (PEP 249).

    By its name, so that mysqlclient need not be installed.
    """
    return any(kind.__name__ == name for kind in type(error).__mro__)


def _is_drivers(error: BaseException) -> bool:
    """Tell whether an error comes from a driver."""
    package = type(error).__module__.partition(".")[0]
    return package in DRIVERS and _is_a(error, "Error")


def ends_transaction(error: DatabaseError) -> bool:
    """Tell whether the server rolled back the whole transaction, not the statement alone."""
    return number_of(error.__cause__) in ENDS_TRANSACTION


def number_of(error: BaseException | None) -> int:
    """Return the server's number of a driver's error; 0 where it has none."""
    if error is None or isinstance(error, sqlite3.Error):
        return 0
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _classify_sqlite(error: sqlite3.Error) -> type[DatabaseError]:
    name: str = getattr(error, "sqlite_errorname", "") or ""
    if name in SQLITE_ERRORS:
        return SQLITE_ERRORS[name]
    if name == "SQLITE_ERROR" and str(error).startswith("no such table"):
        # SQLite has no code of its own for this; the text has been stable since 2004.
        return MissingTableError
    return IntegrityError if isinstance(error, sqlite3.IntegrityError) else DatabaseError


#: How SQLite says that a statement is too large (https://sqlite.org/limits.html).
_SQLITE_LIMITS = (
    "parser stack overflow",
    "Expression tree is too large",
    "at most 64 tables in a join",
    "too many ",
)
#: MySQL looks for an unknown function among the stored ones of a default schema.
_NO_DATABASE = 1046


class translated:  # noqa: N801 - used as `with translated(…):`
    """Turn a driver's error into ours, with the cause attached; `doing` says what failed.

    A class, since every statement passes here: `contextlib` would take four times as long.
    """

    __slots__ = ("doing", "is_open")

    def __init__(self, doing: str, *, is_open: bool = True) -> None:
        self.doing, self.is_open = doing, is_open

    def __enter__(self) -> None:
        """Let the block try."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raise our error in place of a driver's."""
        if error is None:
            return
        cause = error.orig if isinstance(error, sa_exc.DBAPIError) else error
        if cause is None or not _is_drivers(cause):
            return
        message = f"{self.doing}: {_text(cause)}"
        raise classify(cause, is_open=self.is_open)(message) from error


def _text(error: BaseException) -> str:
    """Return the server's sentence, without the number in front of it."""
    if number_of(error) == _NO_DATABASE:  # tables are always qualified
        return "a function of the query does not exist in the database (No database selected)"
    words = str(error.args[-1]) if error.args else str(error)
    if not isinstance(error, sqlite3.Error):
        return words
    if words.startswith("user-defined function"):
        return last_failure() or words
    if words.startswith(_SQLITE_LIMITS):
        return (
            f"the query is more than SQLite can read at once ({words}). Nest it less, keep a part "
            "of it as a table or as a list of keys (A & B.keys()), or use MariaDB or MySQL"
        )
    return words
