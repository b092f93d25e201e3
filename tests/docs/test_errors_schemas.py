"""What wrong uses of schemas and classes are answered: read it as documentation.

Each entry is a wrong use, the class of its error and the whole message. Nothing is changed in the
database by any of them.
"""

from __future__ import annotations

import types

import pytest

import djq as dj
from djq.errors import DefinitionError, MissingTableError, UsageError


@pytest.fixture
def connection(local_settings):
    opened = dj.Connection(local_settings)
    yield opened
    opened.close()


@pytest.fixture
def schema(connection):
    schema = dj.Schema("lab", connection=connection)

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        """

    @schema
    class Visit(dj.Manual):
        definition = """
        -> Subject
        visit : int16
        """

        class Photo(dj.Part):
            definition = """
            -> master
            photo : int8
            """

    return schema


def table(definition, base=dj.Manual, name="Wrong", **more):
    return type(name, (base,), {"definition": definition, "__module__": __name__, **more})


def on(schema, **options):
    return dj.Schema("lab", connection=schema.connection, **options)


def waiting(use):
    def run(schema):
        late = dj.Schema()
        use(late, late(table("x : int32", name="Late", Piece=table("-> master", dj.Part, "Piece"))))

    return run


WAITS = "waits for its schema's name: call schema.activate('name') before it is used"
NO_NAME = "the schema has no name yet: call schema.activate('name') first"
BAD_NAME = (
    'bad schema name "{}": letters, digits, underscores and dashes, at most 64, '
    "beginning with a letter"
)

CASES = {
    "a schema name with a blank": (
        lambda s: dj.Schema("my lab"),
        DefinitionError,
        BAD_NAME.format("my lab"),
    ),
    "a schema name that is a number": (
        lambda s: dj.Schema(5),
        DefinitionError,
        BAD_NAME.format("5"),
    ),
    "a schema name that is too long": (
        lambda s: dj.Schema("l" * 65),
        DefinitionError,
        BAD_NAME.format("l" * 65),
    ),
    "a bad name when it is activated": (
        lambda s: dj.Schema().activate("1st"),
        DefinitionError,
        BAD_NAME.format("1st"),
    ),
    "a connection in the place of names": (
        lambda s: dj.Schema("lab", s.connection),
        UsageError,
        "a connection is given by its name: dj.Schema(name, connection=…)",
    ),
    "asserting that a schema is active": (
        lambda s: dj.Schema().activate(),
        UsageError,
        NO_NAME,
    ),
    "listing the tables of a schema without a name": (
        lambda s: dj.Schema().list_tables(),
        UsageError,
        NO_NAME,
    ),
    "another name for an active schema": (
        lambda s: s.activate("other"),
        UsageError,
        'the schema is active as "lab" and cannot be "other", too: use another dj.Schema() for it',
    ),
    "a waiting class": (
        waiting(lambda schema, late: len(late)),
        DefinitionError,
        f"Late {WAITS}",
    ),
    "the heading of a waiting class": (
        waiting(lambda schema, late: late.heading),
        DefinitionError,
        f"Late {WAITS}",
    ),
    "a row for a waiting class": (
        waiting(lambda schema, late: late.insert1((1,))),
        DefinitionError,
        f"Late {WAITS}",
    ),
    "a part of a waiting class": (
        waiting(lambda schema, late: late.Piece & {"x": 1}),
        DefinitionError,
        f"Piece {WAITS}",
    ),
    "a class without its decorator": (
        lambda s: len(table("x : int32")),
        DefinitionError,
        "Wrong is not declared: put @schema above the class (parts are declared with their master)",
    ),
    "a decorated part": (
        lambda s: s(table("x : int32", dj.Part)),
        DefinitionError,
        "Wrong is a part: nest it in its master's class, which is decorated",
    ),
    "a decorated part that is a lookup": (
        lambda s: s(type("Wrong", (dj.Lookup, dj.Part), {"definition": "x : int32"})),
        DefinitionError,
        "Wrong is a part: nest it in its master's class, which is decorated",
    ),
    "a class of no tier": (
        lambda s: s(table("x : int32", dj.Table)),
        DefinitionError,
        (
            "Wrong has no tier: derive it from dj.Manual, dj.Lookup, dj.Imported or dj.Computed, "
            "not from dj.Table"
        ),
    ),
    "something that is no class": (
        lambda s: s("Wrong"),
        DefinitionError,
        "'Wrong' is not a table: derive it from dj.Manual, dj.Lookup, dj.Imported or dj.Computed",
    ),
    "a class without a definition": (
        lambda s: s(table("")),
        DefinitionError,
        'Wrong has no definition: add definition = """ … """ to the class',
    ),
    "a schema that must not be created": (
        lambda s: dj.Schema("none", connection=s.connection, create_schema=False)(
            table("x : int32")
        ),
        MissingTableError,
        (
            'the schema "none" is not in the database, and may not be created '
            "(create_schema=False): check its name, or let somebody create it who may"
        ),
    ),
    "a schema that is missing where no table may be created": (
        lambda s: dj.Schema("none", connection=s.connection, create_tables=False)(
            table("x : int32")
        ),
        MissingTableError,
        (
            'the schema "none" is not in the database, and may not be created '
            "(create_tables=False): check its name, or let somebody create it who may"
        ),
    ),
    "a table that must not be created": (
        lambda s: on(s, create_tables=False)(table("x : int32")),
        MissingTableError,
        (
            "lab.Wrong is not in the database (as lab.wrong), and may not be created "
            "(create_tables=False): let somebody declare it who may, or set create_tables"
        ),
    ),
    "a misspelled table of a schema": (
        lambda s: s["Vist"],
        MissingTableError,
        'no table "Vist" in lab. Did you mean "Visit"? Known: Subject, Visit, Visit.Photo',
    ),
    "a table of an empty schema": (
        lambda s: dj.Schema("none", connection=s.connection).get_table("Visit"),
        MissingTableError,
        'no table "Visit" in none. Known: none',
    ),
    "a free table without a schema": (
        lambda s: dj.FreeTable(s.connection, "visit"),
        UsageError,
        "bad table name 'visit': write schema.table, as in dj.FreeTable('lab.#rig')",
    ),
    "a free table without a name": (
        lambda s: dj.FreeTable(s.connection),
        UsageError,
        (
            "a FreeTable needs a table's name: dj.FreeTable('schema.table') or "
            "dj.FreeTable(connection, 'schema.table')"
        ),
    ),
    "a free table that is not there": (
        lambda s: dj.FreeTable(s.connection, "lab.vist"),
        MissingTableError,
        "lab.vist is not in the database: declare it, or check the names of its schema and table",
    ),
    "a virtual module of a missing schema": (
        lambda s: dj.VirtualModule("vm", "lap", connection=s.connection),
        MissingTableError,
        'the schema "lap" is not in the database. Known: lab. create_schema=True creates it',
    ),
    "a missing table of a virtual module": (
        lambda s: dj.VirtualModule("vm", "lab", connection=s.connection).Vist,
        AttributeError,
        'the schema "lab" has no table "Vist" (known when it was read: Subject, Visit)',
    ),
    "a table declared through a virtual module": (
        lambda s: dj.VirtualModule("vm", "lab", connection=s.connection).schema(table("x : int32")),
        MissingTableError,
        (
            "lab.Wrong is not in the database (as lab.wrong), and may not be created "
            "(create_tables=False): let somebody declare it who may, or set create_tables"
        ),
    ),
    "classes put into what holds none": (
        lambda s: s.make_classes(into=5),
        UsageError,
        "cannot put classes into 5: give a dict or a module",
    ),
    "a definition in a given module's name": (
        lambda s: on(s, context={"vm": types.SimpleNamespace()})(table("-> vm.Subject")),
        DefinitionError,
        (
            'unknown table "vm.Subject": "Subject" is not in vm in Wrong, line 1, column 4\n'
            "    -> vm.Subject\n"
            "       ^^^^^^^^^^"
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_use(schema, case):
    use, error, message = CASES[case]
    before = schema.list_tables()

    with pytest.raises(error) as raised:
        use(schema)

    assert type(raised.value) is error
    assert str(raised.value) == message
    assert schema.list_tables() == before
