"""Every form of `key_source`, on every database: found, made, planned, and followed by children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import djq as dj
from djq.errors import DefinitionError, QueryError
from djq.orchestrator.planning import DatabasePlan
from djq.orchestrator.states import Find
from djq.orchestrator.work import tables_of
from djq.populate.keys import from_key_id
from djq.populate.plan import due_ids, due_keys
from djq.populate.planning import plan

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Form:
    """A key source, and the keys that it has; `definition` is of the table's key."""

    source: Callable[[Any], Any] | None
    keys: list[tuple[int, ...]]
    definition: str = "-> Session"
    #: Whether the source is a property; otherwise an attribute of the class.
    is_property: bool = True


ALL = [(1,), (2,), (3,), (4,)]
FORMS = {
    "by default": Form(None, ALL),
    "by default, joined": Form(
        None, [(s, p) for s in range(1, 5) for p in (1, 2)], "-> Session\n-> Param"
    ),
    "by default, renamed": Form(
        None,
        [(a, b) for a in range(1, 5) for b in range(1, 5)],
        "-> Session.proj(first='session')\n-> Session.proj(second='session')",
    ),
    "a class": Form(lambda t: t["Session"], ALL, is_property=False),
    "an instance": Form(lambda t: t["Session"](), ALL, is_property=False),
    "a class of a property": Form(lambda t: t["Session"], ALL),
    "restricted": Form(lambda t: t["Session"] & "rig = 1", [(1,), (3,)]),
    "restricted by a query": Form(
        lambda t: t["Session"] & (t["Trial"] & "trial > 1"), [(1,), (2,)], is_property=False
    ),
    "subtracted": Form(lambda t: t["Session"] - t["Trial"], [(4,)]),
    "a join": Form(
        lambda t: t["Session"] * t["Param"] & "session = param",
        [(1, 1), (2, 2)],
        "-> Session\n-> Param",
    ),
    "a projection": Form(lambda t: t["Session"].proj(r="rig * 2") & "r = 4", [(2,), (4,)]),
    "a union": Form(
        lambda t: (t["Session"] & "session = 1").proj() + (t["Session"] & "session > 3").proj(),
        [(1,), (4,)],
    ),
    "distinct values": Form(lambda t: dj.U("session") & t["Trial"], [(1,), (2,), (3,)]),
    "an aggregation": Form(
        lambda t: t["Session"].aggr(t["Trial"], n="count(*)") & "n >= 2", [(1,), (2,)]
    ),
    "the first few": Form(lambda t: t["Session"] & dj.Top(2, "session DESC"), [(3,), (4,)]),
    "finer than what is made of it": Form(
        lambda t: dj.U("session") & (t["Trial"] & "trial = 1"), [(1,), (2,)]
    ),
}


@pytest.fixture
def lab(schema):
    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        ---
        rig : int32
        """

    @schema
    class Param(dj.Lookup):
        definition = "param : int32"
        contents = ((1,), (2,))

    @schema
    class Trial(dj.Manual):
        definition = """
        -> Session
        trial : int32
        """

    Session.insert([(1, 1), (2, 2), (3, 1), (4, 2)])
    Trial.insert([(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 0)])
    return schema


def declare(lab, form):
    """Return a table with this key source, and one whose keys are its rows."""
    source = form.source
    text = f"{form.definition}\n---\nx : int32"

    def make(self, key):
        self.insert1({**key, "x": 1})

    body: dict[str, Any] = {"definition": text, "make": make}
    if source is not None and form.is_property:
        body["key_source"] = property(lambda _: source(lab.tables))
    elif source is not None:
        body["key_source"] = source(lab.tables)
    made = lab(type("Made", (dj.Computed,), body))
    child = lab(type("Child", (dj.Computed,), {"definition": "-> Made", "make": make_child}))
    return made, child


def make_child(self, key):
    self.insert1(key)


def paged_ids(table):
    """All due keys, a few at a time."""
    ids = due_ids(table, limit=3)
    while page := due_ids(table, limit=3, after=from_key_id(table.job_heading, ids[-1])):
        ids += page
    return ids


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_key_source_of_any_form_is_found_made_and_planned(lab, form):
    made, child = declare(lab, form)
    names = made.job_heading.primary_key

    due = [tuple(key[n] for n in names) for key in due_keys(made, limit=100)]
    ids = paged_ids(made)
    before = plan(lab)
    some = made.populate({names[0]: form.keys[0][0]})
    after = made.populate()

    assert due == form.keys
    assert ids == [f"[{','.join(map(str, key))}]" for key in form.keys]
    assert (before[made].total, before[made].due) == (len(form.keys), len(form.keys))
    assert before[child].blocked[made.spec.display_name].n == len(form.keys)
    assert some["success_count"] + after["success_count"] == len(form.keys)
    assert (
        sorted(
            zip(*made.to_arrays(*names), strict=True)
            if len(names) > 1
            else [(n,) for n in made.to_arrays(names[0])]
        )
        == form.keys
    )
    assert made.populate()["success_count"] == 0
    assert child.populate()["success_count"] == len(form.keys)
    assert (plan(lab)[child].total, plan(lab)[child].blocked) == (len(form.keys), {})


@pytest.fixture
def wrong(schema):
    """A table whose key source is `wrong.source()`, and one that is right; both of one parent."""

    @schema
    class Number(dj.Manual):
        definition = "n : int32"

    @schema
    class Other(dj.Manual):
        definition = "n : int32"

    @schema
    class Wrong(dj.Computed):
        definition = "-> Number"
        source = staticmethod(lambda: Number() * Other())

        @property
        def key_source(self):
            return self.source()

        def make(self, key):
            self.insert1(key)

    @schema
    class Right(dj.Computed):
        definition = "-> Number"

        def make(self, key):
            self.insert1(key)

    Number.insert1((1,))
    Wrong.right = Right
    return Wrong


def test_an_error_of_a_key_source_names_its_table(wrong):
    name = wrong.spec.display_name
    with pytest.raises(QueryError, match=rf"^key_source of {name}: cannot join on"):
        wrong.progress()

    wrong.source = staticmethod(lambda: 1 // 0)
    said = rf"^key_source of {name} raised ZeroDivisionError: integer division"
    with pytest.raises(DefinitionError, match=said) as told:
        plan(wrong)
    assert isinstance(told.value.__cause__, ZeroDivisionError)
    with pytest.raises(DefinitionError, match=said):
        wrong.populate()
    with pytest.raises(DefinitionError, match=said):
        tables_of([wrong.right, wrong])


def test_a_wrong_key_source_leaves_the_other_tables_alone(wrong):
    assert plan(wrong.right)[wrong.right].due == 1
    assert wrong.right.populate()["success_count"] == 1


def test_a_scheduler_begins_though_one_key_source_is_wrong(wrong):
    name, right = wrong.spec.display_name, wrong.right.spec.display_name

    found = DatabasePlan({name: wrong, right: wrong.right})

    assert {place.table for place in found.places} == {name, right}
    assert len(found.find(Find(right, limit=10))) == 1
    with pytest.raises(QueryError, match=f"key_source of {name}"):
        found.find(Find(name, limit=10))
