"""What differs between MySQL, MariaDB and SQLite: types, names, upsert, session settings."""

from __future__ import annotations

import decimal
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

from djq.definition.acceptance import Value, round_float32, shortest_float32
from djq.definition.attributes import Attribute, CodecType, CoreType, NativeType

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.spec import TableName

Backend = Literal["mysql", "mariadb", "sqlite"]

#: Rows per INSERT statement; keeps one statement well below `max_allowed_packet`.
ROWS_PER_INSERT = 10_000
#: Significant digits of a number that SQLite keeps (https://sqlite.org/floatingpoint.html).
SQLITE_DIGITS = 15


class Float32(TypeDecorator[float]):
    """A float32 that comes back as the shortest float64 of the same value, from every database.

    MySQL prints a FLOAT with six digits; reading it as DOUBLE keeps all of it, and comparing with
    the exact float32 makes `= 1.1` true for a stored 1.1.
    """

    impl = sa.Float
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return FLOAT for MySQL and REAL for SQLite."""
        return dialect.type_descriptor(mysql.FLOAT() if dialect.name != "sqlite" else sa.REAL())

    def converts(self, value: Value) -> bool:
        """Tell whether a value in a condition is sent as this type."""
        return isinstance(value, int | float) and not isinstance(value, bool)

    def process_bind_param(self, value: float | None, dialect: sa.Dialect) -> float | None:
        """Send the exact float32 to MySQL, the shortest form to SQLite, which keeps float64."""
        if value is None:
            return None
        try:
            return shortest_float32(value) if dialect.name == "sqlite" else round_float32(value)
        except OverflowError:  # in a condition: greater than all
            return value

    def process_result_value(self, value: Value, dialect: sa.Dialect) -> float | None:
        """Return the shortest float64 of the same float32."""
        del dialect
        return None if value is None else shortest_float32(float(value))

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Read the column as DOUBLE."""
        return sa.type_coerce(column + sa.literal_column("0e0"), self)


#: Holds every decimal of MySQL, which has up to 65 digits.
_WIDE = decimal.Context(prec=65)


class ExactDecimal(TypeDecorator[decimal.Decimal]):
    """A decimal that is text on its way to and from SQLite, whose numbers are binary."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.step = decimal.Decimal(1).scaleb(-scale)

    def converts(self, value: Value) -> bool:
        """Tell whether a value in a condition is sent as this type."""
        return isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool)

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return DECIMAL for MySQL and a NUMERIC affinity for SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_SqliteNumeric())
        return dialect.type_descriptor(self.impl_instance)

    def process_bind_param(self, value: Value, dialect: sa.Dialect) -> Value:
        """Send text to SQLite."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Value, dialect: sa.Dialect) -> decimal.Decimal | None:
        """Restore the digits behind the point."""
        del dialect
        if value is None:
            return None
        return decimal.Decimal(str(value)).quantize(self.step, context=_WIDE)


class _SqliteNumeric(sa.types.UserDefinedType[Any]):
    """NUMERIC without conversions of its own."""

    cache_ok = True

    def get_col_spec(self, **_: Value) -> str:
        return "NUMERIC"


class BinaryUuid(TypeDecorator[Any]):
    """A UUID in 16 bytes."""

    impl = sa.LargeBinary
    cache_ok = True

    def converts(self, value: Value) -> bool:
        """Tell whether a value in a condition is sent as this type."""
        return isinstance(value, uuid.UUID | str)

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return BINARY(16) for MySQL and BLOB for SQLite."""
        return dialect.type_descriptor(mysql.BINARY(16) if dialect.name != "sqlite" else sa.BLOB())

    def process_bind_param(self, value: Value, dialect: sa.Dialect) -> bytes | None:
        """Send the bytes."""
        del dialect
        if isinstance(value, str):
            return _uuid_bytes(value)
        return None if value is None else value.bytes

    def process_result_value(self, value: Value, dialect: sa.Dialect) -> Value:
        """Return a `uuid.UUID`."""
        del dialect
        return None if value is None else uuid.UUID(bytes=bytes(value))


def _uuid_bytes(text: str) -> bytes:
    """Return the bytes of a UUID in text; of other text, bytes that no UUID has."""
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return b""


#: Types whose values look different on their way to the database.
CONVERTED = (Float32, ExactDecimal, BinaryUuid)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The differences between the databases, as values and small functions."""

    backend: Backend

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

    def accept(self, type_: CoreType) -> Callable[[Value], Value]:
        """Return what turns a value into one that this database keeps without loss.

        SQLite's numbers are binary: longer decimals would be changed in silence.
        """
        if (
            not self.is_sqlite
            or type_.name != "decimal"
            or int(type_.arguments[0]) <= SQLITE_DIGITS
        ):
            return type_.accept

        def accept(value: Value) -> decimal.Decimal:
            number: decimal.Decimal = type_.accept(value)
            if len(number.normalize().as_tuple().digits) > SQLITE_DIGITS:
                message = (
                    f"{number} has more than the {SQLITE_DIGITS} digits that SQLite keeps of a "
                    "decimal; use MySQL or MariaDB, or varchar(n)"
                )
                raise ValueError(message)
            return number

        return accept

    def column_type(self, attribute: Attribute) -> TypeEngine[Any]:
        """Return the column's type; an expression of unknown type stays as the driver gives it."""
        type_ = attribute.type
        if type_ is None:
            return sa.types.NULLTYPE
        if isinstance(type_, CodecType):
            return self._json() if type_.store is not None else self._bytes()
        if isinstance(type_, NativeType):
            message = f"native type {type_}"
            raise NotImplementedError(message)
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

    def skip_duplicates(self, table: sa.TableClause, key: str) -> sa.Insert:
        """Return an INSERT that leaves rows alone whose key is taken."""
        if self.is_sqlite:
            return sqlite.insert(table).on_conflict_do_nothing()
        return mysql.insert(table).on_duplicate_key_update({key: table.c[key]})

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


def sql_default(value: Value) -> str | None:
    """Return a literal default for DDL, None where djq fills it in itself."""
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int | float | decimal.Decimal | str) else None
