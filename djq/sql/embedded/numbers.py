"""Numbers as MySQL computes with them, for SQLite."""

from __future__ import annotations

import decimal
import math
from typing import TYPE_CHECKING

from djq.definition.acceptance import round_float32

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

#: MySQL's decimals have up to 65 digits.
WIDE = decimal.Context(prec=65, rounding=decimal.ROUND_HALF_UP)
_LARGEST = 2**63 - 1
_LARGEST_CAST = 9_200_000_000_000_000_000
#: More digits behind the point than a decimal of MySQL has.
_MAX_SCALE = 30


def exact(value: Value) -> decimal.Decimal:
    """Return the decimal whose digits SQLite shows for a number."""
    return decimal.Decimal(repr(value))


def _decimal(apply: Callable[[decimal.Decimal, decimal.Decimal], decimal.Decimal]) -> Value:
    def compute(left: Value, right: Value) -> float:
        return float(apply(exact(left), exact(right)))

    return compute


def plus(left: Value, right: Value) -> Value:
    """Return a sum of whole numbers, where SQLite would go on with a float."""
    return checked(left + right)


def minus(left: Value, right: Value) -> Value:
    """Return a difference of whole numbers."""
    return checked(left - right)


def times(left: Value, right: Value) -> Value:
    """Return a product of whole numbers."""
    return checked(left * right)


def decimal_mod(left: Value, right: Value) -> float | None:
    """Return the remainder, with the sign of the left side; by zero: null."""
    return float(WIDE.remainder(exact(left), exact(right))) if right else None


def float_mod(left: Value, right: Value) -> float | None:
    """Return the remainder of floats as C does; by zero: null."""
    return math.fmod(left, right) if right else None


def whole_division(left: Value, right: Value) -> int | None:
    """Return the quotient without its fraction; by zero: null."""
    if not right:
        return None
    found: int = checked(int(WIDE.divide(exact(left), exact(right))))
    return found


def checked(value: Value) -> Value:
    """Return a whole number of 64 bits, or the float that SQLite has for a larger decimal.

    Raises
    ------
    OverflowError
        It has more; MySQL refuses it, too.
    """
    if isinstance(value, int) and not -_LARGEST - 1 <= value <= _LARGEST:
        message = f"{value} does not fit 64 bits"
        raise OverflowError(message)
    return value


def fitting(value: int) -> int | None:
    """Return a whole number; null beyond what casts reach on every database."""
    return value if abs(value) <= _LARGEST_CAST else None


def whole(convert: Callable[[float], int]) -> Callable[[Value], Value]:
    """Return CEIL or FLOOR; floats beyond 2⁵³ are whole."""

    def compute(value: Value) -> Value:
        return convert(value) if isinstance(value, int) or abs(value) < 2**53 else value

    return compute


def round_exact(value: Value, digits: int, *, truncates: bool = False) -> Value:
    """Round a decimal or whole number, halves away from zero."""
    if digits >= _MAX_SCALE:
        return value
    mode = decimal.ROUND_DOWN if truncates else decimal.ROUND_HALF_UP
    step = decimal.Decimal(1).scaleb(-max(digits, -_MAX_SCALE))
    quotient = (exact(value) / step).to_integral_value(mode)
    rounded = WIDE.multiply(quotient, step)
    return checked(int(rounded)) if isinstance(value, int) else float(rounded)


def round_float(number: Value, digits: int, *, truncates: bool = False) -> float:
    """Round a float as MySQL's `my_double_round`: scaled, halves to even, scaled back."""
    value = float(number)
    try:
        scale: float = 10.0 ** abs(digits)
    except OverflowError:
        return value if digits > 0 else 0.0
    scaled = value * scale if digits >= 0 else value / scale
    if math.isinf(scaled):
        return value
    whole = math.trunc(scaled) if truncates else round(scaled)
    result = whole / scale if digits >= 0 else whole * scale
    return float(result)


def truncate_exact(value: Value, digits: int) -> Value:
    """Cut a decimal or whole number off."""
    return round_exact(value, digits, truncates=True)


def truncate_float(value: Value, digits: int) -> float:
    """Cut a float off."""
    return round_float(value, digits, truncates=True)


def real(compute: Callable[..., float]) -> Callable[..., float | None]:
    """Return a function of floats that is null outside of its domain."""

    def safe(*values: Value) -> float | None:
        try:
            return float(compute(*map(float, values)))
        except ValueError:
            return None

    return safe


def logarithm(*values: Value) -> float | None:
    """Return LOG(x) or LOG(base, x); null outside of its domain."""
    base, value = values if len(values) == 2 else (None, values[0])  # noqa: PLR2004
    if value <= 0 or (base is not None and (base <= 0 or base == 1)):
        return None
    return math.log(value) if base is None else math.log(value) / math.log(base)


def power(base: Value, exponent: Value) -> float:
    """Return a power; MySQL refuses what is no number, too."""
    return math.pow(float(base), float(exponent))


def shift(value: int, n: int, *, left: bool) -> int:
    """Shift the 64 bits of a number; by 64 or more, or by less than none: 0."""
    if not 0 <= n < 64:  # noqa: PLR2004
        return 0
    bits = value & (2**64 - 1)
    return signed(bits << n if left else bits >> n)


def signed(bits: int) -> int:
    """Return 64 bits as a number with a sign."""
    bits &= 2**64 - 1
    return bits - 2**64 if bits >= 2**63 else bits


def to_integer(value: Value) -> int | None:
    """Return CAST(x AS SIGNED) of a number: floats half to even, decimals half away."""
    return value if isinstance(value, int) else fitting(round(value))


def decimal_to_integer(value: Value) -> int | None:
    """Return CAST(x AS SIGNED) of a decimal."""
    return fitting(int(exact(value).to_integral_value(decimal.ROUND_HALF_UP)))


def to_decimal(value: Value, precision: int, scale: int) -> float | None:
    """Return CAST(x AS DECIMAL(precision, scale)): rounded, and cut to the largest that fits."""
    number = exact(value) if not isinstance(value, str) else decimal.Decimal(value)
    step = decimal.Decimal(1).scaleb(-scale)
    largest = decimal.Decimal(10) ** (precision - scale) - step
    try:
        rounded = number.quantize(step, context=WIDE)
    except decimal.InvalidOperation:
        rounded = largest.copy_sign(number)
    return float(min(max(rounded, -largest), largest))


def decimal_text(value: Value, scale: int) -> str:
    """Return a decimal with all of its digits behind the point."""
    return f"{exact(value):.{scale}f}"


def _log2(x: Value) -> Value:
    return math.log2(x) if x > 0 else None


def _log10(x: Value) -> Value:
    return math.log10(x) if x > 0 else None


def _degrees(x: Value) -> Value:
    return x * (180.0 / math.pi)


def _radians(x: Value) -> Value:
    return x * (math.pi / 180.0)


def _shift_left(x: Value, n: Value) -> Value:
    return shift(x, n, left=True)


def _shift_right(x: Value, n: Value) -> Value:
    return shift(x, n, left=False)


def _xor(a: Value, b: Value) -> Value:
    return signed(a ^ b)


FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    "single": (1, round_float32),
    "plus": (2, plus),
    "minus": (2, minus),
    "times": (2, times),
    "add": (2, _decimal(WIDE.add)),
    "subtract": (2, _decimal(WIDE.subtract)),
    "multiply": (2, _decimal(WIDE.multiply)),
    "decimal_mod": (2, decimal_mod),
    "float_mod": (2, float_mod),
    "div": (2, whole_division),
    "round_exact": (2, round_exact),
    "round_float": (2, round_float),
    "truncate_exact": (2, truncate_exact),
    "truncate_float": (2, truncate_float),
    "ceil": (1, whole(math.ceil)),
    "floor": (1, whole(math.floor)),
    "log": (-1, logarithm),
    "log2": (1, _log2),
    "log10": (1, _log10),
    "sqrt": (1, real(math.sqrt)),
    "exp": (1, math.exp),
    "pow": (2, power),
    "sin": (1, math.sin),
    "cos": (1, math.cos),
    "tan": (1, math.tan),
    "asin": (1, real(math.asin)),
    "acos": (1, real(math.acos)),
    "atan": (1, math.atan),
    "atan2": (2, math.atan2),
    "degrees": (1, _degrees),
    "radians": (1, _radians),
    "shift_left": (2, _shift_left),
    "shift_right": (2, _shift_right),
    "xor": (2, _xor),
    "to_integer": (1, to_integer),
    "decimal_to_integer": (1, decimal_to_integer),
    "to_decimal": (3, to_decimal),
    "decimal_text": (2, decimal_text),
}
