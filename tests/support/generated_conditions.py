"""Generated conditions of all forms that say nothing of other queries, each beside its truth."""

from __future__ import annotations

import datetime as dt
import operator
from dataclasses import dataclass

from tests.support.generated_tables import TYPES
from tests.support.relational_model import conjunction, disjunction, known, negation

SIGNS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """What stands behind `&`, its truth for a row, and how to write it."""

    given: object
    truth: object
    text: str


def word_of(value):
    """Return a value as text of a condition."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, dt.date):
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Conditions:
    """Draws conditions; `chance` is the source of all choices."""

    def __init__(self, chance):
        self.chance = chance

    def _atom(self, typed):  # noqa: PLR0911 - one per form
        if not typed:
            return self.chance.choice([("1 = 1", lambda _: True), ("1 > 2", lambda _: False)])
        name, kind = self.chance.choice(typed)
        values = TYPES[kind][1]
        value = self.chance.choice(values)
        match self.chance.choice(["sign", "sign", "sign", "pair", "null", "in", "between"]):
            case "null":
                return self.chance.choice(
                    [
                        (f"{name} is null", lambda row: row[name] is None),
                        (f"{name} is not null", lambda row: row[name] is not None),
                    ]
                )
            case "in":
                some = self.chance.sample(values, 2)
                text = f"{name} in ({', '.join(map(word_of, some))})"
                return text, known(lambda v: v in some, name)
            case "between" if kind != "bool":
                low, high = value, self.chance.choice(values)
                text = f"{name} between {word_of(low)} and {word_of(high)}"
                return text, known(lambda v: low <= v <= high, name)
            case "pair" if others := [n for n, k in typed if k == kind and n != name]:
                sign, other = self.chance.choice(list(SIGNS)), self.chance.choice(others)
                return f"{name} {sign} {other}", known(SIGNS[sign], name, other)
        if kind == "bool" and self.chance.random() < 0.5:
            return name, known(bool, name)
        sign = self.chance.choice(["=", "<>"] if kind in {"enum", "bool"} else list(SIGNS))
        if self.chance.random() < 0.2:
            return f"{word_of(value)} {sign} {name}", known(lambda v: SIGNS[sign](value, v), name)
        return f"{name} {sign} {word_of(value)}", known(lambda v: SIGNS[sign](v, value), name)

    def words(self, typed, depth=2):
        """Return a condition in text and its truth."""
        kind = self.chance.choice(["atom", "atom", "and", "or", "not"]) if depth else "atom"
        if kind == "atom":
            return self._atom(typed)
        text, truth = self.words(typed, depth - 1)
        if kind == "not":
            return f"not ({text})", negation(truth)
        other, its = self.words(typed, depth - 1)
        combine = conjunction if kind == "and" else disjunction
        return f"({text}) {kind} ({other})", combine([truth, its])

    def mapping(self, typed):
        """Return one mapping, or several of the same names as a list."""
        names = self.chance.sample(typed, self.chance.randint(0, min(3, len(typed))))
        count = self.chance.choice([1, 1, 1, 2, 3])
        given = []
        for _ in range(count):
            is_unset = [self.chance.random() < 0.1 for _ in names]
            values = [self.chance.choice(TYPES[kind][1]) for _, kind in names]
            given.append(
                {
                    n: None if unset else v
                    for (n, _), v, unset in zip(names, values, is_unset, strict=True)
                }
            )
        if self.chance.random() < 0.1:
            given[0]["no_such_attribute"] = 1

        def truth(row):
            return any(all(row.get(n, v) == v for n, v in g.items()) for g in given)

        shown = given[0] if count == 1 else given
        return Condition(shown, truth, repr(shown))
