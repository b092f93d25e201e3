"""What differs between MySQL, MariaDB and SQLite: types, names, upsert, session settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite

from djq.definition.attributes import Attribute, CodecType, CoreType, NativeType
from djq.sql.columntypes import BinaryUuid, ExactDecimal, Float32, native_type

if TYPE_CHECKING:
    import decimal
    from collections.abc import Callable

    from sqlalchemy.types import TypeEngine

    from djq.definition.acceptance import Value
    from djq.definition.constraints import TableName

Backend = Literal["mysql", "mariadb", "sqlite"]

#: Rows per INSERT statement; keeps one statement well below `max_allowed_packet`.
ROWS_PER_INSERT = 10_000
#: Significant digits of a number that SQLite keeps (https://sqlite.org/floatingpoint.html).
SQLITE_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Dialect:
    """The differences between the databases, as values and small functions."""

    backend: Backend
    #: What texts may call beside the functions on the list: the setting `functions`.
    functions: tuple[str, ...] = ()

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is embedded in this process."""
        return self.backend == "sqlite"

    def place(self, name: TableName) -> tuple[str, str | None]:
        """Return a table's name and schema as the database knows them.

        SQLite keeps all schemas in one file, under prefixed names: foreign keys do not reach
        across attached files.
        """
        return (str(name), None) if self.is_sqlite else (name.table, name.schema)

    def accept(self, type_: CoreType | NativeType) -> Callable[[Value], Value]:
        """Return what turns a value into one that this database keeps without loss.

        SQLite's numbers are binary: longer decimals would be changed in silence. Its whole numbers
        have a sign: the upper half of `bigint unsigned` does not fit.
        """
        if not self.is_sqlite:
            return type_.accept
        if type_.name == "decimal" and int(type_.arguments[0]) > SQLITE_DIGITS:
            return lambda value: _short(type_.accept(value))
        if type_ == _BIGGEST:
            return lambda value: _signed(type_.accept(value))
        return type_.accept

    def column_type(self, attribute: Attribute) -> TypeEngine[Any]:
        """Return the column's type; an expression of unknown type stays as the driver gives it."""
        type_ = attribute.type
        if type_ is None:
            return sa.types.NULLTYPE
        if isinstance(type_, CodecType):
            return self.column_type(replace(attribute, type=type_.kept))
        if attribute.is_auto and self.is_sqlite:
            return sa.Integer()  # the only one that counts up
        if isinstance(type_, NativeType):
            return native_type(type_, is_sqlite=self.is_sqlite)
        return self._core_type(type_)

    def _core_type(self, type_: CoreType) -> TypeEngine[Any]:
        if type_.name in _FIXED_TYPES:
            return _FIXED_TYPES[type_.name]
        numbers = [a for a in type_.arguments if isinstance(a, int)]
        found: TypeEngine[Any]
        match type_.name:
            case "char" if not self.is_sqlite:
                found = sa.CHAR(numbers[0])
            case "char" | "varchar":
                found = sa.VARCHAR(numbers[0])
            case "decimal":
                found = ExactDecimal(numbers[0], numbers[1])
            case "datetime":
                found = sa.DateTime() if self.is_sqlite else mysql.DATETIME(fsp=(numbers or [0])[0])
            case "enum":
                values = [str(a) for a in type_.arguments]
                found = sa.VARCHAR(255) if self.is_sqlite else mysql.ENUM(*values)
            case "json":
                found = self._json()
            case _:
                found = self._bytes()
        return found

    def _json(self) -> TypeEngine[Any]:
        return sa.JSON(none_as_null=True)

    def _bytes(self) -> TypeEngine[Any]:
        return sa.BLOB() if self.is_sqlite else mysql.LONGBLOB()

    @property
    def collation(self) -> str:
        """The collation that compares text as Python does: by code points, with trailing blanks."""
        return "utf8mb4_0900_bin" if self.backend == "mysql" else "utf8mb4_nopad_bin"

    def ordered(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return what orders rows by a column's values: MySQL would order an ENUM by position."""
        return sa.func.concat(column) if isinstance(column.type, mysql.ENUM) else column

    def upsert(
        self, table: sa.TableClause, key: tuple[str, ...], others: tuple[str, ...]
    ) -> sa.Insert:
        """Return an INSERT that overwrites `others` where the key is taken."""
        if self.is_sqlite:
            insert = sqlite.insert(table)
            return insert.on_conflict_do_update(
                index_elements=list(key), set_={n: insert.excluded[n] for n in others}
            )
        on_mysql = mysql.insert(table)
        return on_mysql.on_duplicate_key_update({n: on_mysql.inserted[n] for n in others})


_FIXED_TYPES: dict[str, TypeEngine[Any]] = {
    "int8": sa.SmallInteger().with_variant(mysql.TINYINT(), "mysql", "mariadb"),
    "int16": sa.SmallInteger(),
    "int32": sa.Integer(),
    "int64": sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
    "float32": Float32(),
    "float64": sa.Double(),
    "bool": sa.Boolean(create_constraint=False),
    "date": sa.Date(),
    "uuid": BinaryUuid(),
}


_BIGGEST = NativeType("bigint", (), is_unsigned=True)


def _short(number: decimal.Decimal) -> decimal.Decimal:
    if len(number.normalize().as_tuple().digits) > SQLITE_DIGITS:
        message = (
            f"{number} has more than the {SQLITE_DIGITS} digits that SQLite keeps of a "
            "decimal; use MySQL or MariaDB, or varchar(n)"
        )
        raise ValueError(message)
    return number


def _signed(number: int) -> int:
    if number >= 2**63:
        message = f"{number} is outside of what SQLite keeps (to {2**63 - 1}); use MySQL or MariaDB"
        raise ValueError(message)
    return number
