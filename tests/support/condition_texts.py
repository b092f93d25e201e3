"""Texts of conditions: from a grammar, spoiled ones, noise, and attacks."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER_NAMES = ("a", "b", "f", "d", "flag", "n")
WHOLE_NAMES = ("a", "flag", "n")
TEXT_NAMES = ("s", "e")
MOMENT_NAMES = ("day", "at")
TEXTS = (
    *("''", "'abc'", '"100%"', "'a_b'", r"'it''s'", r"'\\'", r"'%\_%'", "'{x}'", "':name'", "'%s'"),
    *("'ß'", "'A'", "'low'", "'12'", "' '", "'2024-01-31'", "'; DROP TABLE t'", "'-- x'", "'/*'"),
)
NUMBERS = ("0", "1", "-1", "2", "3.5", "0.1", "1e3", "10", "0x1F", "NULL", "TRUE", "2.675", "-7")
MOMENTS = (
    *("'2024-01-31'", "'2000-02-29 01:02:03'", "CAST('1999-12-31' AS DATE)", "DATE '2024-02-29'"),
    *("'2024-12-31 23:59:59.999999'", "NULL"),
)
UNITS = ("MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
ATTACKS = (
    *("1); DROP TABLE x; --", "a = 1; DELETE FROM t", "'/*", "*/ 1 /*", "1 OR 1=1 -- ", "1 # x"),
    *("a = 1 UNION SELECT 1", "(SELECT SLEEP(1))", "SLEEP(1)", "BENCHMARK(9, SHA2('a', 256))"),
    *(
        "LOAD_FILE('/etc/passwd')",
        "a INTO OUTFILE '/tmp/x'",
        "@@version",
        "@x := 1",
        "\u2018x\u2019",
    ),
    *(
        "a\x00 = 1",
        "'\x00'",
        "a = 1\x00; DROP TABLE t",
        "\u2018 OR 1=1",
        "\uff07",
        "\u02bc or 1",
        "\ud800",
    ),
    *("GET_LOCK('a', 1)", "LAST_INSERT_ID(5)", "a = 1 FOR UPDATE", "a PROCEDURE ANALYSE()", "\\"),
    *("/*!50000 1 */", "/*M! 1 */", "a = 1 LIMIT 1", "1) OR (1", "%s", "%(a)s", ":a", "?", "{a}"),
    *("load_extension('x')", "writefile('x', 'y')", "ATTACH DATABASE 'x' AS y", "PRAGMA x", "$$"),
    *("zeroblob(1e9)", "randomblob(9)", "sqlite_version()", "djq_like(s, 's')", "a.b.c", "`", "'"),
    *("(" * 500, "not " * 500 + "a", "-" * 300 + "a", "a" * 5000, "a=1 and " * 300 + "1", "\t\n"),
    *("REPEAT(REPEAT('x', 1000000), 1000000)", "LPAD('', 2000000000, 'x')", "1e999", "9" * 400),
)
_NOISE = (
    "abs()'\"`;-#/*%_:?{}\\@!=<>&|^~+.,0123456789xe \n\t\x00äß"
    "\u2018\u2019\u201c\u201d\u2028\U0001f600$[]"
)


class Texts:
    """A source of texts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        """Return a text of any sort."""
        roll = self.random.random()
        if roll < 0.55:
            return self.condition(self.random.randint(1, 4))
        if roll < 0.85:
            return self.spoiled(self.condition(self.random.randint(1, 3)))
        if roll < 0.93:
            attack = self.pick(ATTACKS)
            return self.random.choice(
                [attack, f"a = 1 and {attack}", f"s = '{attack}", f"({attack})"]
            )
        return "".join(self.pick(_NOISE) for _ in range(self.random.randint(1, 30)))

    def pick(self, options):
        return self.random.choice(options)

    def spoiled(self, text: str) -> str:
        """Return a text with some characters left out, doubled, moved or replaced."""
        characters = list(text)
        for _ in range(self.random.randint(1, 3)):
            if not characters:
                break
            i = self.random.randrange(len(characters))
            match self.random.randrange(4):
                case 0:
                    del characters[i]
                case 1:
                    characters.insert(i, self.pick(_NOISE))
                case 2:
                    characters[i] = self.pick(_NOISE)
                case _:
                    j = self.random.randrange(len(characters))
                    characters[i], characters[j] = characters[j], characters[i]
        return "".join(characters)

    def condition(self, depth: int) -> str:
        """Return a condition that should be read."""
        n, s, t = (self._some(kind, depth - 1) for kind in (self.number, self.string, self.moment))
        c = self._some(self.condition, depth - 1)
        if depth <= 0:
            return self.pick([f"{n()} > {n()}", "flag", f"{s()} = {s()}", f"{t()} < {t()}"])
        forms: list[Callable[[], str]] = [
            lambda: f"{n()} {self.pick(['=', '<>', '!=', '<', '<=', '>', '>=', '<=>'])} {n()}",
            lambda: f"{s()} {self.pick(['=', '<>', '<', '>=', '<=>'])} {s()}",
            lambda: f"{t()} {self.pick(['=', '<>', '<', '>='])} {t()}",
            lambda: f"({c()}) {self.pick(['AND', 'OR', 'XOR', '&&', '||'])} ({c()})",
            lambda: f"NOT ({c()})",
            lambda: f"!({c()})",
            lambda: f"{s()} {self.pick(['LIKE', 'NOT LIKE', 'REGEXP', 'RLIKE'])} {self._pattern()}",
            lambda: f"{n()} {self.pick(['', 'NOT'])} BETWEEN {n()} AND {n()}",
            lambda: f"{n()} {self.pick(['', 'NOT'])} IN ({n()}, {n()}, 3)",
            lambda: f"{s()} IN ({s()}, 'abc')",
            lambda: f"({c()}) IS {self.pick(['', 'NOT'])} {self.pick(['TRUE', 'FALSE', 'NULL'])}",
            lambda: "(a, e) IN ((1, 'low'), (5, 'high'))",
            lambda: self.pick(["j.x > 1", "j.name = 'Ann'", "j.x:signed IN (1, 2)", "j.n IS NULL"]),
            lambda: self.pick(["j->'$.x' = 2.5", "j->>'$.name' LIKE 'A%'", "JSON_LENGTH(j) > 1"]),
        ]
        return self.pick(forms)()

    def number(self, depth: int) -> str:
        """Return a number."""
        if depth <= 0:
            return self.pick([self.pick(NUMBER_NAMES), self.pick(NUMBERS)])
        n, i, s, t, c = self._parts(depth)
        forms: list[Callable[[], str]] = [
            lambda: f"({n()} {self.pick('+-*/%')} {n()})",
            lambda: f"({n()} {self.pick(['DIV', 'MOD'])} {n()})",
            lambda: f"({i()} {self.pick(['&', '|', '^', '<<', '>>'])} {i()})",
            lambda: f"(-{n()})",
            lambda: (
                f"{self.pick(['ROUND', 'TRUNCATE'])}({n()}, {self.pick(['0', '1', '2', '-1'])})"
            ),
            lambda: f"{self.pick(['ABS', 'CEIL', 'FLOOR', 'SIGN', 'SQRT', 'ROUND'])}({n()})",
            lambda: f"{self.pick(['LN', 'LOG2', 'LOG10', 'SIN', 'ATAN', 'RADIANS'])}({n()})",
            lambda: f"{self.pick(['IF', 'if'])}({c()}, {n()}, {n()})",
            lambda: f"CASE WHEN {c()} THEN {n()} ELSE {n()} END",
            lambda: f"{self.pick(['COALESCE', 'IFNULL', 'NULLIF'])}({n()}, {n()})",
            lambda: f"{self.pick(['GREATEST', 'LEAST'])}({n()}, {n()})",
            lambda: f"{self.pick(['CHAR_LENGTH', 'LENGTH', 'ASCII'])}({s()})",
            lambda: f"LOCATE({s()}, {s()})",
            lambda: f"{self.pick(['YEAR', 'MONTH', 'DAY', 'HOUR', 'SECOND', 'WEEK'])}({t()})",
            lambda: f"{self.pick(['DAYOFWEEK', 'DAYOFYEAR', 'QUARTER', 'MICROSECOND'])}({t()})",
            lambda: f"DATEDIFF({t()}, {t()})",
            lambda: f"TIMESTAMPDIFF({self.pick(UNITS)}, {t()}, {t()})",
            lambda: f"CAST({n()} AS {self.pick(['SIGNED', 'DECIMAL(10, 2)', 'DOUBLE'])})",
            lambda: f"CAST({s()} AS {self.pick(['SIGNED', 'DECIMAL(10, 2)', 'DOUBLE'])})",
            lambda: f"FIELD({s()}, 'abc', 'low')",
            lambda: f"{self.pick(['POW', 'LOG', 'ATAN2', 'MOD'])}({n()}, {n()})",
            lambda: f"{self.pick(['EXP', 'ACOS', 'DEGREES', 'ISNULL', '~-', '- -'])}({i()})",
            lambda: f"{self.pick(['FIND_IN_SET', 'INSTR'])}({s()}, {s()})",
            lambda: f"{self.pick(['WEEKDAY', 'WEEKOFYEAR', 'UNIX_TIMESTAMP'])}({t()})",
            lambda: f"({c()})",
            lambda: f"CASE {i()} WHEN {i()} THEN {n()} WHEN {n()} THEN {i()} END",
        ]
        return self.pick(forms)()

    def whole(self, depth: int) -> str:
        """Return a whole number."""
        if depth <= 0:
            return self.pick([self.pick(WHOLE_NAMES), str(self.random.randint(-9, 70))])
        return self.pick(
            [
                f"CHAR_LENGTH({self.string(depth - 1)})",
                f"(a + {self.whole(depth - 1)})",
                f"({self.whole(depth - 1)} {self.pick('&|^*-')} {self.whole(depth - 1)})",
            ]
        )

    def string(self, depth: int) -> str:
        """Return text."""
        if depth <= 0:
            return self.pick([self.pick(TEXT_NAMES), self.pick(TEXTS)])
        n, i, s, t, c = self._parts(depth)
        del n
        forms: list[Callable[[], str]] = [
            lambda: f"CONCAT({s()}, {s()}, {i()})",
            lambda: f"CONCAT_WS({s()}, {s()}, {s()})",
            lambda: f"{self.pick(['UPPER', 'LOWER', 'TRIM', 'RTRIM', 'REVERSE', 'HEX'])}({s()})",
            lambda: f"SUBSTRING({s()}, {i()}, {i()})",
            lambda: f"{self.pick(['LEFT', 'RIGHT', 'SUBSTR'])}({s()}, {i()})",
            lambda: f"REPLACE({s()}, {s()}, {s()})",
            lambda: f"{self.pick(['LPAD', 'RPAD'])}({s()}, {i()}, {s()})",
            lambda: f"SUBSTRING_INDEX({s()}, {s()}, {i()})",
            lambda: f"IF({c()}, {s()}, {s()})",
            lambda: f"DATE_FORMAT({t()}, '%Y-%m %H %i %W %j')",
            lambda: f"{self.pick(['REPEAT', 'MID'])}({s()}, {i()})",
            lambda: f"TRIM({self.pick(['LEADING', 'TRAILING', 'BOTH'])} {s()} FROM {s()})",
            lambda: f"{self.pick(['DAYNAME', 'MONTHNAME'])}({t()})",
            lambda: f"SHA2({s()}, {self.pick(['0', '224', '256', '7'])})",
            lambda: f"CAST({self.pick([i, s, t])()} AS CHAR)",
        ]
        return self.pick(forms)()

    def moment(self, depth: int) -> str:
        """Return a date or datetime."""
        if depth <= 0:
            return self.pick([self.pick(MOMENT_NAMES), self.pick(MOMENTS)])
        _, i, s, t, c = self._parts(depth)
        forms: list[Callable[[], str]] = [
            lambda: f"({t()} {self.pick('+-')} INTERVAL {i()} {self.pick(UNITS)})",
            lambda: f"DATE({t()})",
            lambda: f"LAST_DAY({t()})",
            lambda: f"IF({c()}, {t()}, {t()})",
            lambda: f"COALESCE({t()}, {t()})",
            lambda: f"CAST({self.pick([s, t])()} AS {self.pick(['DATE', 'DATETIME'])})",
            lambda: f"GREATEST({t()}, {t()})",
        ]
        return self.pick(forms)()

    def _parts(self, depth: int) -> tuple[Callable[[], str], ...]:
        kinds = (self.number, self.whole, self.string, self.moment, self.condition)
        return tuple(self._some(kind, depth - 1) for kind in kinds)

    def _some(self, kind: Callable[[int], str], depth: int) -> Callable[[], str]:
        return lambda: kind(self.random.randint(0, max(depth, 0)))

    def _pattern(self) -> str:
        return self.pick(["'a%'", "'%b_'", r"'100\%'", "'^a'", "'[A-Z]+'", "'.*'", "'a|b'", "''"])
