"""Text of users becomes exactly what it says, or is refused."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pytest

from djq.algebra.expressions import Call, Literal, Name
from djq.definition.attributes import Attribute, CodecType, CoreType
from djq.definition.heading import Heading
from djq.errors import QueryError
from djq.sql.conditions import read_text

HEADING = Heading(
    (
        Attribute("a", CoreType("int32"), in_key=True),
        Attribute("b", CoreType("float64")),
        Attribute("s", CoreType("varchar", (20,))),
        Attribute("d", CoreType("decimal", (30, 10))),
        Attribute("day", CoreType("date")),
        Attribute("at", CoreType("datetime", (3,))),
        Attribute("id", CoreType("uuid")),
        Attribute("image", CodecType("blob")),
    )
)
A, B, S = Name("a"), Name("b"), Name("s")


def call(function, *arguments):
    return Call(function, tuple(arguments))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", call("=", A, Literal(1))),
        ("a <> -1", call("!=", A, Literal(-1))),
        ("a != 1.5", call("!=", A, Literal(1.5))),
        ("1 < a", call("<", Literal(1), A)),
        ("`a` >= 1e3", call(">=", A, Literal(1000.0))),
        ("a <=> null", call("<=>", A, Literal(None))),
        ("s = 'it''s'", call("=", S, Literal("it's"))),
        (r"s = 'a\'b\\c\n'", call("=", S, Literal("a'b\\c\n"))),
        ('s = "x -- y ; # z"', call("=", S, Literal("x -- y ; # z"))),
        ("s like 'a%'", call("like", S, Literal("a%"))),
        ("s not like 'a%'", call("not", call("like", S, Literal("a%")))),
        ("a in (1, 2)", call("in", A, Literal(1), Literal(2))),
        ("a not in (1)", call("not", call("in", A, Literal(1)))),
        ("a between 1 and 2", call("between", A, Literal(1), Literal(2))),
        ("a not between 1 and 2", call("not", call("between", A, Literal(1), Literal(2)))),
        ("a is null", call("is null", A)),
        ("a is not null", call("not", call("is null", A))),
        ("a and b or s", call("or", call("and", A, B), S)),
        ("a && b && s", call("and", A, B, S)),
        ("not a", call("not", A)),
        ("a + b * 2", call("+", A, call("*", B, Literal(2)))),
        ("a % 2", call("%", A, Literal(2))),
        ("-a", call("negative", A)),
        ("if(a > 1, 'x', s)", call("if", call(">", A, Literal(1)), Literal("x"), S)),
        ("ifnull(a, 1)", call("coalesce", A, Literal(1))),
        ("count(*)", call("count")),
        ("count(distinct a)", call("count distinct", A)),
        (
            "case a when 1 then 2 else 3 end",
            call("case", call("=", A, Literal(1)), Literal(2), Literal(3)),
        ),
        ("image is null", call("is null", Name("image"))),
        ("day = '2024-02-29'", call("=", Name("day"), Literal(dt.date(2024, 2, 29)))),
        (
            "id = '00000000-0000-0000-0000-000000000007'",
            call("=", Name("id"), Literal(uuid.UUID(int=7))),
        ),
        (
            "d > 1234567890123456789.25",
            call(">", Name("d"), Literal(Decimal("1234567890123456789.25"))),
        ),
        ("s like 'x!_' escape '!'", call("like", S, Literal("x\\_"))),
        ("count(distinct a, b)", call("count distinct", A, B)),
        ("sum(distinct a)", call("sum distinct", A)),
        ("trim('x' from s)", call("trim both", S, Literal("x"))),
        ("length(s)", call("length", S)),
        ("binary s = 'x'", call("=", S, Literal("x"))),
        ("s regexp 'x'", call("regexp", S, Literal("x"))),
        ("a xor b", call("xor", A, B)),
        ("a div 2", call("div", A, Literal(2))),
        ("a | 1", call("|", A, Literal(1))),
        ("now() > day", call(">", call("now"), Name("day"))),
        ("a = 0xFF", call("=", A, Literal(255))),
        (
            "(a, b) in ((1, 2))",
            call("in", call("tuple", A, B), call("tuple", Literal(1), Literal(2))),
        ),
    ],
)
def test_text_is_read_as_mysql_reads_it(text, expected):
    assert read_text(text, HEADING) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a between symmetric 2 and 1",
        "a like any ('x', 'y')",
        "a > any (1)",
        "(a, b)",
        "(a, b) = (1, 2)",
        "(a, b) in (1, 2)",
        "(a, b) in ((1, 2, 3))",
        "count(a, b)",
        "max(a, b)",
        "sum(a order by b)",
        "max(a) over ()",
        "count(*) filter (where a)",
        "greatest(a)",
        "coalesce(a)",
        "abs()",
        "round(a, 1, 2)",
        "a in (select 1)",
        "exists (select 1)",
        "(select 1)",
        "a = 1; delete from t",
        "a = 1) or (1 = 1",
        "a = 1 union select 2",
        "a = 1 -- x",
        "a = 1 # x",
        "a /* x */ = 1",
        "a = 1 /*! or 1 */",
        "a limit 1",
        "a order by b",
        "a group by b",
        "@@version",
        "@a",
        ":a",
        "?",
        "%s",
        "t.a = 1",
        "*",
        "a as b",
        "a::int",
        "cast(a as int)",
        "s collate utf8_bin = 'x'",
        "interval 1 day",
        "sleep(1)",
        "load_file('x')",
        "rand()",
        "user()",
        "x = 1",
        "",
        " ",
        "image = 'x'",
        "id = 'x'",
        "day > '2024-02-30'",
        "s = '\ud800'",
        "(" * 300 + "a" + ")" * 300,
        "a = 1 or " * 20_000 + "a = 1",
    ],
)
def test_what_cannot_be_read_exactly_is_refused(text):
    with pytest.raises(QueryError):
        read_text(text, HEADING)


def test_long_chains_are_not_deep():
    found = read_text(" or ".join(f"a = {i}" for i in range(2_000)), HEADING)

    assert isinstance(found, Call)
    assert len(found.arguments) == 2_000
