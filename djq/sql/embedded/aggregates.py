"""Aggregates that SQLite lacks, or has in another way than MySQL."""

from __future__ import annotations

import decimal
import math
from typing import TYPE_CHECKING

from djq.sql.embedded.numbers import WIDE, exact, signed

if TYPE_CHECKING:
    from djq.definition.acceptance import Value


class DecimalSum:
    """SUM of decimals, exact."""

    def __init__(self) -> None:
        self.total: decimal.Decimal | None = None

    def step(self, value: Value) -> None:
        """Add a value."""
        if value is not None:
            start = self.total if self.total is not None else decimal.Decimal(0)
            self.total = WIDE.add(start, exact(value))

    def finalize(self) -> float | None:
        """Return the sum; of nothing: null."""
        return None if self.total is None else float(self.total)


class Spread:
    """The variance by Welford's recurrence, as MySQL computes it."""

    degrees = 0
    is_deviation = False

    def __init__(self) -> None:
        self.n, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, value: Value) -> None:
        """Take a value in."""
        if value is not None:
            self.n += 1
            before = self.mean
            self.mean += (float(value) - before) / self.n
            self.squares += (float(value) - before) * (float(value) - self.mean)

    def finalize(self) -> float | None:
        """Return the variance or its root; null for too few values."""
        if self.n <= self.degrees:
            return None
        variance = self.squares / (self.n - self.degrees)
        return math.sqrt(variance) if self.is_deviation else variance


class SampleSpread(Spread):
    """The variance of a sample."""

    degrees = 1


class Deviation(Spread):
    """The standard deviation."""

    is_deviation = True


class SampleDeviation(Deviation):
    """The standard deviation of a sample."""

    degrees = 1


class BitAnd:
    """BIT_AND; of nothing: all bits."""

    def __init__(self) -> None:
        self.bits = -1

    def step(self, value: Value) -> None:
        """Take a value in."""
        if value is not None:
            self.bits &= value

    def finalize(self) -> int:
        """Return 64 bits with a sign."""
        return signed(self.bits)


class BitOr(BitAnd):
    """BIT_OR; of nothing: 0."""

    def __init__(self) -> None:
        self.bits = 0

    def step(self, value: Value) -> None:
        """Take a value in."""
        self.bits |= value or 0


class BitXor(BitOr):
    """BIT_XOR; of nothing: 0."""

    def step(self, value: Value) -> None:
        """Take a value in."""
        self.bits ^= value or 0


class CountDistinct:
    """COUNT(DISTINCT a, b): combinations without null."""

    def __init__(self) -> None:
        self.seen: set[tuple[Value, ...]] = set()

    def step(self, *values: Value) -> None:
        """Take a combination in."""
        if None not in values:
            self.seen.add(values)

    def finalize(self) -> int:
        """Return how many there are."""
        return len(self.seen)


class GroupConcat:
    """GROUP_CONCAT with an order: text, separator, "is distinct", then keys and "is descending"."""

    def __init__(self) -> None:
        self.items: list[tuple[str, tuple[Value, ...]]] = []
        self.separator, self.is_distinct = ",", 0
        self.directions: tuple[Value, ...] = ()

    def step(self, value: Value, separator: str, is_distinct: int, *order: Value) -> None:
        """Take a value in."""
        self.separator, self.is_distinct, self.directions = separator, is_distinct, order[1::2]
        if value is not None:
            self.items.append((str(value), order[0::2]))

    def finalize(self) -> str | None:
        """Return the texts in order; of nothing: null."""
        if not self.items:
            return None
        items = sorted(self.items, key=lambda item: item[0])
        for i in reversed(range(len(self.directions))):
            items.sort(key=lambda item: _order(item[1][i]), reverse=bool(self.directions[i]))
        texts = [text for text, _ in items]
        return self.separator.join(dict.fromkeys(texts) if self.is_distinct else texts)


def _order(value: Value) -> tuple[int, Value]:
    return (0, 0) if value is None else (1, value)


AGGREGATES: dict[str, tuple[int, type]] = {
    "sum_decimal": (1, DecimalSum),
    "var_pop": (1, Spread),
    "var_samp": (1, SampleSpread),
    "stddev_pop": (1, Deviation),
    "stddev_samp": (1, SampleDeviation),
    "bit_and": (1, BitAnd),
    "bit_or": (1, BitOr),
    "bit_xor": (1, BitXor),
    "count_distinct": (-1, CountDistinct),
    "group_concat": (-1, GroupConcat),
}
