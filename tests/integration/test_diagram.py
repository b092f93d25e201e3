"""Diagrams on every database: what they show, their algebra, and the rows they select."""

from __future__ import annotations

import sys
import types
from xml.etree import ElementTree as ET

import pytest

import djq as dj
from djq.errors import QueryError
from djq.tables.schema import Schema
from tests.support import servers

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def lab(schema):
    """Users, subjects, their sessions, and pairs of sessions."""

    @schema
    class User(dj.Lookup):
        definition = """
        # who does <things> & "more"
        user : varchar(20)
        """
        contents = (("ada",), ("bob",), ("eve",))

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        -> [nullable] User
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        ---
        -> User.proj(experimenter='user')
        """

    @schema
    class Pair(dj.Manual):
        definition = """
        -> Session.proj(first='session')
        -> Session.proj(second='session')
        """

    Subject.insert([(1, "ada"), (2, None), (3, "bob")])
    Session.insert([(1, 1, "ada"), (1, 2, "bob"), (2, 1, "bob")])
    Pair.insert([(1, 1, 2)])
    return types.SimpleNamespace(User=User, Subject=Subject, Session=Session, Pair=Pair)


@pytest.fixture
def ephys(lab, schema_name, connection, database_url):
    """A schema of its own that depends on `lab`."""
    Session = lab.Session  # noqa: F841, N806 - the definitions refer to it
    schema = Schema(f"{schema_name}_ephys", connection=connection)

    @schema
    class Params(dj.Lookup):
        definition = """
        params : int32
        """
        contents = ((1,), (2,))

    @schema
    class Recording(dj.Imported):
        definition = """
        -> Session
        """

    @schema
    class Sorting(dj.Computed):
        definition = """
        -> Recording
        -> Params
        """

        class Unit(dj.Part):
            definition = """
            -> master
            unit : int32
            """

    @schema
    class Summary(dj.Computed):
        definition = """
        summary : int32
        ---
        -> [unique] Sorting
        """

    Recording.insert([(1, 1), (1, 2), (2, 1)], allow_direct_insert=True)
    Sorting.insert([(1, 1, 1), (1, 2, 1), (2, 1, 2)], allow_direct_insert=True)
    Sorting.Unit.insert([(1, 1, 1, 1), (1, 1, 1, 2), (2, 1, 2, 1)], allow_direct_insert=True)
    Summary.insert([(7, 1, 2, 1)], allow_direct_insert=True)
    yield types.SimpleNamespace(
        schema=schema, Params=Params, Recording=Recording, Sorting=Sorting, Summary=Summary
    )
    if not database_url.startswith("sqlite"):
        servers.drop_databases(database_url, schema.name)  # before the tables that it refers to


@pytest.fixture
def shown(schema_name):
    """The labels of a diagram's tables, in order: `ephys.Unit` and `Unit` as they are printed."""

    def labels(diagram):
        return [line.partition("←")[0].strip() for line in repr(diagram).splitlines()[1:]]

    return labels


def full(table):
    spec = table.spec.name
    return f"`{spec.schema}`.`{spec.table}`"


def test_a_schema_shows_its_tables_in_the_order_of_their_dependencies(schema, lab, shown):
    diagram = dj.Diagram(schema)

    assert shown(diagram) == ["User", "Subject", "Session", "Pair"]
    assert list(diagram) == [full(t) for t in (lab.User, lab.Subject, lab.Session, lab.Pair)]
    assert len(diagram) == 4


def test_a_table_is_shown_as_its_class_and_as_an_instance(lab, shown):
    assert shown(dj.Diagram(lab.Session)) == shown(dj.Diagram(lab.Session())) == ["Session"]


def test_a_module_shows_all_of_its_schemas_and_tables(schema, lab, ephys, shown):
    module = types.ModuleType("pipeline")
    module.lab, module.tables = schema, ephys.schema
    module.Summary = ephys.Summary

    assert len(dj.Diagram(module)) == 4 + 5


def test_several_sources_make_one_diagram(schema, lab, ephys):
    both = dj.Diagram.from_sequence([schema, ephys.Sorting])

    assert both == dj.Diagram(schema) + dj.Diagram(ephys.Sorting)
    assert len(both) == 5


def test_another_diagram_is_the_same_diagram(lab):
    assert dj.Diagram(dj.Diagram(lab.Session)) == dj.Diagram(lab.Session)


def test_numbers_add_levels_below_and_above(lab, ephys, shown):
    session = dj.Diagram(lab.Session)

    assert {lab.Pair in session + 1, ephys.Recording in session + 1} == {True}
    assert len(session + 1) == 3
    assert len(session + 2) == 4
    assert len(session - 1) == 3
    assert len(session + 99 - 99) == 9
    assert session + 0 == session - 0 == session


def test_down_and_up_is_not_up_and_down(lab, ephys):
    recording = dj.Diagram(ephys.Recording)

    down_up, up_down = recording + 1 - 1, recording - 1 + 1

    assert down_up != up_down
    assert ephys.Params in down_up
    assert ephys.Params not in up_down
    assert lab.Pair in up_down
    assert lab.Pair not in down_up


def test_diagrams_are_sets_of_tables(schema, lab):
    whole, session = dj.Diagram(schema), dj.Diagram(lab.Session)

    assert whole - session + session == whole
    assert whole * session == session
    assert session - whole == whole - whole
    assert len(whole - session) == 3
    assert lab.Session in whole
    assert lab.Session not in whole - session
    assert len({whole, whole + session}) == 1


def test_operations_leave_their_diagrams_alone(schema, lab):
    session = dj.Diagram(lab.Session)

    _ = session + 1, session - 1, session + dj.Diagram(schema), session.collapse()

    assert len(session) == 1
    assert "subgraph" in session.make_mermaid()


def test_tables_are_found_by_class_instance_and_name(schema, schema_name, lab):
    diagram = dj.Diagram(lab.Session)

    for name in ("Session", f"{schema_name}.Session", f"`{schema_name}`.`session`"):
        assert name in diagram
    assert lab.Session() in diagram
    assert "Subject" not in diagram
    assert lab.Subject not in diagram


def test_tables_that_no_class_stands_for_appear(lab, ephys, connection, schema_name):
    stranger = Schema(schema_name, connection=connection)

    everything = dj.Diagram(stranger, context={}) + 99

    assert f"{schema_name}_ephys.Sorting.Unit" in repr(everything)
    assert len(everything) == 8  # all but Params, which stands above others


def test_labels_are_the_names_of_the_context(schema, schema_name, lab):
    module = types.ModuleType("lab")
    module.Session = lab.Session

    assert "Mouse" in repr(dj.Diagram(lab.Subject, context={"Mouse": lab.Subject}))
    assert "lab.Session" in repr(dj.Diagram(lab.Session, context={"lab": module}))
    Animal = lab.Subject  # noqa: N806 - a class
    assert "Animal" in repr(dj.Diagram(Animal))


def test_tables_of_the_same_name_are_told_apart_by_their_schemas(schema_name, connection, lab):
    other = Schema(f"{schema_name}_other", connection=connection)

    @other
    class Session(dj.Manual):
        definition = "x : int32"

    both = dj.Diagram(lab.Session, context={}) + dj.Diagram(Session, context={})

    assert f"{schema_name}.Session" in repr(both)
    assert f"{schema_name}_other.Session" in repr(both)


def test_parts_are_added_on_request(ephys, shown):
    sorting = dj.Diagram(ephys.Sorting)

    assert shown(sorting) == ["Sorting"]
    assert shown(sorting.add_parts()) == ["Sorting", f"{ephys.schema.name}.Sorting.Unit"]


def test_a_collapsed_schema_is_one_box_and_tables_that_are_shown_stay(schema, lab, ephys):
    diagram = dj.Diagram(schema) + dj.Diagram(ephys.schema).collapse()
    with_summary = diagram + dj.Diagram(ephys.Summary)

    assert f"{ephys.schema.name} #40;5 tables#41;" in diagram.make_mermaid().replace("#95;", "_")
    assert diagram.make_mermaid().count(":::schema") == 1
    assert ":::computed" not in diagram.make_mermaid()
    assert with_summary.make_mermaid().count(":::computed") == 1
    assert diagram.make_svg().count('class="djq-schema"') == 1


def test_a_collapsed_schema_stands_below_the_tables_that_it_refers_to(lab, ephys):
    text = (dj.Diagram(lab.Session) + dj.Diagram(ephys.schema).collapse()).make_mermaid()

    assert "t0 --> t1" in text
    assert 't1[["' in text


def test_schemas_that_refer_to_each_other_are_drawn(schema, lab, ephys):
    @schema
    class Late(dj.Manual):
        definition = "-> ephys.Summary"

    both = dj.Diagram(schema).collapse() + dj.Diagram(ephys.schema).collapse()
    lines = both.make_mermaid().splitlines()

    assert both.make_svg().count('class="djq-line"') == 2
    assert sum("-->" in line for line in lines) == 2
    Late.drop_quick()


def test_references_are_told_apart(schema, lab, ephys):
    lines = (dj.Diagram(schema) + dj.Diagram(ephys.schema)).make_dot().splitlines()
    edges = {line.split(" [")[0].strip(): line for line in lines if "->" in line.split(" [")[0]}

    def style(parent, child):
        line = edges[f'"{parent}" -> "{child}"']
        return line.partition('style="')[2].split('"')[0], 'penwidth="2.5"' in line

    assert style("Subject", "Session") == ("solid", False)
    assert style("Session", "Recording") == ("solid", True)
    assert style("User", "Subject") == ("dashed", False)
    assert style("Sorting", "Summary") == ("dashed", True)
    assert "nullable" in edges['"User" -> "Subject"']
    assert "nullable" not in edges['"User" -> "Session"']
    assert 'label="experimenter=user"' in edges['"User" -> "Session"']
    assert sum('"Session" -> "Pair"' in line for line in lines) == 2


def test_tooltips_are_the_definitions_with_any_characters(schema, lab):
    image = ET.fromstring(dj.Diagram(schema).make_svg())

    titles = [t.text or "" for t in image.iter("{http://www.w3.org/2000/svg}title")]
    assert any(t.startswith('# who does <things> & "more"\nuser') for t in titles)
    assert any("-> [nullable]" in t for t in titles)


def test_a_table_that_refers_to_itself_is_drawn(schema):
    @schema
    class Folder(dj.Manual):
        definition = """
        folder : int32
        ---
        -> [nullable] Folder.proj(parent='folder')
        """

    diagram = dj.Diagram(Folder)

    assert len(diagram) == 1
    assert "parent=folder" in diagram.make_mermaid()
    assert 'class="djq-renamed"' in diagram.make_svg()


def test_files_of_each_kind_are_saved(lab, tmp_path):
    pytest.importorskip("resvg_py")
    diagram = dj.Diagram(lab.Session) - 1

    for kind in ("svg", "png", "mmd", "dot"):
        diagram.save(tmp_path / f"pipeline.{kind}", direction="LR")

    assert (tmp_path / "pipeline.svg").read_text().startswith("<svg")
    assert (tmp_path / "pipeline.png").read_bytes().startswith(PNG)
    assert (tmp_path / "pipeline.mmd").read_text().startswith("flowchart LR")
    assert "rankdir=LR" in (tmp_path / "pipeline.dot").read_text()


def test_a_notebook_shows_the_picture_and_a_terminal_the_text(lab):
    diagram = dj.Diagram(lab.Session)

    bundle = diagram._repr_mimebundle_(include=None, exclude=None)

    assert bundle["image/svg+xml"] == diagram._repr_svg_() == diagram.svg_string
    assert bundle["text/plain"] == repr(diagram)
    assert diagram.draw()._repr_svg_() == diagram.make_svg()


def test_the_old_names_still_work(lab):
    assert dj.ERD is dj.Di is dj.Diagram


def test_a_diagram_is_made_without_asking_the_database(schema, lab, ephys, monkeypatch):
    dj.Diagram(schema)
    dj.Diagram(ephys.schema)
    repr(dj.Diagram(lab.Session) + 1)
    asked = []
    monkeypatch.setattr(type(schema.connection.database), "read", lambda *a: asked.append(a))

    diagram = dj.Diagram(schema) + dj.Diagram(ephys.schema).collapse() + 1 - 2
    repr(diagram.add_parts())
    list(diagram)

    assert asked == []


# --- rows ---------------------------------------------------------------------------------------


def test_counts_are_the_rows_of_all_tables(schema, lab):
    assert dj.Diagram(schema).counts() == {
        full(lab.User): 3,
        full(lab.Subject): 3,
        full(lab.Session): 3,
        full(lab.Pair): 1,
    }


def test_a_cascade_counts_what_a_delete_would_take_and_takes_nothing(lab, ephys):
    cascade = dj.Diagram.cascade(lab.Session & {"subject": 1})

    assert {name: n for name, n in cascade.counts().items() if n} == {
        full(lab.Session): 2,
        full(lab.Pair): 1,
        full(ephys.Recording): 2,
        full(ephys.Sorting): 2,
        full(ephys.Sorting.Unit): 2,
        full(ephys.Summary): 1,
    }
    assert len(lab.Session) == 3
    assert lab.Subject not in cascade
    assert "Sorting.Unit" in cascade.make_svg()
    assert len(cascade[ephys.Summary]) == 1


def test_a_trace_holds_the_rows_that_others_came_from(lab, ephys):
    trace = dj.Diagram.trace(ephys.Summary)

    assert trace[ephys.Sorting].keys() == [{"subject": 1, "session": 2, "params": 1}]
    assert trace[ephys.Recording].keys() == [{"subject": 1, "session": 2}]
    assert trace[lab.Session].fetch1("experimenter") == "bob"
    assert trace[lab.Subject].keys() == [{"subject": 1}]
    assert trace[ephys.Params].keys() == [{"params": 1}]
    assert isinstance(trace[lab.Session], lab.Session)


def test_a_trace_follows_renamed_and_several_ways(lab, ephys):
    trace = dj.Diagram.trace(lab.Pair)

    assert trace[lab.Session].keys(order_by="session") == [
        {"subject": 1, "session": 1},
        {"subject": 1, "session": 2},
    ]
    # ada: of subject 1 and session 1; bob: of session 2
    assert sorted(row["user"] for row in trace[lab.User]) == ["ada", "bob"]
    assert trace.counts() == {
        full(lab.User): 2,
        full(lab.Subject): 1,
        full(lab.Session): 2,
        full(lab.Pair): 1,
    }


def test_a_trace_of_no_rows_has_none(lab):
    trace = dj.Diagram.trace(lab.Pair & "first > 99")

    assert set(trace.counts().values()) == {0}


def test_a_trace_of_the_first_rows_is_theirs_alone(lab, ephys):
    query = ephys.Sorting.Unit & "unit = 1" & dj.Not({"subject": 1})

    assert dj.Diagram.trace(query)[lab.Session].keys() == [{"subject": 2, "session": 1}]


def test_a_trace_has_names_for_its_tables(schema_name, lab):
    assert len(dj.Diagram.trace(lab.Pair)[f"{schema_name}.Session"]) == 2


def test_a_trace_of_a_projection_without_its_references_still_finds_them(lab):
    assert len(dj.Diagram.trace(lab.Session.proj())[lab.User]) == 2


def test_only_ancestors_are_in_a_trace(lab, ephys):
    with pytest.raises(QueryError, match=r"Pair is not an ancestor of .*Summary"):
        dj.Diagram.trace(ephys.Summary)[lab.Pair]


def test_restrictions_reach_all_tables_below_and_add_up(schema, lab, ephys):
    whole = dj.Diagram(schema) + dj.Diagram(ephys.schema)

    once = whole.restrict(lab.Subject & {"subject": 1})
    twice = once.restrict(ephys.Params & {"params": 2})

    assert once.counts()[full(ephys.Sorting)] == 2
    assert once.counts()[full(lab.User)] == 3
    assert once.counts()[full(ephys.Sorting.Unit)] == 2
    assert twice.counts()[full(ephys.Recording)] == 2
    assert twice.counts()[full(ephys.Sorting)] == 0
    assert len(whole[ephys.Sorting]) == 3


def test_restrictions_reach_past_tables_that_are_not_shown(lab, ephys):
    ends = dj.Diagram(lab.Subject) + dj.Diagram(ephys.Summary)

    assert ends.restrict(lab.Subject & "subject = 2").counts()[full(ephys.Summary)] == 0


def test_pruning_leaves_tables_with_rows(schema, lab):
    pruned = dj.Diagram(schema).restrict(lab.Subject & {"subject": 3}).prune()

    assert set(pruned) == {full(lab.User), full(lab.Subject)}


def test_one_statement_counts_a_whole_diagram(schema, lab, monkeypatch):
    diagram = dj.Diagram(schema)
    diagram.counts()
    database = schema.connection.database
    asked = []
    real = type(database)._fetch
    monkeypatch.setattr(
        type(database), "_fetch", lambda self, *a, **k: asked.append(a) or real(self, *a, **k)
    )

    diagram.counts()

    assert len(asked) == 1


def test_a_module_of_this_process_is_a_source(schema, lab):
    module = types.ModuleType("pipeline_of_a_test")
    module.schema = schema
    sys.modules["pipeline_of_a_test"] = module
    try:
        assert dj.Diagram(module) == dj.Diagram(schema)
    finally:
        del sys.modules["pipeline_of_a_test"]
