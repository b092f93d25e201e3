"""What wrong uses of diagrams are answered: read it as documentation."""

from __future__ import annotations

import sys
import types

import pytest

import djq as dj
from djq.errors import ConfigError, DefinitionError, QueryError, UsageError
from djq.tables.connection import Connection
from djq.tables.schema import Schema


@pytest.fixture
def lab(local_settings):
    connection = Connection(local_settings)
    schema = Schema("lab", connection=connection)

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        name = "" : varchar(20)
        """

    @schema
    class Session(dj.Manual):
        definition = """
        -> Subject
        session : int32
        """

        class Trial(dj.Part):
            definition = """
            -> master
            trial : int32
            """

    yield types.SimpleNamespace(schema=schema, Subject=Subject, Session=Session)
    connection.close()


class Undeclared(dj.Manual):
    definition = "x : int32"


#: A wrong use → the exception and what its message says.
WRONG = {
    "not a source": (
        lambda lab: dj.Diagram("lab"),
        QueryError,
        (
            "cannot draw 'lab': dj.Diagram takes a schema, a table, a module with tables, or "
            "another diagram; several with dj.Diagram.from_sequence([…])"
        ),
    ),
    "a query": (
        lambda lab: dj.Diagram(lab.Subject * lab.Session),
        QueryError,
        "dj.Diagram takes a schema, a table",
    ),
    "a class without @schema": (
        lambda lab: dj.Diagram(Undeclared),
        DefinitionError,
        "Undeclared is not declared: put @schema above the class",
    ),
    "an empty module": (
        lambda lab: dj.Diagram(types.ModuleType("empty")),
        QueryError,
        'the module "empty" has neither a schema nor a declared table to draw',
    ),
    "no sources": (
        lambda lab: dj.Diagram.from_sequence([]),
        QueryError,
        "no source to draw: name at least one schema, table or module",
    ),
    "levels below zero": (
        lambda lab: dj.Diagram(lab.Session) + -2,
        QueryError,
        "-2 levels: write - 2 for levels above, + 2 for levels below",
    ),
    "a direction": (
        lambda lab: dj.Diagram(lab.Session).make_svg(direction="up"),
        QueryError,
        "direction='up': a diagram is drawn TB or LR",
    ),
    "a file of another kind": (
        lambda lab: dj.Diagram(lab.Session).save("pipeline.pdf"),
        QueryError,
        'cannot save "pipeline.pdf": name a file that ends in .svg, .png, .mmd or .dot',
    ),
    "rows of a table that is not shown": (
        lambda lab: dj.Diagram(lab.Session)[lab.Subject],
        QueryError,
        "lab.Subject is not in the diagram. Its tables: Session",
    ),
    "a misspelled name": (
        lambda lab: dj.Diagram(lab.Session)["Sesion"],
        QueryError,
        '"Sesion" is not in the diagram. Its tables: Session',
    ),
    "a restriction of a table that is not shown": (
        lambda lab: dj.Diagram(lab.Session).restrict(lab.Subject & {"subject": 1}),
        QueryError,
        "lab.Subject is not in the diagram",
    ),
    "a trace of a descendant": (
        lambda lab: dj.Diagram.trace(lab.Session)[lab.Session.Trial],
        QueryError,
        (
            "lab.Session.Trial is not an ancestor of lab.Session, whose rows do not come from it. "
            "Ancestors: lab.Subject"
        ),
    ),
    "a trace of a join": (
        lambda lab: dj.Diagram.trace(lab.Subject * lab.Session),
        QueryError,
        "the query is a join, not rows of one table: restrict a table by it, as in Table & query",
    ),
    "a trace of renamed keys": (
        lambda lab: dj.Diagram.trace(lab.Subject.proj(animal="subject")),
        QueryError,
        "the query renames attributes of its table's key: leave out this .proj()",
    ),
    "a trace of a key": (
        lambda lab: dj.Diagram.trace({"subject": 1}),
        QueryError,
        "{'subject': 1} is not a table or query",
    ),
    "a cascade of parts": (
        lambda lab: dj.Diagram.cascade(lab.Session.Trial & "trial > 3"),
        UsageError,
        "lab.Session.Trial is a part",
    ),
    "a cascade of a join": (
        lambda lab: dj.Diagram.cascade(lab.Subject * lab.Session),
        QueryError,
        "the query is a join, not rows of one table",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_use_is_answered(lab, case):
    use, kind, message = WRONG[case]

    with pytest.raises(kind) as error:
        use(lab)

    assert message in str(error.value)


def test_diagrams_of_two_databases_do_not_mix(lab, local_settings, tmp_path):
    elsewhere = Connection(local_settings)
    try:
        with pytest.raises(QueryError, match="cannot combine diagrams of two connections"):
            dj.Diagram(lab.schema) + dj.Diagram(Schema("lab", connection=elsewhere))
    finally:
        elsewhere.close()


def test_png_without_its_package_says_how_to_get_it(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)

    with pytest.raises(ConfigError) as error:
        dj.Diagram(lab.schema).make_png()

    assert str(error.value) == (
        'PNG images need one more package: pip install "djq[diagram]"; '
        "SVG (make_svg) and Mermaid (make_mermaid) need none"
    )
