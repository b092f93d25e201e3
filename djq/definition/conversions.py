"""Which types' values can become values of another type, and which of them all do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from djq.definition.attributes import CodecType, CoreType, NativeType

if TYPE_CHECKING:
    from djq.definition.attributes import AttributeType

#: Its values are the blobs among those of `longblob`, which reads them alike.
BLOB = CodecType("blob")

Family = Literal["number", "text", "time", "bytes"]


class Conversion(Enum):
    """What becomes of an attribute's values when it gets another type."""

    #: Every value stays what it is.
    KEPT = "kept"
    #: Values are rounded or shortened where they must, and refused where they do not fit.
    CHECKED = "checked"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class _Extent:
    """Which values a type holds: enough to tell whether another type holds them all."""

    family: Family
    low: int = 0
    high: int = 0
    #: Digits behind the point, or of a second; float32 and float64 have none that are exact.
    #: Of bytes: 1 if they may be any, 0 if they are blobs.
    digits: int = 0
    is_exact: bool = True
    values: frozenset[str] | None = None

    def holds(self, other: _Extent) -> bool:
        """Tell whether every value of `other` is one of this type."""
        if self.values is not None:
            return other.values is not None and other.values <= self.values
        if not other.is_exact and self.is_exact:
            return False
        if not self.is_exact and other.digits:
            return False
        return self.low <= other.low and other.high <= self.high and other.digits <= self.digits


#: Bits of the integers, by both names.
_BITS = {
    **dict.fromkeys(("int8", "tinyint"), 8),
    **dict.fromkeys(("int16", "smallint"), 16),
    **dict.fromkeys(("mediumint",), 24),
    **dict.fromkeys(("int32", "int", "integer"), 32),
    **dict.fromkeys(("int64", "bigint"), 64),
}
#: Bits of the whole numbers that a float holds exactly (IEEE 754).
_MANTISSA = {"float32": 24, "float": 24, "float64": 53, "double": 53, "real": 53}
#: Longest values of MySQL's texts and blobs [bytes].
_BYTES = {"tiny": 2**8 - 1, "": 2**16 - 1, "medium": 2**24 - 1, "long": 2**32 - 1}
_MOST_BYTES_PER_CHARACTER = 4


def conversion(old: AttributeType | None, new: AttributeType | None) -> Conversion:
    """Tell what becomes of values of type `old` in a column of type `new`."""
    if old == new:
        return Conversion.KEPT
    before, after = _extent(old), _extent(new)
    if before is None or after is None or before.family != after.family:
        return Conversion.IMPOSSIBLE
    return Conversion.KEPT if after.holds(before) else Conversion.CHECKED


def is_bytes(type_: AttributeType | None) -> bool:
    """Tell whether a type is `<blob>` or of the `longblob` family: one column, told by a mark."""
    return type_ == BLOB or (isinstance(type_, NativeType) and type_.is_blob)


def _extent(type_: AttributeType | None) -> _Extent | None:
    """Return the extent of a type; None: its values cannot become others."""
    if isinstance(type_, CoreType):
        return _core(type_)
    if type_ == BLOB:
        return _Extent("bytes", high=_BYTES["long"])
    return _native(type_) if isinstance(type_, NativeType) else None


def _core(type_: CoreType) -> _Extent | None:
    numbers = [a for a in type_.arguments if isinstance(a, int)]
    match type_.name:
        case "bool":
            return _Extent("number", 0, 1)
        case "decimal":
            return _decimal(*numbers)
        case "char" | "varchar":
            return _characters(numbers[0], is_padded=type_.name == "char")
        case "enum":
            values = [str(a) for a in type_.arguments]
            longest = max(len(v) for v in values)
            return _Extent("text", high=longest, values=frozenset(values))
        case "date" | "datetime":
            digits = numbers[0] if numbers else 0
            return _Extent("time", digits=digits if type_.name == "datetime" else -1)
        case _:
            return _number(type_.name, is_unsigned=False)


def _native(type_: NativeType) -> _Extent | None:
    name = type_.name
    numbers = [a for a in type_.arguments if isinstance(a, int)]
    if name in {"decimal", "numeric"}:
        return _decimal(*(numbers or [10, 0]))
    if name == "serial":
        return _number("bigint", is_unsigned=True)
    if name.endswith("text"):
        most = _BYTES.get(name.removesuffix("text"), 0)
        return _characters(most // _MOST_BYTES_PER_CHARACTER, is_padded=False)
    if name.endswith("blob"):
        return _Extent("bytes", high=_BYTES.get(name.removesuffix("blob"), 0), digits=1)
    return _number(name, is_unsigned=type_.is_unsigned)


def _number(name: str, *, is_unsigned: bool) -> _Extent | None:
    if name in _BITS:
        bits = _BITS[name]
        half = 2 ** (bits - 1)
        return _Extent("number", 0, 2 * half - 1) if is_unsigned else _signed(half)
    if name in _MANTISSA:
        most = 2 ** _MANTISSA[name]
        return _Extent("number", -most, most, is_exact=False)
    return None


def _signed(half: int) -> _Extent:
    return _Extent("number", -half, half - 1)


def _decimal(precision: int = 10, scale: int = 0) -> _Extent:
    most = 10 ** (precision - scale) - 1
    return _Extent("number", -most, most, digits=scale)


def _characters(length: int, *, is_padded: bool) -> _Extent:
    # A char loses trailing blanks: a varchar holds all of its values, but not the other way round.
    return _Extent("text", high=length, digits=0 if is_padded else 1)
