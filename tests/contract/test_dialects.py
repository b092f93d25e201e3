"""What every database must do alike: keep, compare, order and refuse the same values."""

from __future__ import annotations

import datetime as dt
import math
import struct
import uuid
from decimal import Decimal

import numpy as np
import pytest

import djq as dj
from djq.errors import BrokenReferenceError, DuplicateError, RowError

moment = dt.datetime.fromisoformat
ALL_BYTES = bytes(range(256))
ODD_TEXTS = [
    "",
    "a",
    "A",
    "ä",
    "a ",
    " a",
    "'",
    '"',
    "''",
    "%",
    "_",
    "\\",
    "\\'",
    "\\\\n",
    "\n\t\r",
    ":x {y} %(z)s %s ?",
    "-- x",
    "; drop table t",
    "`",
    "𝄞 Ω≈ç 日本",
    "e\u0301",
    "\u00e9",
    "NULL",
]

#: Type → values as they come back, in ascending order.
VALUES = {
    "bool": [False, True],
    "int8": [-128, -1, 0, 1, 127],
    "int16": [-(2**15), 0, 2**15 - 1],
    "int32": [-(2**31), 0, 2**31 - 1],
    "int64": [-(2**63), -(2**53) - 1, 0, 2**53 + 1, 2**63 - 1],
    "float32": [-3.4028235e38, -1.1, 0.0, 1e-38, 0.1, 1.1, 1.2345678, 16777216.0, 3.4028235e38],
    "float64": [
        -1.7976931348623157e308,
        -1.1,
        0.0,
        2.2250738585072014e-308,
        0.1,
        1 / 3,
        1e22,
        1.7976931348623157e308,
    ],
    "decimal(15,4)": [Decimal("-99999999999.9999"), Decimal("0.0000"), Decimal("1.1000")],
    "decimal(3,0)": [Decimal(-999), Decimal(0), Decimal(999)],
    # MariaDB orders characters below the blank as if a CHAR had its blanks.
    "char(24)": sorted(t for t in ODD_TEXTS if not t.endswith(" ") and t.isprintable()),
    "varchar(24)": sorted(ODD_TEXTS),
    "enum('zebra','ape','it''s','Ape')": sorted(["zebra", "ape", "it's", "Ape"]),
    "date": [dt.date(1000, 1, 1), dt.date(1969, 12, 31), dt.date(2024, 2, 29), dt.date.max],
    "datetime": [
        moment("1000-01-01 00:00:00"),
        moment("2024-02-29 23:59:59"),
        moment("9999-12-31 23:59:59"),
    ],
    "datetime(3)": [moment("1969-12-31 23:59:59.999000"), moment("2024-01-01 00:00:00")],
    "datetime(6)": [
        moment("1970-01-01 00:00:00.000001"),
        moment("2024-01-01 12:00:00.123456"),
        moment("9999-12-31 23:59:59.999999"),
    ],
    "uuid": [uuid.UUID(int=0), uuid.UUID(int=2**64), uuid.UUID(int=2**128 - 1)],
}
UNORDERED = {
    "bytes": [b"", b"\0", b"a'\\%", ALL_BYTES, bytes(300_000)],
    "json": [
        {"a": [1, 2.5, None, True, {"b": "ü'\"\\%:{x}"}], "": {}},
        [],
        {},
        "text",
        "",
        0,
        1.5,
        True,
        [None],
        2**53,
    ],
}
#: How a value is written in a condition.
TEXT = {
    bool: lambda v: str(v).lower(),
    dt.date: lambda v: f"'{v}'",
    dt.datetime: lambda v: f"'{v}'",
    uuid.UUID: lambda v: f"'{v}'",
    str: lambda v: "'" + v.replace("\\", "\\\\").replace("'", "''") + "'",
    Decimal: str,
    int: str,
    float: repr,
}


def declare(schema, type_, *, name="Thing", key="thing : int32", nullable=True):
    definition = f"{key}\n---\nvalue {'= null' if nullable else ''} : {type_}"
    return schema(type(name, (dj.Manual,), {"definition": definition, "__module__": __name__}))


def declare_keyed(schema, type_):
    text = f"value : {type_}"
    parent = schema(type("Kind", (dj.Manual,), {"definition": text, "__module__": __name__}))
    text = "-> Kind\nn : int8"
    child = schema(type("Item", (dj.Manual,), {"definition": text, "__module__": __name__}))
    return parent, child


def ids(query):
    return sorted(row["thing"] for row in query.proj().to_dicts())


@pytest.mark.parametrize("type_", VALUES)
def test_values_come_back_and_are_found(schema, type_):
    # given
    values = VALUES[type_]
    thing = declare(schema, type_)
    thing.insert([*enumerate(values), (len(values), None)])

    # then they come back
    found = thing.to_dicts(order_by="KEY")
    assert [row["value"] for row in found] == [*values, None]
    assert all(type(row["value"]) is type(values[0]) for row in found[:-1])

    for i, value in enumerate(values):
        # and are found by value, by text, and by their complement
        text = TEXT[type(value)](value)
        others = [j for j in range(len(values)) if j != i]
        assert ids(thing & {"value": value}) == [i], value
        assert ids(thing & f"value = {text}") == [i], text
        assert ids(thing & f"{text} = value") == [i], text
        assert ids(thing & f"value in ({text})") == [i], text
        assert ids(thing & f"value <> {text}") == others
        assert ids(thing - {"value": value}) == [*others, len(values)]
        # in order
        assert ids(thing & f"value > {text}") == list(range(i + 1, len(values)))
        assert ids(thing & f"value <= {text}") == list(range(i + 1))
        assert ids(thing & f"value between {text} and {text}") == [i]
    assert ids(thing & {"value": values}) == list(range(len(values)))
    assert ids(thing & {"value": None}) == [len(values)]
    ordered = [row["value"] for row in thing.to_dicts(order_by="value")]
    assert ordered == [None, *values]


@pytest.mark.parametrize("type_", VALUES)
def test_values_are_keys_and_references(schema, type_):
    # given
    values = VALUES[type_]
    kind, item = declare_keyed(schema, type_)
    kind.insert([(v,) for v in values])
    item.insert([(v, n) for v in values for n in (1, 2)])

    # then
    assert [k["value"] for k in kind.keys(order_by="KEY")] == values
    assert len(item) == 2 * len(values)
    assert len(item * kind) == 2 * len(values)
    for value in values:
        assert {"value": value} in kind
        assert len(item & {"value": value}) == 2
    assert len(item & [{"value": v, "n": 1} for v in values]) == len(values)
    assert len(kind - item) == 0
    assert len(kind - (item & {"value": values[0]})) == len(values) - 1
    with pytest.raises(DuplicateError, match="is in the table already"):
        kind.insert1((values[-1],))


@pytest.mark.parametrize("type_", ["int8", "varchar(4)", "uuid", "date", "float32", "decimal(5,2)"])
def test_a_reference_to_nothing_is_refused(schema, type_):
    _, item = declare_keyed(schema, type_)
    value = {"varchar(4)": "x", "uuid": uuid.UUID(int=7), "date": dt.date(2020, 1, 1)}.get(type_, 1)

    with pytest.raises(BrokenReferenceError, match=r"Item: value=.* is not in .*kind"):
        item.insert1((value, 1))
    assert not item & True


@pytest.mark.parametrize("type_", UNORDERED)
def test_values_that_are_not_compared_come_back(schema, type_):
    values = UNORDERED[type_]
    thing = declare(schema, type_)

    thing.insert([*enumerate(values), (len(values), None)])

    found = [row["value"] for row in thing.to_dicts(order_by="KEY")]
    assert found == [*values, None]
    assert [type(v) for v in found[:-1]] == [type(v) for v in values]
    assert ids(thing & "value is null") == [len(values)]
    assert ids(thing - "value is null") == list(range(len(values)))


@pytest.mark.parametrize(
    ("type_", "given", "kept"),
    [
        ("int32", np.int64(5), 5),
        ("int32", "7", 7),
        ("int32", 3.0, 3),
        ("int32", True, 1),
        ("float32", 1.1, 1.1),
        ("float32", np.float32(1.1), 1.1),
        ("float32", 1 / 3, 0.33333334),
        ("float32", 5, 5.0),
        ("float32", 1e-46, 0.0),
        ("float64", np.float32(0.5), 0.5),
        ("float64", "1e3", 1000.0),
        ("float64", float("nan"), None),
        ("float64", np.float32("nan"), None),
        ("decimal(6,2)", 1.005, Decimal("1.01")),
        ("decimal(6,2)", 2, Decimal("2.00")),
        ("decimal(6,2)", "-0.125", Decimal("-0.13")),
        ("decimal(6,2)", Decimal("NaN"), None),
        ("bool", 1, True),
        ("bool", np.bool_(False), False),
        ("char(5)", "ab  ", "ab"),
        ("varchar(5)", np.str_("ab  "), "ab  "),
        ("date", "2024-02-29", dt.date(2024, 2, 29)),
        ("date", moment("2024-02-29 23:00:00"), dt.date(2024, 2, 29)),
        ("datetime", "2024-02-29 01:02:03", moment("2024-02-29 01:02:03")),
        ("datetime", "2024-02-29T01:02:03.5", moment("2024-02-29 01:02:04")),
        ("datetime", moment("2024-12-31 23:59:59.500000"), moment("2025-01-01 00:00:00")),
        ("datetime", moment("2024-01-01 00:00:00.499999"), moment("2024-01-01 00:00:00")),
        (
            "datetime(3)",
            moment("2024-01-01 00:00:00.001500"),
            moment("2024-01-01 00:00:00.002000"),
        ),
        ("datetime", dt.date(2024, 1, 1), moment("2024-01-01 00:00:00")),
        (
            "datetime",
            dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            moment("2024-01-01 10:00:00"),
        ),
        ("datetime", np.datetime64("2024-01-01T10:00:00"), moment("2024-01-01 10:00:00")),
        ("date", np.datetime64("2024-01-01"), dt.date(2024, 1, 1)),
        ("datetime", np.datetime64("NaT"), None),
        ("uuid", "00000000-0000-0000-0000-000000000007", uuid.UUID(int=7)),
        ("uuid", uuid.UUID(int=7).bytes, uuid.UUID(int=7)),
        ("json", (1, 2), [1, 2]),
        ("json", {1: "a"}, {"1": "a"}),
        ("bytes", bytearray(b"ab"), b"ab"),
        ("bytes", memoryview(b"ab"), b"ab"),
    ],
)
def test_values_are_converted_alike(schema, type_, given, kept):
    thing = declare(schema, type_)

    thing.insert1({"thing": 1, "value": given})

    found = thing.fetch1("value")
    assert found == kept
    assert type(found) is type(kept)
    if kept is not None and type_ not in {"json", "bytes"}:
        assert ids(thing & {"value": given}) == [1]


@pytest.mark.parametrize(
    ("type_", "bad"),
    [
        ("int8", 128),
        ("int8", -129),
        ("int16", 2**15),
        ("int32", -(2**31) - 1),
        ("int64", 2**63),
        ("int32", 1.5),
        ("int32", "x"),
        ("int32", None),
        ("int32", float("nan")),
        ("float32", 1e39),
        ("float32", np.float32("nan")),
        ("float64", float("inf")),
        ("float64", "x"),
        ("float64", "nan"),
        ("decimal(4,2)", 100),
        ("decimal(4,2)", "x"),
        ("decimal(4,2)", Decimal("NaN")),
        ("decimal(4,2)", Decimal("Infinity")),
        ("bool", 2),
        ("bool", "yes"),
        ("char(2)", "abc"),
        ("varchar(2)", "𝄞𝄞𝄞"),
        ("varchar(9)", 5),
        ("varchar(9)", b"x"),
        ("varchar(9)", "\ud800"),
        ("enum('a','b')", "A"),
        ("enum('a','b')", "c"),
        ("enum('a','b')", ["a"]),
        ("enum('a','b')", np.array(["a", "b"])),
        ("date", "2024-02-30"),
        ("date", 20240229),
        ("datetime", "noon"),
        ("datetime", dt.time(12)),
        ("datetime", moment("9999-12-31 23:59:59.999999")),
        ("uuid", "7"),
        ("uuid", b"7"),
        ("json", {"a": {1, 2}}),
        ("json", float("inf")),
        ("bytes", "text"),
        ("bytes", np.zeros(3)),
        ("int32", np.arange(3)),
        ("bool", np.arange(3)),
        ("float64", [1.0]),
    ],
)
def test_values_that_do_not_fit_are_refused_alike(schema, type_, bad):
    thing = declare(schema, type_, nullable=False)

    with pytest.raises(RowError, match=r'Thing, row 2, attribute "value": '):
        thing.insert([{"thing": 1, "value": good(type_)}, {"thing": 2, "value": bad}])
    assert len(thing) == 0


def good(type_):
    named = {"date": "2024-01-01", "datetime": "2024-01-01", "uuid": uuid.UUID(int=1), "bytes": b""}
    if type_.startswith(("char", "varchar", "enum")):
        return "a"
    return named.get(type_, 1)


def test_a_decimal_is_exact_or_refused(schema):
    """SQLite's numbers keep 15 digits; what does not fit must not be changed in silence."""
    thing = declare(schema, "decimal(30,10)")
    long, short = Decimal("12345678901234567890.0123456789"), Decimal("1234567890.1234500000")

    thing.insert1((1, short))
    if schema.connection.database.dialect.is_sqlite:
        with pytest.raises(RowError, match="15 digits"):
            thing.insert1((2, long))
    else:
        thing.insert1((2, long))
        assert (thing & {"thing": 2}).fetch1("value") == long
        assert ids(thing & {"value": long}) == [2]
        assert ids(thing & f"value = {long}") == [2]

    assert (thing & {"thing": 1}).fetch1("value") == short
    assert ids(thing & {"value": short}) == [1]


def test_every_float32_is_kept(schema):
    """A thousand bit patterns: each comes back as the same float32 and is found by its value."""
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2**32, 1_500, dtype=np.uint32)
    values = bits.view(np.float32)
    values = np.unique(values[np.isfinite(values)])
    thing = declare(schema, "float32")

    thing.insert(enumerate(values))

    found = [row["value"] for row in thing.to_dicts(order_by="KEY")]
    assert [struct.pack("f", v) for v in found] == [v.tobytes() for v in values]
    for i in range(0, len(values), 40):
        assert ids(thing & {"value": float(values[i])}) == [i]
        assert ids(thing & {"value": found[i]}) == [i]


def test_every_float64_is_kept(schema):
    rng = np.random.default_rng(7)
    values = rng.integers(0, 2**64, 1_500, dtype=np.uint64).view(np.float64)
    values = np.unique(values[np.isfinite(values)])
    thing = declare(schema, "float64")

    thing.insert(enumerate(values))

    found = [row["value"] for row in thing.to_dicts(order_by="KEY")]
    assert found == values.tolist()
    assert not any(math.isnan(v) for v in found)


def test_texts_are_equal_only_if_every_character_is(schema):
    kind, _ = declare_keyed(schema, "varchar(8)")
    words = ["a", "A", "a ", "á", "a\u0301", "ß", "ss", ""]

    kind.insert([(w,) for w in words])

    assert len(kind) == len(words)
    for word in words:
        assert kind.fetch("value", order_by="KEY").tolist() == sorted(words)
        assert (kind & {"value": word}).fetch1("value") == word


def test_patterns_match_by_case_with_escapes(schema):
    thing = declare(schema, "varchar(20)")
    thing.insert(enumerate(["Abc", "abc", "100%", "1000", "a_c", "back\\slash"]))

    assert ids(thing & "value like 'a%'") == [1, 4]
    assert ids(thing & r"value like '100\%'") == [2]
    assert ids(thing & r"value like 'a\_c'") == [4]
    assert ids(thing & r"value like '%\\\\%'") == [5]
    assert ids(thing & "value not like '%c'") == [2, 3, 5]


def test_defaults_are_filled_in_by_the_database_too(schema):
    """Other clients insert without djq: the defaults are in the table itself."""
    definition = """
    thing : int32
    ---
    i = -5 : int32
    f = 1.5 : float64
    g = 1.1 : float32
    d = 2.50 : decimal(6,2)
    b = true : bool
    t = "it's 100% \\\\ :x" : varchar(20)
    u = '' : varchar(20)
    e = "b" : enum('a','b')
    day = "2020-02-29" : date
    moment = "2020-02-29 01:02:03" : datetime
    now = CURRENT_TIMESTAMP : datetime(3)
    n = null : int32
    id = "00000000-0000-0000-0000-000000000007" : uuid
    """
    thing = schema(type("Thing", (dj.Manual,), {"definition": definition, "__module__": __name__}))
    expected = {
        "i": -5,
        "f": 1.5,
        "g": 1.1,
        "d": Decimal("2.50"),
        "b": True,
        "t": "it's 100% \\\\ :x",
        "u": "",
        "e": "b",
        "day": dt.date(2020, 2, 29),
        "moment": moment("2020-02-29 01:02:03"),
        "n": None,
        "id": uuid.UUID(int=7),
    }

    thing.insert1({"thing": 1})

    row = thing.fetch1()
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    assert abs(row.pop("now") - now) < dt.timedelta(minutes=1)
    assert row == {"thing": 1, **expected}


def test_odd_comments_do_not_reach_sql(schema):
    definition = """
    # table's "comment" \\ 100% :x {y} -- ; `
    thing : int32      # it's "odd" \\ 100% :x {y} %(z)s ? -- ; ` ü 𝄞 # more
    ---
    value = null : varchar(20)  #
    """
    thing = schema(type("Thing", (dj.Manual,), {"definition": definition, "__module__": __name__}))

    again = schema(type("Thing", (dj.Manual,), {"definition": definition, "__module__": __name__}))

    thing.insert1((1, "x"))
    assert again.fetch1("value") == "x"
    assert again.heading["thing"].comment == 'it\'s "odd" \\ 100% :x {y} %(z)s ? -- ; ` ü 𝄞 # more'
