"""What values of an attribute are to numpy and to data frames: one word per type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.definition.attributes import CodecType, CoreType

if TYPE_CHECKING:
    from djq.definition.attributes import Attribute

#: Types whose word is not their own name.
_CORE = {"char": "text", "varchar": "text"}
_NATIVE = {
    "tinyint": "int8",
    "smallint": "int16",
    "mediumint": "int32",
    "int": "int32",
    "bigint": "int64",
    "float": "float32",
    "double": "float64",
    "decimal": "decimal",
    "time": "duration",
    "timestamp": "datetime",
    "year": "int16",
    "tinytext": "text",
    "text": "text",
    "mediumtext": "text",
    "longtext": "text",
    "tinyblob": "object",
    "blob": "object",
    "mediumblob": "object",
    "longblob": "object",
    "binary": "bytes",
    "varbinary": "bytes",
}
INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
FLOATS = frozenset({"float32", "float64"})
#: An expression's values, of which only they themselves tell.
UNKNOWN = "unknown"


def kind_of(attribute: Attribute) -> str:
    """Return the word for an attribute's values.

    One of `int8` … `uint64`, `float32`, `float64`, `bool`, `text`, `enum`, `decimal`, `date`,
    `datetime`, `duration`, `uuid`, `json`, `bytes`, `object` (any value of Python) and `unknown`.
    """
    type_ = attribute.type
    if type_ is None:
        return UNKNOWN
    if isinstance(type_, CodecType):
        return "object"
    if isinstance(type_, CoreType):
        return _CORE.get(type_.name, type_.name)
    kind = _NATIVE.get(type_.name, UNKNOWN)
    return f"u{kind}" if type_.is_unsigned and kind in INTEGERS else kind


def is_loaded(attribute: Attribute) -> bool:
    """Tell whether a preview may ask for an attribute's values: blobs and objects it leaves."""
    return kind_of(attribute) not in {"object", "bytes"}
