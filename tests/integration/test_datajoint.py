"""A database of DataJoint opens in djq, and one of djq in DataJoint: definitions and rows alike.

DataJoint 2.3.5 runs in an environment of its own, on the same MySQL; see
`tests/support/datajoint_environment.py`.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

import djq as dj
from djq.definition.names import quoted
from djq.settings import load
from djq.sql.reflect import reflect
from djq.tables.connection import Connection
from tests.integration.pipelines import whole_language as pipeline
from tests.support import servers
from tests.support.datajoint_environment import DataJoint, MissingDataJointError, install

if TYPE_CHECKING:
    from collections.abc import Iterator

MYSQL_URL = "DJQ_TEST_MYSQL_URL"

#: DataJoint: the whole pipeline, declared and filled, the computed tables with job records.
DECLARE = """
tables = pipeline.declare(dj, dj.Schema(given["schema"]))
pipeline.fill(dj, tables)
tables["Score"].populate(reserve_jobs=True)
tables["Summary"].populate()
"""
#: DataJoint: the rows of all tables, by the same classes.
BY_CLASSES = """
tables = pipeline.with_parts(pipeline.declare(dj, dj.Schema(given["schema"])))
found = {name: pipeline.rows_of(table()) for name, table in tables.items()}
"""
#: DataJoint: the same, by classes made from the database.
BY_MODULE = """
module = dj.VirtualModule("module", given["schema"])
tables = pipeline.with_parts({n: getattr(module, n) for n in given["names"]})
found = {name: pipeline.rows_of(table()) for name, table in tables.items()}
"""
NAMES = [
    "Species",
    "Subject",
    "Family",
    "Native",
    "Setting",
    "Device",
    "Session",
    "Score",
    "Summary",
]


@pytest.fixture(scope="module")
def mysql_url() -> str:
    url = os.environ.get(MYSQL_URL)
    if url is None:
        pytest.skip(f"{MYSQL_URL} is not set")
    return url


@pytest.fixture(scope="module")
def datajoint(mysql_url: str, tmp_path_factory: pytest.TempPathFactory) -> DataJoint:
    try:
        python = install(tmp_path_factory.mktemp("datajoint") / "environment")
    except MissingDataJointError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    return DataJoint(python, mysql_url)


@pytest.fixture
def name(mysql_url: str) -> Iterator[str]:
    """A schema nobody else uses."""
    found = f"t_{secrets.token_hex(4)}"
    yield found
    servers.drop_databases(mysql_url, found)


@pytest.fixture
def connection(mysql_url: str, name: str, tmp_path) -> Iterator[Connection]:
    opened = Connection(load(database_url=mysql_url, state_dir=tmp_path / ".djq"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def original(datajoint, mysql_url) -> Iterator[str]:
    """A schema that DataJoint declared and filled, for tests that leave it as it is."""
    found = f"t_{secrets.token_hex(4)}"
    datajoint.run(DECLARE, schema=found)
    yield found
    servers.drop_databases(mysql_url, found)


@pytest.fixture(scope="module")
def original_rows(datajoint, original):
    """Its rows, as DataJoint gives them."""
    return datajoint.run(BY_CLASSES, schema=original)


def rows(tables):
    return {name: pipeline.rows_of(table()) for name, table in tables.items()}


def classes(module):
    return pipeline.with_parts({n: getattr(module, n) for n in NAMES})


# --- a database of DataJoint ---------------------------------------------------------------------


def test_a_database_of_datajoint_opens_without_its_classes(original, original_rows, connection):
    module = dj.VirtualModule("module", original, connection=connection)

    assert rows(classes(module)) == original_rows
    assert all(original_rows.values())
    subject = dj.FreeTable(connection, f"`{original}`.`subject`")
    assert pipeline.rows_of(subject) == original_rows["Subject"]
    assert module.Score.full_table_name == f"`{original}`.`__score`"
    assert module.Setting.primary_key == []


def test_a_database_of_datajoint_opens_by_the_same_definitions(original, original_rows, connection):
    tables = pipeline.declare(dj, dj.Schema(original, connection=connection))

    assert rows(pipeline.with_parts(tables)) == original_rows
    # The specs are those that the definitions give on a database of djq.
    for table in pipeline.with_parts(tables).values():
        there = reflect(connection.database, table.spec.name)
        assert {a.name: a.lineage for a in there.heading} == {
            a.name: a.lineage for a in table.spec.heading
        }
        assert set(there.foreign_keys) == set(table.spec.foreign_keys)
        assert set(there.indexes) == set(table.spec.indexes)


def test_tables_of_datajoint_are_joined_filled_and_referred_to(datajoint, name, connection):
    datajoint.run(DECLARE, schema=name)
    schema = dj.Schema(name, connection=connection)
    tables = pipeline.declare(dj, schema)
    subject, session = tables["Subject"], tables["Session"]

    assert len(session * subject * tables["Species"]) == 2
    assert len(session * session.Trial * tables["Device"].proj()) == 2
    assert len(tables["Family"] * subject.proj(mother="subject", weight_="weight")) == 2

    @schema
    class Note(dj.Manual):
        definition = """
        -> Species
        -> Subject.proj(who='subject')
        note : int8
        ---
        -> [nullable] Device
        """

    subject.insert1({"subject": 9, "species": "bird", "weight": 0.25, "nickname": "Ä"})
    session.insert1({"subject": 9, "session": 1})
    session.Trial.insert([(9, 1, 1, "hit"), (9, 1, 2, "hit")])
    tables["Native"].insert1({"tiny": 5})
    Note.insert1({"species": "bird", "who": 9, "note": 1})
    tables["Score"].populate()
    tables["Summary"].populate()

    assert (tables["Score"] & {"subject": 9}).fetch1("hits") == 2
    theirs = datajoint.run(BY_CLASSES, schema=name)
    assert rows(pipeline.with_parts(tables)) == theirs
    found = datajoint.run(
        """
module = dj.VirtualModule("module", given["schema"])
found = len(module.Note() * module.Species() * module.Subject().proj(..., who="subject"))
""",
        schema=name,
    )
    assert found == 1


def test_datajoint_goes_on_with_the_jobs_of_a_table_that_djq_uses(datajoint, name, connection):
    datajoint.run(DECLARE, schema=name)
    tables = pipeline.declare(dj, dj.Schema(name, connection=connection))
    tables["Session"].insert([{"subject": s, "session": 2} for s in (1, 2, 3)])
    tables["Score"].jobs.ignore({"subject": 3, "session": 2})

    found = datajoint.run(
        """
tables = pipeline.declare(dj, dj.Schema(given["schema"]))
tables["Score"].populate(reserve_jobs=True)
found = len(tables["Score"]())
""",
        schema=name,
    )

    assert found == 4
    assert len(tables["Score"]) == 4


def test_alter_gives_computed_tables_of_datajoint_the_columns_of_djq(datajoint, name, connection):
    datajoint.run(DECLARE, schema=name)
    score = pipeline.declare(dj, dj.Schema(name, connection=connection))["Score"]
    assert score.spec.hidden == ()

    assert score.alter(prompt=False)

    assert {a.name for a in score.spec.hidden} >= {"_job_start_time", "_job_duration"}
    assert datajoint.run(BY_CLASSES, schema=name)["Score"] == pipeline.rows_of(score())


# --- a database of djq ---------------------------------------------------------------------------


@pytest.fixture
def tables(name, connection):
    found = pipeline.declare(dj, dj.Schema(name, connection=connection))
    pipeline.fill(dj, found)
    found["Score"].populate()
    found["Summary"].populate()
    return found


@pytest.mark.parametrize("script", [BY_MODULE, BY_CLASSES], ids=["module", "classes"])
def test_a_database_of_djq_opens_in_datajoint(datajoint, name, tables, script):
    theirs = datajoint.run(script, schema=name, names=NAMES)

    assert theirs == rows(pipeline.with_parts(tables))
    assert all(theirs.values())


def test_datajoint_joins_fills_and_refers_to_tables_of_djq(datajoint, name, tables, connection):
    found = datajoint.run(
        """
schema = dj.Schema(given["schema"])
t = pipeline.declare(dj, schema)
globals().update(t)

@schema
class Note(dj.Manual):
    definition = '''
    -> Species
    -> Subject.proj(who='subject')
    note : int8
    ---
    -> [nullable] Device
    '''

Subject.insert1({"subject": 9, "species": "bird", "weight": 0.25, "nickname": "Ä"})
Session.insert1({"subject": 9, "session": 1})
Session.Trial.insert([(9, 1, 1, "hit"), (9, 1, 2, "hit")])
Native.insert1({"tiny": 5})
Note.insert1({"species": "bird", "who": 9, "note": 1})
Score.populate(reserve_jobs=True)
found = {
    "joined": [
        len(Session * Subject * Species),
        len(Session * Session.Trial * Device.proj()),
        len(Family * Subject.proj(mother="subject", weight_="weight")),
    ],
    "names": [t().full_table_name for t in (Species, Score, Session.Trial)],
}
""",
        schema=name,
    )

    assert found["joined"] == [3, 2, 2]
    assert found["names"] == [
        quoted(t.spec.name) for t in (tables["Species"], tables["Score"], tables["Session"].Trial)
    ]
    connection.catalog.forget()
    note = dj.VirtualModule("module", name, connection=connection).Note
    assert note.to_dicts()[0]["who"] == 9
    assert (tables["Score"] & {"subject": 9}).fetch1("hits") == 2
    assert (tables["Native"] & {"tiny": 5}).fetch1("number") == 8
    assert datajoint.run(BY_CLASSES, schema=name) == rows(pipeline.with_parts(tables))


def test_datajoint_reads_tables_that_it_could_not_declare(datajoint, name, connection):
    @dj.Schema(name, connection=connection)
    class Odd(dj.Manual):
        definition = """
        # 100% "quoted" {x} it's \\
        odd : varchar(10)   # 5% "q" {y} 'z' 😀
        ---
        notes = null : json
        image = null : <blob>
        tag = "00000000-0000-0000-0000-000000000007" : uuid
        letter = "a'b" : enum('a', "a'b", "😀")
        index((lower(odd)))
        """

    Odd.insert1({"odd": "x", "notes": {"a": [1]}})

    found = datajoint.run(
        """
odd = dj.VirtualModule("module", given["schema"]).Odd()
found = [pipeline.rows_of(odd), odd.describe(printout=False)]
""",
        schema=name,
    )

    assert found[0] == pipeline.rows_of(Odd())
    assert '100% "quoted" {x} it' in found[1]


def test_lineage_is_what_datajoint_would_have_written(original, name, tables, mysql_url):
    with servers.connect(mysql_url) as raw, raw.cursor() as cursor:
        found = []
        for schema in (name, original):
            cursor.execute(
                f"SELECT table_name, attribute_name, lineage FROM `{schema}`.`~lineage`"
                " WHERE table_name NOT LIKE '~%'"
            )
            found.append({(t, a, str(li).replace(schema, "x")) for t, a, li in cursor.fetchall()})

    assert found[0] == found[1]


# --- the language --------------------------------------------------------------------------------


def described(tables):
    """Return the definitions that the database has, in an order that declares."""
    return {name: table.describe(printout=False) for name, table in tables.items()}


def test_what_djq_describes_datajoint_declares(datajoint, name, tables):
    texts = described(pipeline.with_parts(tables))

    found = datajoint.run(REDECLARE, schema=f"{name}_b", texts=texts)

    assert set(found) == set(texts)
    assert found["Family"].count("proj") == 4


def test_what_datajoint_describes_djq_declares(datajoint, original, name, connection):
    texts = datajoint.run(
        """
module = dj.VirtualModule("module", given["schema"])
tables = pipeline.with_parts({n: getattr(module, n) for n in given["names"]})
globals().update({n: getattr(module, n) for n in given["names"]})
found = {n: table().describe(printout=False) for n, table in tables.items()}
""",
        schema=original,
        names=NAMES,
    )
    schema = dj.Schema(f"{name}_b", connection=connection)

    scope = {"dj": dj, "schema": schema, "texts": texts, "__name__": __name__}
    exec(REDECLARE_CLASSES, scope)

    wanted = pipeline.with_parts(pipeline.declare(dj, dj.Schema(original, connection=connection)))
    for table_name, table in pipeline.with_parts(scope["made"]).items():
        mine, theirs = table.spec.heading, wanted[table_name].spec.heading
        assert [(a.name, a.type, a.nullable, a.default, a.comment) for a in mine] == [
            (a.name, a.type, a.nullable, a.default, a.comment) for a in theirs
        ]


#: Both: classes with the definitions of `texts`, tiers by the names of the pipeline.
REDECLARE_CLASSES = """
bases = {"Species": dj.Lookup, "Score": dj.Computed, "Summary": dj.Imported}
parts = {"Session": ["Trial", "Lick"], "Score": ["Detail"]}
made = {}
for name, text in texts.items():
    if "." in name:
        continue
    inside = {
        part: type(part, (dj.Part,), {"definition": texts[f"{name}.{part}"]})
        for part in parts.get(name, [])
    }
    body = {"definition": text, "__module__": __name__, "make": None, **inside}
    cls = type(name, (bases.get(name, dj.Manual),), body)
    globals()[name] = made[name] = schema(cls)
"""
REDECLARE = f"""
schema = dj.Schema(given["schema"])
texts = given["texts"]
{REDECLARE_CLASSES}
found = {{n: t().describe(printout=False) for n, t in pipeline.with_parts(made).items()}}
"""
