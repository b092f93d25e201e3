"""Schemas: activation, switches, tables by name, virtual modules, free tables, the tree."""

from __future__ import annotations

import contextlib
import datetime as dt
import types

import pytest
import sqlalchemy as sa

import djq as dj
from djq.errors import (
    BrokenReferenceError,
    DefinitionError,
    DuplicateError,
    MissingTableError,
    UsageError,
)
from djq.settings import load
from tests.support.servers import drop_databases


@pytest.fixture
def lab(schema):
    @schema
    class Rig(dj.Lookup):
        definition = """
        rig : varchar(8)
        """
        contents = (("a",), ("b",))

    @schema
    class Subject(dj.Manual):
        definition = """
        # who is recorded
        subject : int32   # number
        ---
        name = "none" : varchar(20)
        born = null : date
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int16
        ---
        -> Rig
        -> [nullable] Subject.proj(partner='subject')
        unique index(subject, rig)
        """

        class Trial(dj.Part):
            definition = """
            -> master
            trial : int16
            """

        class Event(dj.Part):
            definition = """
            -> Session.Trial
            event : int16
            """

    @schema
    class SpikeCount(dj.Computed):
        definition = """
        -> Session
        ---
        n : int32
        """

        def make(self, key):
            self.insert1({**key, "n": 3})

    Subject.insert([(1, "Ada", None), (2, "Bob", "2020-01-02")])
    Session.insert1((1, 1, "a", 2))
    Session.Trial.insert1((1, 1, 7))
    return schema


@pytest.fixture
def other(connection, schema_name, database_url):
    yield dj.Schema(f"{schema_name}_other", connection=connection)
    if not database_url.startswith("sqlite"):
        drop_databases(database_url, f"{schema_name}_other")  # children go first


# --- activation ---------------------------------------------------------------------------------


def waiting_classes(schema):
    @schema
    class Parent(dj.Manual):
        definition = """
        parent : int32
        """

    @schema
    class Child(dj.Manual):
        definition = """
        -> Parent
        """

        class Part(dj.Part):
            definition = """
            -> master
            part : int8
            """

    return Parent, Child


def test_classes_wait_for_the_name_of_their_schema(connection, schema_name):
    schema = dj.Schema()
    parent, child = waiting_classes(schema)
    assert not schema.is_activated()
    for use in (
        lambda: parent & {"parent": 1},
        lambda: len(child),
        lambda: child.Part.insert1((1, 1)),
        lambda: parent.heading,
        parent,
    ):
        with pytest.raises(DefinitionError, match=r"waits for its schema's name: .*activate"):
            use()

    schema.activate(schema_name, connection=connection)

    parent.insert1((1,))
    child.insert1((1,))
    child.Part.insert1((1, 1))
    assert schema.list_tables() == ["parent", "child", "child__part"]


def test_the_same_name_again_changes_nothing_and_another_is_refused(connection, schema_name):
    schema = dj.Schema()
    with pytest.raises(UsageError, match="has no name yet"):
        schema.activate()
    schema.activate(schema_name, connection=connection)

    schema.activate(schema_name)
    schema.activate()
    with pytest.raises(UsageError, match=f'active as "{schema_name}" and cannot be "another"'):
        schema.activate("another")


def test_a_wrong_definition_stops_the_activation_and_can_be_repaired(connection, schema_name):
    schema = dj.Schema()
    waiting_classes(schema)
    schema(type("Wrong", (dj.Manual,), {"definition": "-> Nobody", "__module__": __name__}))

    with pytest.raises(DefinitionError, match='unknown table "Nobody"'):
        schema.activate(schema_name, connection=connection)
    schema._waiting.clear()
    right = schema(type("Right", (dj.Manual,), {"definition": "-> Parent", "__module__": __name__}))

    assert right.primary_key == ["parent"]


def test_references_find_given_names(schema, schema_name, connection):
    parent, _ = waiting_classes(schema)
    module = types.SimpleNamespace(parents=types.SimpleNamespace(Old=parent))
    again = dj.Schema(schema_name, {"elsewhere": module}, connection=connection)

    wanted = "-> elsewhere.parents.Old"
    made = again(type("Younger", (dj.Manual,), {"definition": wanted, "__module__": __name__}))

    assert made.spec.parents == (parent.spec.name,)


def test_a_class_can_be_declared_again(lab):
    before = lab.tables["Session"]
    subject = lab.tables["Subject"]

    for _ in range(2):

        @lab
        class Subject(dj.Manual):
            definition = subject.definition

        @lab
        class Session(dj.Manual):
            definition = before.definition

    assert lab.tables["Session"] is Session
    assert len(Session) == 1
    assert (Session * Subject).fetch1("name") == "Ada"


# --- switches -----------------------------------------------------------------------------------


def made_from(schema, name="Thing", definition="thing : int32"):
    return schema(type(name, (dj.Manual,), {"definition": definition, "__module__": __name__}))


def test_a_missing_schema_is_an_error_where_it_must_not_be_created(connection, schema_name):
    schema = dj.Schema(schema_name, connection=connection, create_schema=False)

    with pytest.raises(MissingTableError, match=rf'"{schema_name}" is not .*create_schema=False'):
        made_from(schema)

    assert not schema.exists
    assert schema_name not in dj.list_schemas(connection)


def test_a_missing_table_is_an_error_where_it_must_not_be_created(lab, connection):
    schema = dj.Schema(lab.name, connection=connection, create_tables=False)
    subject = lab.tables["Subject"]

    known = made_from(schema, "Subject", subject.definition)
    assert len(known) == 2
    with pytest.raises(MissingTableError, match=r"Thing is not .*create_tables=False"):
        made_from(schema)
    assert "Thing" not in schema


def test_the_setting_is_the_default_of_the_switch(lab, connection, database_url, tmp_path):
    settings = load(database_url=database_url, state_dir=tmp_path / ".djq", create_tables=False)
    careful = dj.Connection(settings)
    try:
        with pytest.raises(MissingTableError, match="create_tables=False"):
            made_from(dj.Schema(lab.name, connection=careful))
        allowed = dj.Schema(lab.name, connection=careful, create_tables=True)
        assert len(made_from(allowed)) == 0
    finally:
        careful.close()


def test_a_user_without_the_privilege_uses_a_schema_that_is_there(
    lab, connection, database_url, tmp_path
):
    database = connection.database
    if database.dialect.is_sqlite:
        pytest.skip("SQLite has no users")
    user = f"u_{lab.name}"[:30]
    database.define(sa.text(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'"))
    grant = f"GRANT SELECT, INSERT, CREATE, REFERENCES, INDEX ON `{lab.name}`.* TO '{user}'@'%'"
    database.define(sa.text(grant))
    url = sa.make_url(database_url).set(username=user, password="secret")
    settings = load(
        database_url=url.render_as_string(hide_password=False), state_dir=tmp_path / ".djq"
    )
    theirs = dj.Connection(settings)
    try:
        made_from(dj.Schema(lab.name, connection=theirs)).insert1((1,))
    finally:
        theirs.close()
        database.define(sa.text(f"DROP USER '{user}'@'%'"))


# --- names --------------------------------------------------------------------------------------


def test_tables_are_listed_in_the_order_of_their_references(lab):
    assert lab.list_tables() == [
        "#rig",
        "subject",
        "session",
        "__spike_count",
        "session__trial",
        "session__event",
    ]
    assert [t.spec.name.table for t in lab] == lab.list_tables()
    assert lab.exists
    assert lab.name in dj.list_schemas(lab.connection)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("Session", "session"),
        ("session", "session"),
        ("Session.Trial", "session__trial"),
        ("SpikeCount", "__spike_count"),
        ("spike_count", "__spike_count"),
        ("__spike_count", "__spike_count"),
        ("Rig", "#rig"),
    ],
)
def test_a_table_is_found_by_any_of_its_names(lab, name, table):
    assert name in lab
    assert lab[name].spec.name.table == table
    assert lab.get_table(name).full_table_name == f"`{lab.name}`.`{table}`"


def test_an_unknown_name_is_answered_with_the_known_ones(lab):
    assert "Sesion" not in lab
    with pytest.raises(MissingTableError, match=r'no table "Sesion".*mean "Session"'):
        lab["Sesion"]


def test_a_table_of_a_class_is_found_with_its_methods(lab):
    assert isinstance(lab["Subject"], lab.tables["Subject"])
    fresh = dj.Schema(lab.name, connection=lab.connection)
    assert isinstance(fresh["Subject"], dj.FreeTable)
    assert fresh["Subject"].fetch("name", order_by="subject").tolist() == ["Ada", "Bob"]


def test_the_job_records_are_found(lab):
    assert [t.full_table_name for t in lab.jobs] == [f"`{lab.name}`.`~~spike_count`"]


# --- classes by reflection ----------------------------------------------------------------------


def test_a_virtual_module_has_the_classes_of_a_schema(lab, other):
    vm = dj.VirtualModule("vm", lab.name, connection=lab.connection)

    assert vm.__name__ == "vm"
    assert vm.Session.spec.tier is lab.tables["Session"].spec.tier
    assert len(vm.Session * vm.Session.Trial * vm.Subject) == 1
    vm.Subject.insert1({"subject": 3})
    assert (vm.Subject & {"subject": 3}).fetch1("name") == "none"
    assert vm.Subject.fetch("born", order_by="subject")[1] == dt.date(2020, 1, 2)
    assert issubclass(vm.Rig, dj.Lookup)
    assert issubclass(vm.Session.Event, dj.Part)
    with pytest.raises(AttributeError, match='no table "Nothing"'):
        _ = vm.Nothing

    @other
    class Note(dj.Manual):
        definition = """
        -> vm.Session.Trial
        ---
        -> [nullable] vm.Rig
        note : varchar(20)
        """

    Note.insert1((1, 1, 7, "a", "good"))
    assert len(Note * vm.Session.Trial * lab.tables["Session"].proj()) == 1
    with pytest.raises(BrokenReferenceError):
        Note.insert1((1, 1, 8, "a", "bad"))


def test_a_reflected_computed_table_can_be_asked(lab):
    lab.tables["SpikeCount"].populate()
    vm = dj.virtual_schema(lab.name, connection=lab.connection)

    assert vm.SpikeCount.fetch1("n") == 3
    assert not hasattr(vm.SpikeCount, "populate")
    assert dj.create_virtual_module is dj.VirtualModule


def test_a_virtual_module_of_a_missing_schema_is_an_error(connection):
    with pytest.raises(MissingTableError, match=r'"nobody" is not in the database\. Known'):
        dj.VirtualModule("vm", "nobody", connection=connection)


def test_missing_classes_are_made(lab):
    fresh = dj.Schema(lab.name, connection=lab.connection)
    made_from(fresh, "Subject", lab.tables["Subject"].definition)
    names = {"Rig": 5}

    fresh.make_classes(into=names)

    assert names["Rig"] == 5
    assert names["Subject"] is fresh.tables["Subject"]
    assert len(names["Session"].Trial) == 1
    made_from(fresh, "Visit", "-> Session\nvisit : int8").insert1((1, 1, 2))

    again = dj.Schema(lab.name, connection=lab.connection)
    again.spawn_missing_classes(module := types.ModuleType("module"))
    assert len(module.Visit) == 1


# --- free tables --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["{}.subject", "`{}`.`subject`", "`{}`.subject"])
def test_a_free_table_is_used_by_its_name(lab, name):
    table = dj.FreeTable(lab.connection, name.format(lab.name))

    table.insert1({"subject": 5, "name": "Eve"})
    assert (table & "name = 'Eve'").fetch1("subject") == 5
    (table & {"subject": 5}).delete(prompt=False)
    assert len(table) == 2
    with pytest.raises(DuplicateError):
        table.insert1({"subject": 1})
    assert len(table * dj.FreeTable(lab.connection, f"{lab.name}.#rig")) == 4


# --- the tree -----------------------------------------------------------------------------------


def full(schema, *tables):
    return [f"`{schema.name}`.`{t}`" for t in tables]


def test_parents_and_children_are_named(lab):
    session, subject = lab.tables["Session"], lab.tables["Subject"]

    assert session.parents() == full(lab, "subject", "#rig")
    assert session.parents(primary=True) == full(lab, "subject")
    assert session.parents(primary=False) == full(lab, "#rig", "subject")
    assert subject.children() == full(lab, "session")
    assert subject.children(primary=True, foreign_key_info=True) == [
        (
            full(lab, "session")[0],
            {
                "primary": True,
                "attr_map": {"subject": "subject"},
                "aliased": False,
                "multi": True,
            },
        )
    ]
    assert [i["aliased"] for _, i in subject.children(foreign_key_info=True)] == [False, True]
    assert [t.full_table_name for t in subject.children(as_objects=True)] == full(lab, "session")
    assert len(session().parents(as_objects=True)[0]) == 2


def test_ancestors_and_descendants_begin_with_the_table(lab):
    event, subject = lab.tables["Session"].Event, lab.tables["Subject"]

    assert subject.descendants() == full(
        lab, "subject", "session", "__spike_count", "session__trial", "session__event"
    )
    assert event.ancestors()[:3] == full(lab, "session__event", "session__trial", "session")
    assert set(event.ancestors()[3:]) == set(full(lab, "subject", "#rig"))
    assert lab.tables["Session"].parts() == full(lab, "session__trial", "session__event")
    assert all(isinstance(t, dj.FreeTable) for t in subject.descendants(as_objects=True))


def test_the_tree_reaches_other_schemas(lab, other):
    Subject = lab.tables["Subject"]  # noqa: N806

    @other
    class Photo(dj.Manual):
        definition = """
        photo : int32
        ---
        -> [nullable] Subject
        """

    assert f"`{other.name}`.`photo`" in Subject.children()
    assert Photo.ancestors() == [f"`{other.name}`.`photo`", *full(lab, "subject")]
    assert f"-> [nullable] {lab.name}.Subject" in Photo.describe()


# --- describe -----------------------------------------------------------------------------------


def test_a_description_is_a_definition_again(lab, capsys):
    event = lab.tables["Session"].Event
    for table in (lab.tables["Subject"], lab.tables["Session"]):
        again = made_from(lab, table.__name__, table.describe())
        assert again.spec == table.spec
    assert "-> [nullable] Subject.proj(partner=" in lab.tables["Session"].describe(printout=True)
    assert "-> [nullable] Subject.proj(partner=" in capsys.readouterr().out
    assert "-> Session.Trial" in event.describe()


# --- contents -----------------------------------------------------------------------------------

CONTENTS = {
    "list": lambda: [(1, "a"), (2, "b")],
    "dicts": lambda: [{"n": 1, "x": "a"}, {"x": "b", "n": 2}],
    "generator": lambda: ((i, x) for i, x in enumerate("ab")),
    "zip": lambda: zip([1, 2], "ab", strict=True),
    "property": lambda: property(lambda self: [(1, "a"), (2, "b")]),
}


@pytest.mark.parametrize("form", CONTENTS)
def test_contents_come_in_every_form(schema, form):
    def declare():
        space = {"definition": "n : int32\n---\nx : varchar(2)", "__module__": __name__}
        return schema(type("Kind", (dj.Lookup,), {**space, "contents": CONTENTS[form]()}))

    assert len(declare()) == 2
    assert sorted(declare().fetch("x")) == ["a", "b"]


def test_contents_that_somebody_changed_stay(schema):
    space = {"definition": "n : int32\n---\nx : varchar(2)", "__module__": __name__}
    kind = schema(type("Kind", (dj.Lookup,), {**space, "contents": [(1, "a")]}))
    kind.insert1((7, "z"))

    again = schema(type("Kind", (dj.Lookup,), {**space, "contents": [(1, "a"), (2, "b")]}))
    assert len(again) == 2
    longer = schema(type("Kind", (dj.Lookup,), {**space, "contents": [(i, "b") for i in range(4)]}))
    assert longer.fetch("x", order_by="n").tolist() == ["b", "a", "b", "b", "z"]


def test_contents_are_left_out_where_the_database_counts(schema, caplog):
    space = {"definition": "n : int auto_increment\n---\nx : varchar(2)", "__module__": __name__}

    kind = schema(type("Kind", (dj.Lookup,), {**space, "contents": [(1, "a")]}))

    assert len(kind) == 0
    assert "lookup_contents_left_out" in caplog.text


@pytest.mark.parametrize("bases", [(dj.Part, dj.Lookup), (dj.Lookup, dj.Part)])
def test_a_part_may_have_contents(schema, bases):
    level = type(
        "Level",
        bases,
        {
            "definition": "-> master\nlevel : int8",
            "contents": [("x", 1), ("x", 2)],
            "__module__": __name__,
        },
    )
    space = {"definition": "kind : varchar(2)", "contents": [("x",)], "__module__": __name__}

    kind = schema(type("Kind", (dj.Lookup,), {**space, "Level": level}))

    assert len(kind.Level) == 2
    assert kind.Level.spec.name.table == "#kind__level"


def test_the_newer_names_of_the_tiers_are_the_same_classes():
    assert dj.Entry is dj.Manual
    assert dj.Ingest is dj.Imported
    assert dj.Compute is dj.Computed
    assert dj.schema is dj.Schema


# --- what differs -------------------------------------------------------------------------------


def test_a_schema_and_its_lineage(lab):
    name = lab.name
    origin = f"{name}.subject.subject"

    assert lab.lineage[f"{name}.session.partner"] == origin
    assert lab.lineage[f"{name}.session__event.subject"] == origin
    assert lab.lineage[f"{name}.session.session"] == f"{name}.session.session"
    assert f"{name}.subject.name" not in lab.lineage
    before = lab.lineage
    with contextlib.suppress(KeyError):
        lab.connection.database.change(_delete_lineage(lab))
    assert lab.lineage == {}
    lab.rebuild_lineage()
    assert lab.lineage == before


def _delete_lineage(schema):
    if schema.connection.database.dialect.is_sqlite:
        return sa.delete(sa.table(f"{schema.name}.~lineage"))
    return sa.delete(sa.table("~lineage", schema=schema.name))
