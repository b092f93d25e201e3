"""The catalog: tables of others are read as they are, and read once."""

from __future__ import annotations

import contextlib

import pytest
import sqlalchemy as sa

import djq as dj
from djq.definition.attributes import CodecType, CoreType, NativeType, Special
from djq.definition.spec import ForeignKey, Index, TableName, Tier
from djq.errors import DefinitionError, MissingTableError
from djq.sql.reflect import reflect
from tests.support.servers import connect

#: A parent as DataJoint 2.3.5 declares it on MySQL, and a child whose inherited columns carry no
#: mark; a computed table with its job table, a table of one row, and the notes on lineage.
DATAJOINT = """
CREATE TABLE `subject` (
  `subject` varchar(10) NOT NULL COMMENT ':varchar(10):name {y}: of it',
  `n` smallint NOT NULL DEFAULT '3' COMMENT ':int16:',
  `sex` enum('M','F') NOT NULL DEFAULT 'M' COMMENT ':enum(\\'M\\', \\'F\\'):sex',
  `t` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP COMMENT ':datetime:',
  `old` int unsigned NOT NULL,
  `u` binary(16) DEFAULT NULL COMMENT ':uuid:',
  `b` tinyint NOT NULL DEFAULT '1' COMMENT ':bool:',
  PRIMARY KEY (`subject`,`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation} COMMENT='subjects {x}';
CREATE TABLE `__session` (
  `subject` varchar(10) NOT NULL COMMENT 'name {y}',
  `n` smallint NOT NULL,
  `x` longblob COMMENT ':<blob>:',
  `_job_start_time` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`subject`,`n`),
  CONSTRAINT `__session_ibfk_1` FOREIGN KEY (`subject`, `n`) REFERENCES `subject` (`subject`, `n`)
   ON DELETE RESTRICT ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation};
CREATE TABLE `__session__p` (
  `subject` varchar(10) NOT NULL COMMENT 'name {y}',
  `n` smallint NOT NULL,
  `p` int NOT NULL COMMENT ':int32:',
  `other` varchar(10) DEFAULT NULL COMMENT 'name {y}',
  `o` smallint DEFAULT NULL,
  PRIMARY KEY (`subject`,`n`,`p`),
  UNIQUE KEY `other` (`other`,`o`),
  KEY `p` (`p`,`o`),
  CONSTRAINT `__session__p_ibfk_1` FOREIGN KEY (`subject`, `n`)
   REFERENCES `__session` (`subject`, `n`) ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT `__session__p_ibfk_2` FOREIGN KEY (`other`, `o`) REFERENCES `subject` (`subject`, `n`)
   ON DELETE RESTRICT ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation};
CREATE TABLE `single` (
  `x` int NOT NULL COMMENT ':int32:',
  `_singleton` tinyint NOT NULL DEFAULT '1' COMMENT ':bool:singleton primary key',
  PRIMARY KEY (`_singleton`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation};
CREATE TABLE `~~session` (
  `subject` varchar(10) NOT NULL COMMENT ':varchar(10):',
  `n` smallint NOT NULL,
  `status` enum('pending','error') NOT NULL COMMENT ':enum(\\'pending\\', \\'error\\'):',
  PRIMARY KEY (`subject`,`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation};
CREATE TABLE `~lineage` (
  `table_name` varchar(64) NOT NULL COMMENT 'table name within the schema',
  `attribute_name` varchar(64) NOT NULL COMMENT 'attribute name',
  `lineage` varchar(255) NOT NULL COMMENT 'origin: schema.table.attribute',
  PRIMARY KEY (`table_name`,`attribute_name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation}
"""

#: A table of DataJoint 0.14, or of another program: no marks at all.
OLD = """
CREATE TABLE `old` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(10) NOT NULL DEFAULT 'it''s \\\\ x' COMMENT 'its :name:',
  `at` datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  `bits` bit(2) DEFAULT b'10',
  `price` decimal(5,2) DEFAULT 1.5,
  `side` enum('left','ri''ght') DEFAULT 'left',
  `flag` tinyint(1) DEFAULT NULL,
  `stamp` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `day` date DEFAULT '2020-01-02',
  `x` double DEFAULT 1e3,
  `image` longblob,
  `text` mediumtext,
  `empty` varchar(5) DEFAULT '',
  `null_text` varchar(5) DEFAULT 'NULL',
  `computed` int DEFAULT (1 + 2),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COMMENT='it is old'
"""


@pytest.fixture
def server(database_url, schema_name):
    if database_url.startswith("sqlite"):
        pytest.skip("DataJoint does not write SQLite")
    with contextlib.closing(connect(database_url)) as raw, raw.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{schema_name}` CHARACTER SET latin1")
        cursor.execute(f"USE `{schema_name}`")
        yield cursor


@pytest.fixture
def collation(connection):
    is_mysql = connection.database.dialect.backend == "mysql"
    return "utf8mb4_0900_ai_ci" if is_mysql else "utf8mb4_unicode_ci"


@pytest.fixture
def theirs(server, schema_name, connection, collation):
    """A schema that DataJoint made."""
    for statement in DATAJOINT.replace("{collation}", collation).split(";"):
        server.execute(statement)
    return lambda table, **options: reflect(
        connection.database, TableName(schema_name, table), **options
    )


def types_of(spec):
    return {a.name: str(a.type) for a in spec.heading}


# --- tables of others ---------------------------------------------------------------------------


def test_the_marks_of_datajoint_are_read(theirs, schema_name):
    subject = theirs("subject")

    assert types_of(subject) == {
        "subject": "varchar(10)",
        "n": "int16",
        "sex": "enum('M','F')",
        "t": "datetime",
        "old": "int unsigned",
        "u": "uuid",
        "b": "bool",
    }
    assert subject.heading["subject"].comment == "name {y}: of it"
    assert subject.comment == "subjects {x}"
    assert subject.heading["n"].default == 3
    assert subject.heading["sex"].default == "M"
    assert subject.heading["t"].default is Special.NOW
    assert subject.heading["u"].default is None
    assert subject.heading["b"].default is True
    assert subject.heading["old"].default is Special.REQUIRED
    assert subject.heading["old"].type == NativeType("int", (), is_unsigned=True)
    assert subject.tier is Tier.MANUAL
    assert subject.display_name == f"{schema_name}.Subject"


def test_inherited_attributes_take_the_types_of_their_origins(theirs, schema_name):
    part = theirs("__session__p")
    parent, origin = TableName(schema_name, "__session"), TableName(schema_name, "subject")

    assert types_of(part) == {
        "subject": "varchar(10)",
        "n": "int16",
        "p": "int32",
        "other": "varchar(10)",
        "o": "int16",
    }
    assert part.heading["o"].lineage == f"{schema_name}.subject.n"
    assert part.heading["subject"].lineage == f"{schema_name}.subject.subject"
    assert part.heading["p"].lineage == f"{schema_name}.__session__p.p"
    assert set(part.foreign_keys) == {
        ForeignKey(parent, (("subject", "subject"), ("n", "n")), in_key=True),
        ForeignKey(origin, (("other", "subject"), ("o", "n")), in_key=False),
    }
    assert set(part.indexes) == {Index(("other", "o"), is_unique=True), Index(("p", "o"))}
    assert part.class_name == "Session.P"
    assert part.master == parent
    assert part.tier is Tier.COMPUTED


def test_hidden_columns_and_tables_are_set_apart(theirs, connection, schema_name):
    session, single, jobs = theirs("__session"), theirs("single"), theirs("~~session")

    assert session.heading.names == ("subject", "n", "x")
    assert session.heading["x"].type == CodecType("blob")
    assert [a.name for a in session.hidden] == ["_job_start_time"]
    assert single.is_singleton
    assert single.heading.primary_key == ()
    (key,) = single.hidden
    assert (key.name, key.type, key.default, key.in_key) == (
        "_singleton",
        CoreType("bool"),
        True,
        True,
    )
    assert jobs.tier is Tier.JOB
    assert jobs.class_name == "Session.jobs"
    assert str(jobs.heading["n"].type) == "int16"
    schema = dj.Schema(schema_name, connection=connection)
    assert schema.list_tables() == ["single", "subject", "__session", "__session__p"]


def test_a_table_without_marks_has_the_types_of_the_server(server, connection, schema_name):
    server.execute(OLD)
    spec = reflect(connection.database, TableName(schema_name, "old"))
    found = {a.name: a for a in spec.heading}

    assert spec.comment == "it is old"
    assert found["id"].is_auto
    assert (found["id"].type.name, found["id"].type.is_unsigned) == ("int", True)
    assert found["name"].type == CoreType("varchar", (10,))
    assert found["name"].comment == "its :name:"
    assert found["side"].type == CoreType("enum", ("left", "ri'ght"))
    assert found["at"].type == CoreType("datetime", (3,))
    assert found["price"].type == CoreType("decimal", (5, 2))
    assert found["day"].type == CoreType("date")
    assert found["image"].type == NativeType("longblob")
    assert found["text"].type == NativeType("mediumtext")
    assert found["flag"].type.name == "tinyint"
    assert found["stamp"].default is Special.NOW
    assert found["at"].default is Special.NOW
    assert found["name"].default == "it's \\ x"
    assert str(found["price"].default) == "1.50"
    assert found["side"].default == "left"
    assert found["day"].default.isoformat() == "2020-01-02"
    assert float(found["x"].default) == 1000
    assert found["empty"].default == ""
    assert found["null_text"].default == "NULL"
    assert found["bits"].default == 2
    assert found["computed"].default is None


def test_a_table_of_another_collation_can_be_referred_to(
    theirs, connection, schema_name, collation
):
    theirs("subject")
    vm = dj.virtual_schema(schema_name, connection=connection, create_tables=True)

    @vm.schema
    class Visit(dj.Manual):
        definition = """
        -> vm.Subject
        visit : varchar(4)
        ---
        -> [nullable] vm.Subject.proj(friend='subject', friend_n='n')
        """

    @vm.schema
    class Note(dj.Manual):
        definition = """
        -> Visit
        """

    columns = connection.database.catalog.columns(schema_name)["visit"].columns
    assert columns["subject"].collation == columns["friend"].collation == collation
    assert columns["visit"].collation == connection.database.dialect.collation
    vm.Subject.insert1({"subject": "ä", "old": 5})
    Visit.insert1(("ä", 3, "a", None, None))
    Note.insert1(("ä", 3, "a"))
    assert len(Note * Visit * vm.Subject) == 1
    assert len(vm.Subject & Visit) == 1


def test_a_class_fits_a_table_that_datajoint_made(theirs, connection, schema_name):
    schema = dj.Schema(schema_name, connection=connection, create_tables=False)
    text = theirs("subject")

    @schema
    class Subject(dj.Manual):
        definition = """
        # subjects {x}
        subject : varchar(10)   # name {y}: of it
        n = 3 : int16
        ---
        sex = 'M' : enum('M','F')   # sex
        t = CURRENT_TIMESTAMP : datetime
        old : int unsigned
        u = null : uuid
        b = 1 : bool
        """

    assert not Subject.pending_changes
    assert Subject.spec == text
    Subject.insert1({"subject": "a", "old": 3})
    assert Subject.fetch1("b") is True


# --- our own ------------------------------------------------------------------------------------


def test_a_reflected_spec_is_that_of_the_definition(schema):
    @schema
    class Parent(dj.Lookup):
        definition = """
        # all kinds of: things
        parent : varchar(12)   # a name: with colon
        number : int16
        """

    @schema
    class Child(dj.Manual):
        definition = """
        -> Parent
        id = 5 : int8
        ---
        -> [nullable, unique] Parent.proj(other='parent', other_number='number')
        small : int8
        yes = true : bool
        share = 0.5 : float32
        exact = 1.25 : float64
        price = 1.5 : decimal(6,2)
        side = "left" : enum('left', 'ri''ght')
        text = "it's" : varchar(20)   # with 'quotes' and {braces}
        fixed = "ab" : char(2)
        day = "2020-01-02" : date
        at = CURRENT_TIMESTAMP : datetime
        token = null : uuid
        more = null : json
        raw = null : bytes
        image = null : <blob>
        index(small, yes)
        unique index(text)
        """

        class Piece(dj.Part):
            definition = """
            -> master
            piece : int64
            """

    for table in (Parent, Child, Child.Piece):
        found = reflect(schema.connection.database, table.spec.name)
        assert found == table.spec


def test_what_other_processes_declare_is_found(schema, schema_name, connection):
    database = connection.database
    assert not database.catalog.has(TableName(schema_name, "thing"))
    elsewhere = dj.Connection(connection.settings)
    try:
        made = dj.Schema(schema_name, connection=elsewhere)
        space = {"definition": "thing : int32", "__module__": __name__}
        made(type("Thing", (dj.Manual,), space))
    finally:
        elsewhere.close()

    assert reflect(database, TableName(schema_name, "thing")).heading.names == ("thing",)


def test_a_missing_table_is_named(connection, schema_name):
    with pytest.raises(MissingTableError, match=rf"{schema_name}.nothing is not in the database"):
        reflect(connection.database, TableName(schema_name, "nothing"))


OTHERS = {
    "another type": ("small : int16", "small is int8 there and int16 here"),
    "nullable": ("small = null : int8", "small can not be null there"),
    "another name": ("tiny : int8", "small is only there; tiny is missing there"),
    "no reference": ("small : int8\nparent2 : int32", "parent2 is missing there"),
    "reference": (
        "small : int8\n-> [nullable] Parent.proj(more='parent')",
        "more is missing there; the reference .more. -> .* is missing there",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_differences_are_told_one_by_one(schema, case):
    changed, words = OTHERS[case]

    @schema
    class Parent(dj.Manual):
        definition = """
        parent : int32
        """

    def declare(rest):
        space = {"definition": f"-> Parent\n---\n{rest}", "__module__": __name__}
        return schema(type("Child", (dj.Manual,), space))

    declare("small : int8")
    child = declare(changed)
    with pytest.raises(DefinitionError, match=rf"{words}.*Child.alter"):
        child.fetch()


def test_a_reference_that_is_gone_is_told(schema):
    space = {"__module__": __name__}
    schema(type("Parent", (dj.Manual,), {**space, "definition": "parent : int32"}))
    schema(type("Child", (dj.Manual,), {**space, "definition": "-> Parent"}))

    child = schema(type("Child", (dj.Manual,), {**space, "definition": "parent : int32"}))

    with pytest.raises(DefinitionError, match=r"the reference \(parent\) -> .* is only there"):
        child.fetch()


def test_tables_of_sqlite_without_comments_are_read(connection, schema_name):
    database = connection.database
    if not database.dialect.is_sqlite:
        pytest.skip("servers keep comments")
    database.define(
        sa.text(
            f'CREATE TABLE "{schema_name}.thing" (a INTEGER PRIMARY KEY, b VARCHAR(5) NOT NULL'
            " DEFAULT 'it''s', c REAL, d BLOB)"
        )
    )

    spec = reflect(database, TableName(schema_name, "thing"))

    assert types_of(spec) == {"a": "int64", "b": "varchar(5)", "c": "float64", "d": "longblob"}
    assert spec.heading["b"].default == "it's"
    assert spec.heading.primary_key == ("a",)
