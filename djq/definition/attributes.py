"""`Attribute` and the core types, with their ranges and defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from djq.definition.acceptance import ACCEPT, Value
from djq.definition.native import BLOBS, INTEGERS, NATIVE_TYPES

if TYPE_CHECKING:
    import datetime as dt

#: The core types and how many arguments each takes (least, most).
CORE_TYPES: dict[str, tuple[int, int]] = {
    "bool": (0, 0),
    "bytes": (0, 0),
    "char": (1, 1),
    "date": (0, 0),
    "datetime": (0, 1),
    "decimal": (2, 2),
    "enum": (1, 65_535),
    "float32": (0, 0),
    "float64": (0, 0),
    "int8": (0, 0),
    "int16": (0, 0),
    "int32": (0, 0),
    "int64": (0, 0),
    "json": (0, 0),
    "uuid": (0, 0),
    "varchar": (1, 1),
}

#: Types that cannot be part of a primary key.
KEYLESS_TYPES = frozenset({"json", "bytes"})
CORE_INTEGERS = frozenset({"int8", "int16", "int32", "int64"})


@dataclass(frozen=True, slots=True)
class CoreType:
    """A type of the definition language that the database holds as it is."""

    name: str
    arguments: tuple[int | str, ...] = ()

    def __str__(self) -> str:
        """Return the type as it is written in a definition."""
        if not self.arguments:
            return self.name
        return f"{self.name}({','.join(_quote(a) for a in self.arguments)})"

    def accept(self, value: Value) -> Value:
        """Return `value` as the Python value that the database gives back for it.

        Raises
        ------
        ValueError
            The value does not fit the type; the message says why.
        """
        return ACCEPT[self.name](value, self.arguments)


@dataclass(frozen=True, slots=True)
class NativeType:
    """A type in the words of MySQL, such as `int unsigned` or `longblob`; lower case."""

    name: str
    arguments: tuple[int | str, ...] = ()
    is_unsigned: bool = False

    def __str__(self) -> str:
        """Return the type as it is written in a definition."""
        arguments = f"({','.join(_quote(a) for a in self.arguments)})" if self.arguments else ""
        return f"{self.name}{arguments}{' unsigned' if self.is_unsigned else ''}"

    @property
    def is_blob(self) -> bool:
        """Whether it is of the `longblob` family, which holds any value."""
        return self.name in BLOBS

    def accept(self, value: Value) -> Value:
        """Return `value` as the Python value that the database gives back for it.

        The `longblob` family accepts bytes here: whoever encodes other values does it before.
        Types that only other programs declare accept what the driver does.

        Raises
        ------
        ValueError
            The value does not fit the type; the message says why.
        """
        kind = NATIVE_TYPES.get(self.name)
        return kind.accept(value, self.arguments, self.is_unsigned) if kind else value


@dataclass(frozen=True, slots=True)
class CodecType:
    """A type whose values a codec turns into what the column keeps: bytes, or a reference."""

    codec: str
    #: The store's name, empty for the default one; None: all is in the row.
    store: str | None = None
    #: The column's type; None: `json`, which refers to a store, or `bytes` in the row.
    column: CoreType | NativeType | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Return the type as it is written in a definition."""
        return f"<{self.codec}>" if self.store is None else f"<{self.codec}@{self.store}>"

    @property
    def kept(self) -> CoreType | NativeType:
        """The type of the column."""
        return self.column or CoreType("bytes" if self.store is None else "json")


AttributeType: TypeAlias = CoreType | NativeType | CodecType


class Special(Enum):
    """Defaults that are not values."""

    REQUIRED = "required"
    NOW = "CURRENT_TIMESTAMP"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One named, typed place in a heading.

    `lineage` is the attribute where the value originates, as `schema.table.attribute`: set for
    attributes of keys and foreign keys, None for others. `type` is None where an expression
    computes the value.
    """

    name: str
    type: AttributeType | None
    in_key: bool = False
    nullable: bool = False
    default: Value = Special.REQUIRED
    comment: str = ""
    lineage: str | None = None
    #: The database counts it up where a row leaves it out.
    is_auto: bool = False

    @property
    def is_encoded(self) -> bool:
        """Whether a codec stands between the Python value and the database."""
        return isinstance(self.type, CodecType)

    @property
    def has_default(self) -> bool:
        """Whether a row may leave this attribute out."""
        return self.is_auto or self.default is not Special.REQUIRED

    def default_value(self, now: dt.datetime) -> Value:
        """Return the value of a row that leaves this attribute out; `now` is naive UTC."""
        if self.default is Special.NOW and isinstance(self.type, CoreType | NativeType):
            return self.type.accept(now)
        return self.default


def can_be_key(type_: AttributeType) -> bool:
    """Tell whether a type may be part of a primary key."""
    if isinstance(type_, NativeType):
        return type_.name not in NATIVE_TYPES or not NATIVE_TYPES[type_.name].is_long
    return isinstance(type_, CoreType) and type_.name not in KEYLESS_TYPES


def can_count(type_: AttributeType) -> bool:
    """Tell whether the database can count a type up: `auto_increment`."""
    whole = INTEGERS if isinstance(type_, NativeType) else CORE_INTEGERS
    return not isinstance(type_, CodecType) and type_.name in whole


def _quote(argument: int | str) -> str:
    if isinstance(argument, int):
        return str(argument)
    escaped = argument.replace("'", "''")
    return f"'{escaped}'"
