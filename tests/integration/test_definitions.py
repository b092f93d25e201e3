"""Definitions on every database: what they declare, and who declares."""

from __future__ import annotations

import textwrap

import pytest
import sqlalchemy as sa

import djq as dj
from djq.errors import BrokenReferenceError, DefinitionError, DuplicateError
from djq.sql.reflect import reflect
from tests.support.servers import drop_databases


def keys(query, *names):
    return sorted(tuple(row[n] for n in names or query.primary_key) for row in query.to_dicts())


def test_tables_are_named_as_in_datajoint(schema):
    @schema
    class RawScan(dj.Manual):
        definition = "scan : int32"

    @schema
    class ScanKind(dj.Lookup):
        definition = "kind : int32"

    @schema
    class ScanInfo(dj.Imported):
        definition = "-> RawScan"

    @schema
    class MeanImage(dj.Computed):
        definition = "-> ScanInfo"

        class Plane(dj.Part):
            definition = """
            -> master
            plane : int8
            """

    tables = schema.connection.database.catalog.columns(schema.name)

    assert {t for t in tables if not t.startswith("~")} == {
        "raw_scan",
        "#scan_kind",
        "_scan_info",
        "__mean_image",
        "__mean_image__plane",
    }
    assert {t for t in tables if t.startswith("~~")} == {"~~scan_info", "~~mean_image"}
    assert MeanImage.Plane.spec.display_name == f"{schema.name}.MeanImage.Plane"


def test_several_references_to_one_parent(schema):
    @schema
    class Person(dj.Manual):
        definition = """
        person : int32
        ---
        name : varchar(10)
        """

    @schema
    class Marriage(dj.Manual):
        definition = """
        -> Person.proj(first='person')
        -> Person.proj(second='person')
        ---
        -> [nullable] Person.proj(witness='person')
        """

    Person.insert((i, n) for i, n in enumerate("ABC"))
    Marriage.insert1({"first": 0, "second": 1, "witness": 2})
    Marriage.insert1({"first": 1, "second": 2})

    with pytest.raises(BrokenReferenceError, match="person=9"):
        Marriage.insert1({"first": 0, "second": 2, "witness": 9})
    named = Marriage * Person.proj(first="person", first_name="name")
    assert keys(named, "first_name", "second") == [("A", 1), ("B", 2)]
    assert Marriage.heading["witness"].nullable
    assert Marriage.heading["witness"].lineage == f"{schema.name}.person.person"


def test_references_of_both_sections_bring_whole_keys(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        day : date
        """

    @schema
    class Rig(dj.Lookup):
        definition = """
        rig : varchar(8)
        """
        contents = (("a",), ("b",))

    @schema
    class Recording(dj.Manual):
        definition = """
        -> Session
        recording = 1 : int16
        ---
        -> Rig
        gain = 1.0 : float32
        """

    assert Recording.heading.names == ("subject", "day", "recording", "rig", "gain")
    assert Recording.primary_key == ["subject", "day", "recording"]
    Subject.insert1((1,))
    Session.insert1((1, "2024-01-01"))
    Recording.insert1({"subject": 1, "day": "2024-01-01", "rig": "a"})
    assert Recording.fetch1("recording", "gain") == (1, 1.0)


def test_unique_references_and_indexes_are_kept(schema):
    @schema
    class Seat(dj.Manual):
        definition = """
        seat : int32
        """

    @schema
    class Guest(dj.Manual):
        definition = """
        guest : int32
        ---
        -> [unique, nullable] Seat
        family : varchar(20)
        given : varchar(20)
        index(family)
        unique index(family, given)
        """

    Seat.insert((i,) for i in range(3))
    Guest.insert([(1, 1, "a", "b"), (2, None, "a", "c"), (3, None, "d", "b")])

    with pytest.raises(DuplicateError):
        Guest.insert1((4, 1, "x", "y"))
    with pytest.raises(DuplicateError):
        Guest.insert1((4, 2, "a", "b"))
    assert len(Guest) == 3


def test_indexes_with_long_names_are_different(schema):
    long = "a" * 60
    text = "\n".join([f"{long}{i} : int8" for i in range(3)])
    indexes = "\n".join(f"index({long}{i})" for i in range(3))
    definition = f"x : int32\n---\n{text}\n{indexes}"

    schema(type("Wide", (dj.Manual,), {"definition": definition, "__module__": __name__}))

    schema.tables["Wide"].insert1((1, 1, 2, 3))


def test_parts_refer_to_their_master_and_to_each_other(schema):
    @schema
    class Kind(dj.Lookup):
        definition = """
        kind : int8
        """
        contents = ((1,), (2,))

    @schema
    class Image(dj.Manual):
        definition = """
        image : int32
        """

        class Region(dj.Part):
            definition = """
            -> master
            region : int8
            """

        class Pixel(dj.Part):
            definition = """
            -> Image.Region
            pixel : int32
            ---
            -> Kind
            """

        class Kind(dj.Part):
            definition = """
            -> Image
            -> Kind
            """

    Image.insert1((1,))
    Image.Region.insert1((1, 2))
    Image.Pixel.insert1((1, 2, 3, 1))
    Image.Kind.insert1((1, 2))

    assert Image.Pixel.primary_key == ["image", "region", "pixel"]
    assert len(Image * Image.Region * Image.Pixel) == 1
    assert Image.Kind.parent_specs.keys() == {Image.spec.name, Kind.spec.name}


def test_a_child_in_another_schema_refers_to_its_parent(schema, schema_name, database_url):
    other = dj.Schema(f"{schema_name}_b", connection=schema.connection)

    @schema
    class Parent(dj.Manual):
        definition = """
        parent : int32
        """

    @other
    class Child(dj.Manual):
        definition = """
        -> Parent
        """

    Parent.insert1((1,))
    Child.insert1((1,))

    with pytest.raises(BrokenReferenceError, match=f"{schema_name}.parent"):
        Child.insert1((2,))
    assert len(Child * Parent) == 1
    if not database_url.startswith("sqlite"):
        drop_databases(database_url, other.name)  # children go first


def test_tables_of_a_database_with_another_character_set_hold_all_texts(schema, schema_name):
    database = schema.connection.database
    if database.dialect.is_sqlite:
        pytest.skip("SQLite has one character set")
    database.define(sa.text(f"CREATE DATABASE `{schema_name}` CHARACTER SET latin1"))

    @schema
    class Word(dj.Manual):
        definition = """
        word : varchar(10)
        """

    Word.insert([("𝄞",), ("a",), ("A",), ("ä",)])

    assert len(Word) == 4
    assert {"word": "𝄞"} in Word


def test_what_the_server_refuses_names_the_table(schema):
    if schema.connection.database.dialect.is_sqlite:
        pytest.skip("SQLite has no such limit")
    definition = "x : varchar(4000)"

    with pytest.raises(DefinitionError, match=r"Long cannot be declared: .*key"):
        schema(type("Long", (dj.Manual,), {"definition": definition, "__module__": __name__}))


SCRIPT = """
import sys
import djq as dj

connection = dj.Connection()
schema = dj.Schema(sys.argv[1], connection=connection)

@schema
class Kind(dj.Lookup):
    definition = '''
    kind : int32
    ---
    name : varchar(20)
    index(name)
    '''
    contents = [(i, str(i)) for i in range(200)]

@schema
class Thing(dj.Manual):
    definition = '''
    thing : int32
    ---
    -> Kind
    '''

@schema
class Result(dj.Computed):
    definition = '''
    -> Thing
    '''
    class Part(dj.Part):
        definition = '''
        -> master
        -> Kind
        '''

assert len(Kind) == 200
connection.close()
"""


def test_processes_that_declare_one_schema_at_once(settings, schema_name, tmp_path, start_process):
    path = tmp_path / "declare.py"
    path.write_text(textwrap.dedent(SCRIPT))

    processes = [start_process(path, schema_name, settings=settings) for _ in range(4)]

    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]


@pytest.mark.parametrize("default", ["1000001.0", "-123456.7", "1e-30", "0.1", "-0.25"])
def test_a_default_of_a_float32_keeps_all_of_its_digits(schema, connection, default):
    @schema
    class Gain(dj.Manual):
        definition = f"""
        gain : int32
        ---
        db = {default} : float32
        """

    found = dj.FreeTable(connection, Gain.full_table_name)
    assert found.heading["db"].default == float(default)
    assert reflect(connection.database, Gain.spec.name).heading == Gain.spec.heading
