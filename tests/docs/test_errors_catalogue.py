"""What wrong inputs are answered: read it as documentation.

Each entry is an input and the words of its message that say what was wrong, where, and what to do.
None of them changes anything in the database. Wrong rows are in test_errors_rows.py.
"""

from __future__ import annotations

import re

import pytest

import djq as dj
from djq.errors import ConfigError, DefinitionError, QueryError
from djq.settings import load
from djq.tables.connection import Connection

# --- definitions --------------------------------------------------------------------------------

#: Definition of a class `Wrong`; where the message points; what it says. The whole language is in
#: test_errors_definitions.py.
DEFINITIONS = {
    "misspelled type": (
        "x : int32\n---\ngain : flot32   # amplifier gain",
        "line 3, column 8",
        'unknown type "flot32" in Wrong|Did you mean "float32"?|Known types: bool',
    ),
    "unknown codec": (
        "x : int32\n---\ny : <blop>",
        "line 3, column 5",
        'unknown codec "blop" in Wrong|Did you mean "blob"?',
    ),
    "unknown table": (
        "-> Subjct",
        "line 1, column 4",
        'unknown table "Subjct" in Wrong|Did you mean "Subject"?',
    ),
    "reference to something else": ("-> re.compile", "line 1", "is not a declared table"),
    "name with another meaning": (
        "subject : int32\n-> Subject",
        "line 2",
        "with another meaning|Rename it: -> Subject.proj(new_name='subject')",
    ),
    "expression of an unknown attribute": (
        "x : int32\n---\ny : int32\nindex((z + 1))",
        "line 4, column 8",
        'unknown attribute "z"|Known: x, y',
    ),
}


@pytest.fixture
def schema(local_settings):
    connection = Connection(local_settings)
    schema = dj.Schema("lab", connection=connection)

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(10)
        weight = null : float64
        born = null : date
        photo = null : <blob>
        notes = null : json
        """

    @schema
    class Visit(dj.Manual):
        definition = """
        -> Subject
        visit : int16
        ---
        name : varchar(10)
        """

    Subject.insert([(1, "Ada", 20.0, None, None, None), (2, "Bob", None, None, None, None)])
    yield schema
    connection.close()


def assert_says(error, words):
    for word in words.split("|"):
        assert word in str(error.value), f"{word!r} is not in:\n{error.value}"


def declare(schema, definition, name="Wrong", base=dj.Manual, **more):
    # Where the pipeline's other tables are known by name.
    Subject = schema.tables["Subject"]  # noqa: F841, N806
    return schema(type(name, (base,), {"definition": definition, "__module__": __name__, **more}))


def wrong_tables(schema):
    tables = schema.connection.database.catalog.columns(schema.name)
    return [t for t in tables if "wrong" in t]


@pytest.mark.parametrize("case", DEFINITIONS)
def test_a_wrong_definition(schema, case):
    definition, place, words = DEFINITIONS[case]

    with pytest.raises(DefinitionError) as error:
        declare(schema, definition)

    assert_says(error, words)
    assert place in str(error.value)
    if place:
        # The line is shown, and what is wrong in it is marked.
        number = int(re.search(r"line (\d+)", place)[1])
        shown = str(error.value).splitlines()
        at = shown.index(f"    {definition.splitlines()[number - 1]}")
        column = int(re.search(r"column (\d+)", str(error.value))[1])
        assert shown[at + 1].index("^") == 4 + column - 1
    assert "Wrong" not in schema.tables
    assert not wrong_tables(schema)


def part(definition):
    return type("Piece", (dj.Part,), {"definition": definition, "__module__": __name__})


CLASSES = {
    "not a table": (lambda schema: schema(int), "is not a table: derive it from dj.Manual"),
    "no definition": (lambda schema: declare(schema, ""), "Wrong has no definition"),
    "bad class name": (
        lambda schema: declare(schema, "x : int32", name="wrong_name"),
        'bad class name "wrong_name"|CamelCase',
    ),
    "a part by itself": (
        lambda schema: declare(schema, "x : int32", base=dj.Part),
        "Wrong is a part: nest it in its master's class",
    ),
    "a part without its master": (
        lambda schema: declare(schema, "x : int32", Piece=part("y : int32")),
        "Wrong.Piece is a part and does not refer to its master: add the line -> master",
    ),
    "a wrong part": (
        lambda schema: declare(schema, "x : int32", Piece=part("-> master\ny : in32")),
        'unknown type "in32" in Wrong.Piece, line 2, column 5',
    ),
    "a computed table whose key takes a job's name": (
        lambda schema: declare(schema, "-> Subject.proj(status='subject')", base=dj.Computed),
        '"status"|job',
    ),
    "a name that is too long": (
        lambda schema: declare(schema, "x : int32", name="W" + "o" * 64),
        "65 characters, 64 fit",
    ),
    "a bad schema name": (lambda _: dj.Schema("my lab"), 'bad schema name "my lab"'),
    "a long comment": (
        lambda schema: declare(schema, f"x : int32 # {'c' * 1100}"),
        "Wrong, line 1|comment|1024",
    ),
    "a long table comment": (
        lambda schema: declare(schema, f"# {'c' * 2100}\nx : int32"),
        "Wrong, line 1|comment|2048",
    ),
}


@pytest.mark.parametrize("case", CLASSES)
def test_a_wrong_class(schema, case):
    make, words = CLASSES[case]

    with pytest.raises(DefinitionError) as error:
        make(schema)

    assert_says(error, words)
    assert not wrong_tables(schema)


# --- queries ------------------------------------------------------------------------------------

QUERIES = {
    "unknown attribute": (
        lambda s, v: s & "wieght > 3",
        'unknown attribute "wieght" in the condition, column 1|^^^^^^|Did you mean "weight"?',
    ),
    "unknown attribute behind others": (
        lambda s, v: s & "weight > 3 and x = 1",
        'unknown attribute "x" in the condition, column 16',
    ),
    "attribute of a table": (lambda s, v: s & "subject.name = 'a'", "without a table"),
    "text that is no condition": (lambda s, v: s & "weight >", "cannot read the condition"),
    "empty text": (lambda s, v: s & "", "the condition is empty: leave it out"),
    "two statements": (lambda s, v: s & "1; drop table x", "further statements are not allowed"),
    "statement": (lambda s, v: s & "select 1", "condition"),
    "comment": (lambda s, v: s & "weight > 3 -- really", "comments"),
    "subquery": (
        lambda s, v: s & "subject in (select 1)",
        "subqueries are not allowed|restrict by",
    ),
    "unknown function": (
        lambda s, v: s & "absolute(weight) > 1",
        "the function absolute is not on the list|Known: abs",
    ),
    "dangerous function": (lambda s, v: s & "sleep(5)", "the function sleep is not on the list"),
    "arguments": (lambda s, v: s & "round(weight, 1, 2) > 1", "condition"),
    "aggregate in a condition": (lambda s, v: s & "max(weight) > 1", "max combines rows|aggr"),
    "bad date": (lambda s, v: s & "born > 'yesterday'", "\"born\" : date with 'yesterday'"),
    "bad value": (lambda s, v: s & {"subject": "x"}, "cannot compare \"subject\" : int32 with 'x'"),
    "condition by a blob": (lambda s, v: s & {"photo": 5}, 'cannot restrict by "photo"'),
    "condition by json": (lambda s, v: s & {"notes": {"a": 1}}, 'cannot restrict by "notes"'),
    "blob in a condition": (lambda s, v: s & "photo = 'x'", 'cannot restrict by "photo"'),
    "condition by a number": (lambda s, v: s & 5, "cannot restrict by 5: use a mapping"),
    "namesakes": (
        lambda s, v: s * v,
        "join on \"name\"|a value outside of any key|new='name')|A.join(B, semantic_check=False)",
    ),
    "namesakes in a restriction": (
        lambda s, v: s & v,
        'cannot restrict on "name"|A.restrict(B, semantic_check=False)',
    ),
    "namesakes, one of them computed": (
        lambda s, v: s.proj(visit="weight + 1") * v,
        'cannot join on "visit"|On the left it is a computed value, on the right|.visit.visit;',
    ),
    "join with something else": (lambda s, v: s * 5, "5 is not a table or query"),
    "projection of an unknown attribute": (
        lambda s, v: s.proj("wieght"),
        'unknown attribute "wieght"|Did you mean "weight"?',
    ),
    "rename of an unknown attribute": (
        lambda s, v: s.proj(w="wieght"),
        'unknown attribute "wieght"|Did you mean "weight"?',
    ),
    "projection without its key": (lambda s, v: s.proj("-subject"), "it is in the primary key"),
    "projection by a number": (lambda s, v: s.proj(5), "cannot project by 5"),
    "computation of a number": (lambda s, v: s.proj(x=5), "x=5: the right side is"),
    "name twice": (lambda s, v: s.proj("name", name="weight + 1"), 'would have "name" twice'),
    "aggregate in a projection": (lambda s, v: s.proj(n="count(*)"), "count combines rows|aggr"),
    "aggregation of rows without the key": (
        lambda s, v: v.aggr(s, n="count(*)"),
        'the rows to aggregate have no "visit"',
    ),
    "value per row in an aggregation": (
        lambda s, v: s.aggr(v, x="visit"),
        'x="visit" has a value per row|max(visit)',
    ),
    "union of other keys": (
        lambda s, v: s + v,
        "cannot unite rows with the key (subject) and rows with the key (subject, visit)|.proj()",
    ),
    "union of equal secondary attributes": (
        lambda s, v: s + s,
        "cannot unite: both sides have \"name\" outside of their key|.proj(..., new='name')",
    ),
    "all values subtracted": (lambda s, v: s - dj.U("name"), "dj.U is without end"),
    "something subtracted from all values": (
        lambda s, v: dj.U("name") - s,
        "nothing can be subtracted from it|(dj.U(...) & A) - B",
    ),
    "something added to all values": (lambda s, v: dj.U("name") + s, "dj.U is without end"),
    "distinct values of what is no attribute": (
        lambda s, v: dj.U("nam") & s,
        'unknown attribute "nam". Did you mean "name"?',
    ),
    "all values of a number": (lambda s, v: dj.U(5), "dj.U(5): give the names of attributes"),
    "distinct values of something else": (
        lambda s, v: dj.U("name") & "lab.Subject",
        "'lab.Subject' is not a table or query",
    ),
    "value per row in a total": (lambda s, v: dj.U().aggr(s, n="name"), "has a value per row"),
    "left join that could find many": (
        lambda s, v: s.join(v.proj(), left=True),
        "a left join must find at most one row on the right|visit",
    ),
    "extension that could find many": (lambda s, v: s.extend(v.proj()), "its key (subject, visit)"),
    "older join": (lambda s, v: s @ v, "A.join(B, semantic_check=False)"),
    "older restriction": (lambda s, v: s ^ v, "A.restrict(B, semantic_check=False)"),
    "top of a negative number": (lambda s, v: dj.Top(-1), "Top(limit=-1): write a whole number"),
    "top in a list": (
        lambda s, v: s & [dj.Top(1)],
        "says how many rows, not which: restrict by it alone",
    ),
    "top by what is no attribute": (
        lambda s, v: s & dj.Top(1, "wieght"),
        'unknown attribute "wieght". Did you mean "weight"?',
    ),
    "top by a number": (lambda s, v: s & dj.Top(1, 5), "cannot order by 5: write"),
    "top by a list of numbers": (lambda s, v: s & dj.Top(1, [5]), "cannot order by 5: write"),
    "more rows than databases count": (
        lambda s, v: s & dj.Top(2**70),
        "a limit is at most 9223372036854775807",
    ),
    "path that is none": (
        lambda s, v: s & {"notes.a[x]": 1},
        '"notes.a[x]" is neither an attribute nor a path into one, as in "notes.key[0]"',
    ),
    "top subtracted": (lambda s, v: s - dj.Top(1), "says how many rows, not which"),
    "aggregate of an aggregate": (
        lambda s, v: s.aggr(v, x="max(count(visit))"),
        "count within max",
    ),
    "order by nothing known": (lambda s, v: s.to_dicts(order_by="wieght"), "Did you mean"),
    "bad order": (lambda s, v: s.to_dicts(order_by="name UP"), 'cannot order by "name UP"'),
    "negative limit": (lambda s, v: s.to_dicts(limit=-1), "limit=-1: a limit is 0 or more"),
    "negative offset": (lambda s, v: s.to_dicts(offset=-1), "offset=-1: an offset is 0 or more"),
    "no row": (lambda s, v: (s & "subject=9").fetch1(), "exactly one row|no row"),
    "many rows": (lambda s, v: s.fetch1(), "lab.Subject has 2 rows: restrict it"),
    "fetch of an unknown attribute": (lambda s, v: s.fetch("nmae"), 'Did you mean "name"?'),
}


@pytest.mark.parametrize("case", QUERIES)
def test_a_wrong_query(schema, case):
    ask, words = QUERIES[case]

    with pytest.raises(QueryError) as error:
        ask(schema.tables["Subject"], schema.tables["Visit"])

    assert_says(error, words)


# --- settings -----------------------------------------------------------------------------------

SETTINGS = {
    "misspelled": (
        {"DJQ_REDIS_ULR": "x"},
        "unknown setting DJQ_REDIS_ULR|Did you mean DJQ_REDIS_URL?",
    ),
    "unknown": ({"DJQ_COLOUR": "x"}, "unknown setting DJQ_COLOUR"),
    "database of another kind": (
        {"DJQ_DATABASE_URL": "postgresql://u:hunter2@h/"},
        'DJQ_DATABASE_URL: the URL scheme "postgresql" is not one of|mysql://user:password@host',
    ),
    "no URL": ({"DJQ_DATABASE_URL": "localhost"}, "DJQ_DATABASE_URL: the URL scheme"),
    "database in memory": ({"DJQ_DATABASE_URL": "sqlite://"}, "in memory|sqlite:///path"),
    "port that is none": (
        {"DJQ_DATABASE_URL": "mysql://u:hunter/2@h:3306/"},
        "DJQ_DATABASE_URL: the port is no number|%2F",
    ),
    "queue of another kind": (
        {"DJQ_REDIS_URL": "amqp://u:hunter2@h/"},
        'DJQ_REDIS_URL: the URL scheme "amqp" is not one of',
    ),
    "broker of another kind": (
        {"DJQ_BROKER_URL": "redis://u:hunter2@h/"},
        'DJQ_BROKER_URL: the URL scheme "redis" is not one of|amqp://user:password@host',
    ),
    "duration that is none": ({"DJQ_LEASE_S": "soon"}, "DJQ_LEASE_S|number"),
    "negative duration": ({"DJQ_LEASE_S": "-1"}, "DJQ_LEASE_S|greater than 0"),
    "port out of range": ({"DJQ_FLOWER_PORT": "99999"}, "DJQ_FLOWER_PORT|65535"),
    "bad namespace": ({"DJQ_NAMESPACE": "a b"}, "DJQ_NAMESPACE"),
    "unknown part of a store": (
        {"DJQ_STORES__RAW__URL": "x", "DJQ_STORES__RAW__BUCKET": "y"},
        "DJQ_STORES__RAW__BUCKET",
    ),
    "store without its place": ({"DJQ_STORES__RAW__REGION": "eu"}, "DJQ_STORES__RAW__URL"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_wrong_setting(monkeypatch, case):
    variables, words = SETTINGS[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError) as error:
        load()

    assert_says(error, words)
    assert "hunter" not in str(error.value)


FILES = {
    "not TOML": ("redis_url = redis", "djq.toml|line 1"),
    "unknown name": ('redis_ulr = "redis://h"', "redis_ulr"),
    "wrong value": ('redis_url = "http://h"', 'URL scheme "http"'),
    "wrong kind": ("pipeline = 5", "pipeline"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_settings_file(tmp_path, case):
    text, words = FILES[case]
    (tmp_path / "djq.toml").write_text(text)

    with pytest.raises(ConfigError) as error:
        load()

    for word in words.split("|"):
        assert word.lower() in str(error.value).lower()


def test_a_store_that_other_machines_would_miss(tmp_path):
    settings = load(database_url="mysql://u:p@db.lab.org/", state_dir=tmp_path)

    with pytest.raises(ConfigError) as error:
        settings.store("raw")

    assert_says(error, 'store "raw" is not set|db.lab.org|DJQ_STORES__RAW__URL=s3://bucket/prefix')
