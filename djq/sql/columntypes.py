"""Columns' types: how values travel to the databases and back."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from djq.definition.acceptance import ACCEPT, Value, round_float32, shortest_float32
from djq.definition.native import INTEGERS, NATIVE_TYPES, time_text, time_us
from djq.sql.shortest import shortest_float32s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.attributes import NativeType


class Float32(TypeDecorator[float]):
    """A float32 that comes back as the shortest float64 of the same value, from every database.

    MySQL prints a FLOAT with six digits; reading it as DOUBLE keeps all of it, and comparing with
    the exact float32 makes `= 1.1` true for a stored 1.1.
    """

    impl = sa.Float
    cache_ok = True

    def __init__(self, digits: tuple[int, int] | None = None, *, unsigned: bool = False) -> None:
        super().__init__()
        self.digits, self.unsigned = digits, unsigned

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return FLOAT for MySQL and REAL for SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.REAL())
        precision, scale = self.digits or (None, None)
        return dialect.type_descriptor(mysql.FLOAT(precision, scale, unsigned=self.unsigned))

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

    def process_result_column(self, values: Sequence[Any]) -> Sequence[float | None]:
        """Return the shortest float64 of each float32, all at once."""
        return shortest_float32s(values)

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Read the column as DOUBLE."""
        return sa.type_coerce(column + sa.literal_column("0e0"), self)


#: Holds every decimal of MySQL, which has up to 65 digits.
_WIDE = decimal.Context(prec=65)


class ExactDecimal(TypeDecorator[decimal.Decimal]):
    """A decimal that is text on its way to and from SQLite, whose numbers are binary."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int, *, unsigned: bool = False) -> None:
        super().__init__(precision, scale)
        self.digits, self.unsigned = (precision, scale), unsigned
        self.step = decimal.Decimal(1).scaleb(-scale)

    def converts(self, value: Value) -> bool:
        """Tell whether a value in a condition is sent as this type."""
        return isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool)

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return DECIMAL for MySQL and a NUMERIC affinity for SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_Words("NUMERIC"))
        if self.unsigned:
            return dialect.type_descriptor(mysql.DECIMAL(*self.digits, unsigned=True))
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


class _Words(sa.types.UserDefinedType[Any]):
    """A type by its name in DDL, without conversions of its own."""

    cache_ok = True

    def __init__(self, words: str) -> None:
        self.words = words

    def get_col_spec(self, **_: Value) -> str:
        return self.words


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


class Duration(TypeDecorator[Any]):
    """A TIME of MySQL: a `datetime.timedelta`; SQLite counts its microseconds."""

    impl = sa.Integer
    cache_ok = True

    def __init__(self, *digits: int) -> None:
        super().__init__()
        self.digits = digits

    def converts(self, value: Value) -> bool:
        """Tell whether a value in a condition is sent as this type."""
        return isinstance(value, dt.timedelta | dt.time | str)

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return TIME for MySQL and an integer for SQLite."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Integer())
        return dialect.type_descriptor(_Words(f"TIME({self.digits[0]})" if self.digits else "TIME"))

    def process_bind_param(self, value: Value, dialect: sa.Dialect) -> Value:
        """Send text to MySQL: the driver writes negative durations wrongly."""
        if value is None:
            return None
        try:
            micros = time_us(value)
        except ValueError:  # in a condition: equal to none
            return value
        return micros if dialect.name == "sqlite" else time_text(micros)

    def process_result_value(self, value: Value, dialect: sa.Dialect) -> Value:
        """Return a `datetime.timedelta`."""
        del dialect
        return dt.timedelta(microseconds=value) if isinstance(value, int) else value


class Timestamp(TypeDecorator[Any]):
    """A TIMESTAMP of MySQL; SQLite keeps the text of a datetime."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, *digits: int) -> None:
        super().__init__()
        self.digits = digits

    def converts(self, value: Value) -> bool:
        """Tell whether a value in a condition is sent as this type."""
        return isinstance(value, dt.date | str)

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Return TIMESTAMP for MySQL; for SQLite the same word, which means nothing to it."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_Words("TIMESTAMP"))
        return dialect.type_descriptor(mysql.TIMESTAMP(fsp=self.digits[0] if self.digits else None))

    def process_bind_param(self, value: Value, dialect: sa.Dialect) -> Value:
        """Send SQLite the text that sorts as the times do."""
        if value is None or dialect.name != "sqlite":
            return value
        try:
            return sqlite_datetime(ACCEPT["datetime"](value, (6,)))
        except ValueError:  # in a condition: equal to none
            return value

    def process_result_value(self, value: Value, dialect: sa.Dialect) -> Value:
        """Return a naive `datetime.datetime` in UTC."""
        del dialect
        return dt.datetime.fromisoformat(value) if isinstance(value, str) else value


def sqlite_datetime(value: dt.datetime) -> str:
    """Return a datetime as SQLAlchemy writes it to SQLite."""
    return value.isoformat(sep=" ", timespec="microseconds")


#: Types whose values look different on their way to the database.
CONVERTED = (Float32, ExactDecimal, BinaryUuid, Duration, Timestamp)


def native_type(type_: NativeType, *, is_sqlite: bool) -> TypeEngine[Any]:
    """Return the column of a native type."""
    name, is_unsigned = type_.name, type_.is_unsigned
    digits = [int(a) for a in type_.arguments]
    pair = (digits[0], digits[1]) if len(digits) > 1 else None
    found: TypeEngine[Any]
    match name:
        case "float":
            found = Float32(pair, unsigned=is_unsigned)
        case "decimal":
            found = ExactDecimal(digits[0], digits[1], unsigned=is_unsigned)
        case _ if name not in NATIVE_TYPES:  # another program's
            found = _Words(str(type_))
        case "time":
            found = Duration(*digits)
        case "timestamp":
            found = Timestamp(*digits)
        case _ if is_sqlite:
            found = _sqlite_type(name)
        case "double":
            precision, scale = pair or (None, None)
            found = mysql.DOUBLE(precision, scale, asdecimal=False, unsigned=is_unsigned)
        case "binary" | "varbinary":
            found = _BINARIES[name](digits[0])
        case _ if name in _WHOLE:
            found = _WHOLE[name](unsigned=is_unsigned)
        case _:
            found = _PLAIN[name]()
    return found


def _sqlite_type(name: str) -> TypeEngine[Any]:
    if name in INTEGERS or name == "year":
        return sa.Integer()
    if name == "double":
        return sa.Double()
    return sa.Text() if name.endswith("text") else sa.BLOB()


_WHOLE: dict[str, type[Any]] = {
    "tinyint": mysql.TINYINT,
    "smallint": mysql.SMALLINT,
    "mediumint": mysql.MEDIUMINT,
    "int": mysql.INTEGER,
    "bigint": mysql.BIGINT,
}
_BINARIES: dict[str, type[Any]] = {"binary": mysql.BINARY, "varbinary": mysql.VARBINARY}
_PLAIN: dict[str, type[Any]] = {
    "year": mysql.YEAR,
    "tinytext": mysql.TINYTEXT,
    "text": mysql.TEXT,
    "mediumtext": mysql.MEDIUMTEXT,
    "longtext": mysql.LONGTEXT,
    "tinyblob": mysql.TINYBLOB,
    "blob": mysql.BLOB,
    "mediumblob": mysql.MEDIUMBLOB,
    "longblob": mysql.LONGBLOB,
}
