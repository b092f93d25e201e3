"""What is not read is refused by name, with the place where there is one."""

from __future__ import annotations

import random
import re

import pytest

from djq.algebra.aggregating import aggregate_by
from djq.algebra.conditions import ConditionReader
from djq.algebra.nodes import Relation
from djq.algebra.operators import project
from djq.definition.attributes import Attribute, CodecType, CoreType
from djq.definition.constraints import TableName
from djq.definition.heading import Heading
from djq.errors import ConfigError, QueryError
from djq.settings import load
from djq.sql.conditions import read_text, text_reader
from tests.support.examples import examples

HEADING = Heading(
    (
        Attribute("a", CoreType("int32"), in_key=True),
        Attribute("b", CoreType("float64")),
        Attribute("s", CoreType("varchar", (20,))),
        Attribute("day", CoreType("date")),
        Attribute("name", CoreType("varchar", (20,))),
        Attribute("key", CoreType("int32")),
        Attribute("j", CoreType("json")),
        Attribute("image", CodecType("blob")),
    )
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1; DROP TABLE x", r"column 6: .*';' and further statements are not allowed"),
        ("a == 1", r"column 3: '==' is Python's; write '='\n    a == 1\n      \^\^"),
        ("a = 1 -- x", r"column 7: comments"),
        ("a = 1 # x", r"column 7: comments"),
        ("a /* x */ = 1", r"column 3: comments"),
        ("a = 1 /*! or 1 */", r"column 7: comments"),
        ("a in (select 1)", r"column 7: subqueries are not allowed; restrict by a table or query"),
        ("exists (select 1)", r"subqueries are not allowed"),
        ("a = 1 union select 2", r"subqueries are not allowed"),
        ("@x = 1", r"column 1: variables"),
        ("@@version", r"variables"),
        ("a = ?", r"column 5: placeholders"),
        ("a = :x", r"column 5: placeholders"),
        ("max(a) over ()", r"window functions"),
        ("t.a = 1", r"write the attribute alone, without a table"),
        ("a.b = 1", r'"a" is int32, not json, and has no paths'),
        ("cout(a)", r"the function cout is not on the list\. Did you mean \w+\?"),
        ("sum(max(a))", r"max within sum: use aggr twice"),
        ("a::int", r"'::' is not allowed"),
        ("s = 5", r"a whole number and text: convert one of them"),
        ("a = 'x'", r"'x' is not a number"),
        ("day = 5", r"a date and a whole number"),
        ("day > '2024-02-30'", r"cannot compare"),
        ("concat(s, b)", r"say how many, as in CAST\(x AS DECIMAL"),
        ("s + 1", r"\+ takes a whole number or a decimal or a number, not text"),
        ("day + 1", r"not a date"),
        ("day + interval 1 day_hour", r"'DAY_HOUR' is not a unit of time"),
        ("day + interval 1.5 day", r"whole number"),
        ("interval 1 day", r"an INTERVAL is added to a date"),
        ("a = b = (a < b) = (a = (b < a) < b)", r"write parentheses"),
        ("s regexp ''", r"the pattern is empty"),
        ("s like 'x' escape 'ab'", r"an escape is one character"),
        ("s collate utf8_bin = 'x'", r"not supported"),
        ("cast(a as binary(3))", r"BINARY and CONVERT"),
        ("cast(a as json)", r"CAST to JSON is not supported"),
        ("j = 5", r"values of json are not compared"),
        ("j.a.b:strange = 5", r'"strange" is not a type of a value within JSON'),
        ("j->'$.a[*]' = 5", r"not a path into JSON of keys and numbers"),
        ("json_contains(j, 'abc')", r"is not JSON"),
        ("image = 'x'", r"values of <blob> are not compared"),
        ("1e999", r"larger than any number"),
        ("(" * 200 + "a" + ")" * 200, r"nested too deeply"),
        ("not " * 90 + "a", r"nested too deeply"),
        ("'" + "x" * 200_000 + "'", r"200002 characters, 100000 are allowed"),
        ("", r"the condition is empty"),
        ("a = 'abc", r"cannot read the condition, column 5: this quote is not closed"),
        ('s = "it\\"', r"column 5: this quote is not closed"),
        ("a = 1 and (b", r"cannot read the condition, column 11: this parenthesis is not closed"),
        ("a >", r"cannot read the condition, column 4: the text ends where more is expected"),
        ("a = = 1", r"cannot read the condition, column 5: '=' is not expected here"),
        ("a b", r"column 3: 'b' is not expected here"),
        ("a = 1 and\n  b c", r"line 2, column 5: 'c' is not expected here"),
        ("cast(a, signed)", r"column 9: 'signed' is not expected here"),
        ("a in (1", r"column 6: this parenthesis is not closed"),
        ("a /* b", r"column 3: comments"),
        ("a, b", r"cannot read the condition 'a, b': values with commas are no expression"),
        ("s = '\ud800'", r"column 6: this is half of a character"),
        ("a = 1) or (1 = 1", r"column 6: this parenthesis closes nothing"),
    ],
)
def test_the_message_says_what_is_wrong(text, message):
    with pytest.raises(QueryError, match=message):
        read_text(text, HEADING)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("name = 1 and nam = 2", "column 14"),
        ("s = 'nam' and nam = 2", "column 15"),
        ("s = 'nam\n' and nam", "line 2, column 7"),
    ],
)
def test_the_place_of_an_unknown_name_is_that_of_the_word(text, column):
    with pytest.raises(QueryError) as caught:
        read_text(text, HEADING)

    lines = str(caught.value).split("\n")
    assert lines[0] == f'unknown attribute "nam" in the condition, {column}'
    assert lines[1][lines[2].index("^") :].startswith("nam")
    assert lines[3].startswith('Did you mean "name"? Known: a, b, s, day,')


@pytest.mark.parametrize("text", ["key = 1", "`key` = 1", "name = 'x'", "day > '2024-01-01'"])
def test_words_of_sql_may_be_names(text):
    read_text(text, HEADING)


def test_functions_of_the_settings_are_on_the_list():
    settings = load(functions="SoundEx, crc32")

    read = text_reader(settings.functions)

    assert read("soundex(s) = 'A500'", HEADING)
    with pytest.raises(QueryError, match="the function soundex is not on the list"):
        read_text("soundex(s) = 'A500'", HEADING)


def test_only_names_are_functions_of_the_settings():
    with pytest.raises(ConfigError, match=r"'a\(b' is not the name of a function"):
        load(functions=("a(b",))


@pytest.mark.parametrize("name", ["a.b", "a[0]"])
def test_a_mapping_has_no_paths_into_other_types(name):
    with pytest.raises(QueryError, match="not json, and has no paths"):
        ConditionReader(read_text).read({name: 1}, HEADING)


#: Characters from which no expression is made, one after another.
NOISE = (
    "a b = > < ( ) , ' ` \" . 1 and case when cast as in [ ] { } not null interval day -> * like"
)


def test_what_cannot_be_read_is_shown_in_the_words_of_the_text_with_its_place():
    source, pieces = random.Random(1), NOISE.split()

    for _ in range(examples(400)):
        text = " ".join(source.choices(pieces, k=source.randint(1, 8)))
        try:
            read_text(text, HEADING)
        except QueryError as error:
            message = str(error)
            assert not re.search(r"sqlglot|SELECT 1|WHERE \(|[Tt]oken|Required", message)
            if message.startswith("cannot read"):
                assert text in message or repr(text) in message
                assert "^" in message or "no expression" in message


def test_the_mark_stands_under_the_word_that_is_not_expected():
    with pytest.raises(QueryError) as caught:
        read_text("a = 1 and\n  b c", HEADING)

    assert str(caught.value).split("\n")[1:] == ["      b c", "        ^"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b >", 'cannot read the expression of "x", column 4: the text ends where'),
        ("nam", 'unknown attribute "nam" in the expression of "x", column 1'),
        ("s + 1", "cannot use the expression of \"x\" 's [+] 1': [+] takes a whole number"),
        ("", 'the expression of "x" is empty'),
    ],
)
def test_a_computed_attribute_is_named_instead_of_a_condition(text, message):
    relation = Relation(TableName("lab", "value"), HEADING)

    with pytest.raises(QueryError, match=message):
        project(relation, (), {"x": text}, read_text)
    with pytest.raises(QueryError, match=message):
        aggregate_by(relation, (), {"x": text}, read_text)
