"""What wrong uses of `alter` are answered: read it as documentation.

Each entry is a changed definition and the words of its message. None of them changes the table.
"""

from __future__ import annotations

import pytest

import djq as dj
from djq.errors import DefinitionError, UsageError
from djq.sql.reflect import reflect
from djq.tables.connection import Connection

OLD = """
# things
thing : int32
---
-> Kind
name : varchar(10)
size = 1 : int16
note = null : varchar(20)
place = null : uuid
"""

#: What is replaced in the definition, by what; what `alter` says.
CHANGES = {
    "another type in the key": (
        "thing : int32",
        "thing : int64",
        "the primary key changes|thing is int32 there and int64 here|under another name",
    ),
    "a longer key": ("thing : int32", "thing : int32\nday : date", "day is in the key here only"),
    "an attribute that moves into the key": (
        "---\n-> Kind\nname : varchar(10)",
        "name : varchar(10)\n---\n-> Kind",
        "the primary key changes|name is not in the key there",
    ),
    "a reference that goes": (
        "-> Kind\n",
        "",
        "the references change|kind → lab.#kind is only there|drop this one",
    ),
    "a reference that becomes nullable": (
        "-> Kind",
        "-> [nullable] Kind",
        "kind refers to another table|can not be null there",
    ),
    "a new attribute without a value for the rows": (
        "size = 1",
        "more : int8\nsize = 1",
        "lab.Thing has rows|more has neither a default nor null|write more = null : int8",
    ),
    "null that is not allowed any longer": (
        "note = null",
        "note",
        "note cannot become required|null where thing=2|update1",
    ),
    "a text that is too long": (
        "varchar(10)",
        "varchar(3)",
        "name cannot become varchar(3)|the text has 4 characters, 3 fit (where thing=2)",
    ),
    "a number that is too large": (
        "size = 1 : int16",
        "size = 1 : int8",
        "300 is outside of int8 (-128 to 127) (where thing=1)|Change these rows first",
    ),
    "a value that is none of the enum": (
        "varchar(10)",
        "enum('a','b')",
        "'long' is not one of 'a', 'b'",
    ),
    "a type of another kind": (
        "size = 1 : int16",
        "size = null : uuid",
        "size cannot become uuid: it is int16|under another name, fill it, and drop size",
    ),
    "values that a codec would have to read": (
        "place = null : uuid",
        "place = null : <blob>",
        "place cannot become <blob>: it is uuid",
    ),
    "a rename of nothing": (
        "name : varchar(10)",
        "title : varchar(10)  # {nmae} of the thing",
        'the renamed "nmae", which the table does not have|Did you mean "name"?',
    ),
    "a rename of what is still there": (
        "name : varchar(10)",
        "name : varchar(10)\ntitle = null : varchar(10)  # {name}",
        'the renamed "name", which is still in the definition',
    ),
}


@pytest.fixture
def schema(local_settings):
    connection = Connection(local_settings)
    schema = dj.Schema("lab", connection=connection)

    @schema
    class Kind(dj.Lookup):
        definition = "kind : int8"
        contents = ((1,),)

    declare(schema, OLD).insert(
        [
            {"thing": 1, "kind": 1, "name": "a", "size": 300, "note": "x"},
            {"thing": 2, "kind": 1, "name": "long"},
        ]
    )
    yield schema
    connection.close()


def declare(schema, definition):
    names = {"definition": definition, "__module__": __name__}
    return schema(type("Thing", (dj.Manual,), names))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_cannot_be_made(schema, name):
    before, after, words = CHANGES[name]
    there = reflect(schema.connection.database, schema.tables["Thing"].spec.name)
    new = declare(schema, OLD.replace(before, after))

    with pytest.raises(DefinitionError) as raised:
        new.alter(prompt=False)

    for part in words.split("|"):
        assert part in str(raised.value)
    schema.connection.catalog.forget()
    assert reflect(schema.connection.database, new.spec.name) == there
    assert len(declare(schema, OLD)) == 2


USES = {
    "rows of a table that waits for alter": (
        lambda table: table.insert1((3, 1, "b", 1, None, None, 5)),
        "more is missing there|Change the definition back|run Thing.alter()",
    ),
    "a query of it": (lambda table: table & "thing > 1", "more is missing there"),
    "a question that nobody can answer": (lambda table: table().alter(prompt=True), "prompt=False"),
}


@pytest.mark.parametrize("name", USES)
def test_a_use_before_alter(schema, name, monkeypatch):
    use, words = USES[name]
    new = declare(schema, OLD + "more = 5 : int8\n")

    with pytest.raises(UsageError) as raised:
        use(new)

    for part in words.split("|"):
        assert part in str(raised.value)


def test_alter_inside_a_transaction(schema):
    new = declare(schema, OLD + "more = 5 : int8\n")

    with (
        schema.connection.transaction,
        pytest.raises(UsageError, match="cannot be altered inside a transaction or a make"),
    ):
        new.alter(prompt=False)
