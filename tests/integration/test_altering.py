"""`Table.alter()` on every database: what changes, what stays, what is refused."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import itertools
import uuid
import zlib

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import djq as dj
from djq.definition import spec as specs
from djq.definition.attributes import CodecType
from djq.definition.changes import stored_spec
from djq.definition.spec import Tier
from djq.errors import (
    BrokenReferenceError,
    DatabaseError,
    DefinitionError,
    DuplicateError,
    UsageError,
)
from djq.sql.reflect import reflect
from tests.support.definitions import TYPES, index_lines
from tests.support.examples import examples

NUMBERS = itertools.count()


def declare(schema, definition, name="Thing", base=dj.Manual, **names):
    return schema(type(name, (base,), {"definition": definition, "__module__": __name__, **names}))


def there(table):
    return reflect(table.schema.connection.database, table.spec.name)


OLD = """
# things
thing : int32
---
name : varchar(10)   # what it is called
size = 1 : int8
note = null : varchar(20)
"""


@pytest.fixture
def old(schema):
    found = declare(schema, OLD)
    found.insert([(1, "a", 2, None), (2, "b", 3, "x")])
    return found


def altered(schema, definition):
    found = declare(schema, definition)
    assert found.alter(prompt=False)
    return found


def test_attributes_are_added_with_their_defaults(schema, old):
    new = altered(
        schema,
        OLD
        + """
        count = 5 : int32
        when = "2024-01-02 03:04:05" : datetime
        tag = "00000000-0000-0000-0000-000000000007" : uuid
        cost = 1.50 : decimal(5,2)
        kind = "b" : enum('a', 'b')
        flag = True : bool
        extra = null : json
        """,
    )

    rows = new.to_dicts(order_by="thing")

    assert rows[0] == {
        "thing": 1,
        "name": "a",
        "size": 2,
        "note": None,
        "count": 5,
        "when": dt.datetime.fromisoformat("2024-01-02 03:04:05"),
        "tag": uuid.UUID(int=7),
        "cost": decimal.Decimal("1.50"),
        "kind": "b",
        "flag": True,
        "extra": None,
    }
    new.insert1({"thing": 3, "name": "c", "count": 9})
    assert (new & {"thing": 3}).fetch1("size", "count") == (1, 9)


def test_attributes_are_dropped(schema, old):
    new = altered(schema, "thing : int32\n---\nname : varchar(10)")

    assert new.to_dicts(order_by="thing") == [{"thing": 1, "name": "a"}, {"thing": 2, "name": "b"}]
    assert there(new).comment == ""


def test_types_defaults_and_comments_change(schema, old):
    new = altered(
        schema,
        """
        # other things
        thing : int32    # number
        ---
        name = "none" : varchar(40)   # how it's "called" \\ 100%
        size = null : float64
        note = null : varchar(20)
        """,
    )

    spec = there(new)
    assert spec.comment == "other things"
    assert spec.heading["thing"].comment == "number"
    assert spec.heading["name"].comment == 'how it\'s "called" \\ 100%'
    assert spec.heading == new.spec.heading
    assert new.fetch("size", order_by="thing").tolist() == [2.0, 3.0]
    new.insert1({"thing": 3})
    assert (new & {"thing": 3}).fetch1("name", "size") == ("none", None)


def test_an_attribute_is_renamed_with_its_values(schema, old):
    text = OLD.replace("name : varchar(10)   #", "title : varchar(10)   # {name}")

    new = altered(schema, text)

    assert new.fetch("title", order_by="thing").tolist() == ["a", "b"]
    assert there(new).heading["title"].comment == "what it is called"
    assert not declare(schema, text).alter(prompt=False)


def test_indexes_come_and_go(schema, old):
    new = altered(schema, OLD + "index(size)\nunique index(name, size)\n")
    assert set(there(new).indexes) == set(new.spec.indexes)
    with pytest.raises(DuplicateError):
        new.insert1((3, "a", 2, None))

    newer = altered(schema, OLD + "index(note)\n")
    assert set(there(newer).indexes) == set(newer.spec.indexes)
    newer.insert1((3, "a", 2, None))


def test_indexes_of_expressions_come_and_go(schema, old):
    if schema.connection.database.dialect.backend == "mariadb":
        pytest.skip("MariaDB has no indexes of expressions")
    new = altered(schema, OLD + "index((lower(name)), size)\n")
    assert set(there(new).indexes) == set(new.spec.indexes)

    newer = altered(schema, OLD + "index((size + 1))\n")

    assert set(there(newer).indexes) == set(newer.spec.indexes)
    assert not newer.alter(prompt=False)


def test_a_unique_index_that_rows_contradict_changes_nothing(schema, old):
    old.insert1((3, "a", 2, None))
    new = declare(schema, OLD.replace("size = 1", "large = 1") + "unique index(name)\n")

    with pytest.raises(DuplicateError):
        new.alter(prompt=False)

    assert there(new).heading == old.spec.heading
    assert len(declare(schema, OLD)) == 3


def test_references_keep_working(schema):
    @schema
    class Parent(dj.Manual):
        definition = "parent : varchar(5)"

    text = "thing : int32\n---\n-> [unique] Parent\n-> Parent.proj(other='parent')\nsize : int8"
    first = declare(schema, text, Parent=Parent)
    child = declare(schema, "-> Thing\nchild : int8", "Child", Thing=first)
    Parent.insert([("a",), ("b",)])
    first.insert([(1, "a", "b", 3), (2, "b", "b", 4)])
    child.insert1((1, 1))

    first.definition = text.replace("size : int8", "size : int32")
    assert first.alter(prompt=False)

    assert set(there(first).foreign_keys) == set(first.spec.foreign_keys)
    assert set(there(first).indexes) == set(first.spec.indexes)
    with pytest.raises(BrokenReferenceError):
        first.insert1((3, "x", "a", 4))
    with pytest.raises(BrokenReferenceError):
        (first & {"thing": 1}).delete_quick()
    assert len(child * first) == 1
    with pytest.raises(BrokenReferenceError):
        child.insert1((5, 1))


def test_a_changed_class_is_declared_and_refuses_rows_until_it_is_altered(schema, old):
    new = declare(schema, OLD + "count = 5 : int32\n")

    for use in (
        lambda: new.insert1((3, "a", 2, None, 1)),
        lambda: len(new),
        lambda: new & {"thing": 1},
        lambda: new.proj() * new,
        new.to_dicts,
    ):
        with pytest.raises(DefinitionError, match=r"count is missing there.*Thing.alter\(\)"):
            use()
    assert new.alter(prompt=False)
    assert len(new) == 2
    assert not new.alter(prompt=False)


def test_comments_defaults_and_indexes_alone_keep_nobody_from_working(schema, old):
    new = declare(schema, OLD.replace("# things", "# them").replace("size = 1", "size = 2"))

    new.insert1({"thing": 3, "name": "c"})

    assert (new & {"thing": 3}).fetch1("size") == 2
    assert new.alter(prompt=False)
    assert there(new).heading["size"].default == 2


def test_contents_are_inserted_after_alter(schema):
    declare(schema, "kind : int8", "Kind", dj.Lookup, contents=[(1,)])
    new = declare(
        schema,
        "kind : int8\n---\nname = '' : varchar(5)",
        "Kind",
        dj.Lookup,
        contents=[(1, "a"), (2, "b")],
    )

    assert new.alter(prompt=False)

    assert len(new) == 2


def test_a_definition_that_is_assigned_is_read_by_alter(schema, old):
    old.definition = OLD + "count = 5 : int32\n"

    assert old.alter(prompt=False)

    assert old.heading.names[-1] == "count"
    assert old.fetch("count").tolist() == [5, 5]


def test_parts_and_computed_tables_are_altered(schema):
    @schema
    class Parent(dj.Manual):
        definition = "parent : int32"

    def make(self, key):
        self.insert1({**key, "total": 1})
        self.Piece.insert1({**key, "piece": 1})

    def family(total, size):
        piece = type("Piece", (dj.Part,), {"definition": f"-> master\npiece : int8\n---\n{size}"})
        return declare(
            schema,
            f"-> Parent\n---\n{total}",
            "Result",
            dj.Computed,
            Parent=Parent,
            make=make,
            Piece=piece,
        )

    first = family("total : int32", "size = 1 : int8")
    Parent.insert([(1,), (2,)])
    first.populate({"parent": 1})
    second = family("total : int64", "size = 1 : int8\ncolour = 'red' : varchar(5)")
    assert second.alter(prompt=False)
    assert second.Piece.alter(prompt=False)

    second.populate()

    assert len(second) == 2
    assert second.Piece.fetch("colour").tolist() == ["red", "red"]
    assert {a.name for a in there(second).hidden} == {a.name for a in second.spec.hidden}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("size = 1 : int8", "size : int8\nmore : int8"), "new attribute more has neither"),
        (("note = null :", "note :"), "note cannot become required: it is null where thing=1"),
        (("varchar(20)", "int8"), "note cannot become int8: it is varchar"),
        (("varchar(10)", "enum('a')"), "name cannot become enum.*'b' is not one of"),
        (("thing : int32", "thing : int64"), "primary key changes.*thing is int32 there"),
        (("thing : int32", "thing : int32\nother : int8"), "other is in the key here only"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_rows_do_not_fit_is_refused_and_changes_nothing(schema, old, change, message):
    before = there(old)
    new = declare(schema, OLD.replace(*change))

    with pytest.raises(DefinitionError, match=message):
        new.alter(prompt=False)

    assert there(new) == before
    assert len(declare(schema, OLD)) == 2


def test_an_empty_table_takes_any_change_outside_of_the_key(schema):
    declare(schema, OLD)

    new = altered(schema, OLD.replace("varchar(20)", "int8") + "more : int8\n")

    assert there(new).heading == new.spec.heading


@pytest.mark.parametrize(
    ("old_type", "values", "new_type", "found"),
    [
        ("int32", [-5, 300], "int16", [-5, 300]),
        ("int64", [2**31 + 1], "decimal(20,0)", [decimal.Decimal(2**31 + 1)]),
        (
            "float64",
            [1.26, -1.24],
            "decimal(4,1)",
            [decimal.Decimal("1.3"), decimal.Decimal("-1.2")],
        ),
        ("float64", [1.0, 2.0], "int8", [1, 2]),
        ("float32", [0.5, 1.25], "float64", [0.5, 1.25]),
        ("decimal(6,3)", ["1.250"], "float64", [1.25]),
        ("bool", [True, False], "int8", [1, 0]),
        ("int8", [0, 1], "bool", [False, True]),
        ("varchar(9)", ["a", "b"], "enum('b','a')", ["a", "b"]),
        ("enum('a','b')", ["b"], "enum('b')", ["b"]),
        ("enum('a','b')", ["b"], "varchar(1)", ["b"]),
        ("date", ["2024-02-29"], "datetime(3)", [dt.datetime.fromisoformat("2024-02-29")]),
        ("datetime", ["2024-02-29 01:02:03"], "date", [dt.date(2024, 2, 29)]),
        (
            "datetime(6)",
            ["2024-02-29 01:02:03.4567"],
            "datetime(1)",
            [dt.datetime.fromisoformat("2024-02-29 01:02:03.5")],
        ),
    ],
)
def test_values_of_another_type_are_converted_alike(schema, old_type, values, new_type, found):
    first = declare(schema, f"thing : int32\n---\nvalue = null : {old_type}")
    first.insert([(i, v) for i, v in enumerate(values)] + [(99, None)])

    new = altered(schema, f"thing : int32\n---\nvalue = null : {new_type}")

    assert [r["value"] for r in new.to_dicts(order_by="thing")] == [*found, None]
    # Conditions see the new values, too.
    assert len(new & {"value": found[0]}) == found.count(found[0])


# --- `longblob` and `<blob>` ---------------------------------------------------------------------

BLOBS = "thing : int32\n---\nvalue = null : {}  # what was measured"
#: A list, as DataJoint for Python writes it.
A_LIST = b"dj0\0\2" + (1).to_bytes(8, "little") + (4).to_bytes(8, "little") + b"\n\1\0\5"


@pytest.fixture
def measured(schema):
    """A table as DataJoint 0.x leaves it: no mark tells that a `longblob` holds blobs."""
    found = declare(schema, BLOBS.format("longblob"))
    packed = b"ZL123\0" + len(A_LIST).to_bytes(8, "little") + zlib.compress(A_LIST)
    rows = [{"thing": 1, "value": A_LIST}, {"thing": 2, "value": packed}]
    schema.connection.database.insert(found.spec, rows)
    found.insert([(3, {"a": 1}), (4, None)])
    return found


def values_of(table):
    return [r["value"] for r in table.to_dicts(order_by="thing")]


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("family", ["longblob", "mediumblob", "tinyblob"])
def test_a_longblob_of_blobs_becomes_a_blob_and_back(schema, family):
    # Given: another one of the family.
    if family != "longblob":
        altered(schema, BLOBS.format(family))

    # When: the class says what the values are.
    new = altered(schema, BLOBS.format("<blob>"))

    # Then: the database says it, too, and all values are read.
    assert there(new).heading["value"].type == CodecType("blob")
    assert not new.alter(prompt=False)
    assert values_of(new) == [[5], [5], {"a": 1}, None]
    new.insert1((5, b"bytes"))

    # When, then: back again.
    old = altered(schema, BLOBS.format(family))
    assert there(old).heading["value"].type == old.spec.heading["value"].type
    assert values_of(old) == [[5], [5], {"a": 1}, None, b"bytes"]
    assert not old.alter(prompt=False)


def test_bytes_that_are_no_blob_keep_a_longblob_what_it_is(schema, measured):
    measured.insert([(7, b"mY"), (8, b"djp"), (6, b""), (9, b"raw")])
    before = there(measured)
    new = declare(schema, BLOBS.format("<blob>"))

    message = r"value cannot become <blob>: 4 rows hold bytes that are no blob.* thing=6\. Keep"
    with pytest.raises(DefinitionError, match=message):
        new.alter(prompt=False)

    assert there(measured) == before
    (measured & "thing > 4").delete(prompt=False)
    assert new.alter(prompt=False)


@pytest.mark.usefixtures("measured")
def test_a_blob_that_is_too_long_is_named(schema):
    altered(schema, BLOBS.format("<blob>")).insert1((5, bytes(range(256))))
    new = declare(schema, BLOBS.format("tinyblob"))

    with pytest.raises(DefinitionError, match=r"value cannot become tinyblob: .*thing=5"):
        new.alter(prompt=False)


def test_alter_is_refused_inside_a_transaction_and_for_a_part_of_the_rows(schema, old):
    with schema.connection.transaction, pytest.raises(UsageError, match="inside a transaction"):
        old.alter(prompt=False)
    with pytest.raises(UsageError, match="altered as a whole"):
        (old & {"thing": 1}).alter(prompt=False)


def test_the_statements_are_shown_before_the_question(schema, old, monkeypatch, capsys):
    new = declare(schema, OLD.replace("note = null : varchar(20)", "count = 5 : int32"))
    answers = iter(["no", "yes"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))

    assert not new.alter()
    assert there(new).heading == old.spec.heading
    assert new.alter()

    shown = capsys.readouterr().out
    assert "count" in shown
    assert "This drops note with all of its values." in shown
    assert ("ALTER TABLE" in shown) or ("CREATE TABLE" in shown)
    assert len(new) == 2


def test_without_a_terminal_nothing_is_asked_and_nothing_changes(schema, old, monkeypatch):
    new = declare(schema, OLD + "count = 5 : int32\n")
    monkeypatch.setattr("sys.stdin", io.StringIO())

    with pytest.raises(UsageError, match="prompt=False"):
        new.alter()

    assert there(new).heading == old.spec.heading


# --- any two definitions -------------------------------------------------------------------------


@st.composite
def attribute_lines(draw, name):
    """An attribute outside of the key, the same with a default that a row may have, its type."""
    type_, default = draw(TYPES.filter(lambda t: "@" not in t[0]))
    comment = draw(st.sampled_from(["", "words", 'it\'s "so" % \\ {}', "{other} mark"]))
    end = f" : {type_}  # {comment}" if comment else f" : {type_}"
    kinds = ["null"] if default is None else ["null", "value", "required"]
    kind = draw(st.sampled_from(kinds))
    value = "null" if default is None else default
    shown = {"null": " = null", "value": f" = {value}", "required": ""}[kind]
    return f"{name}{shown}{end}", f"{name} = {value}{end}", type_


@st.composite
def pairs_of_definitions(draw, backend):
    """Two definitions of one table that differ outside of the key, and one for its rows."""
    before = {n: draw(attribute_lines(n)) for n in ("a", "b", "c")}
    after = {}
    for name, drawn in before.items():
        match draw(st.sampled_from(["same", "same", "other", "dropped", "renamed"])):
            case "same":
                after[name] = drawn
            case "other":
                after[name] = draw(attribute_lines(name))
            case "renamed":
                head, _, _ = drawn[0].partition("  #")
                after[f"new_{name}"] = (f"new_{head}  # {{{name}}} renamed", "", drawn[2])
    if draw(st.booleans()):
        after["d"] = draw(attribute_lines("d"))

    def text(attributes, comment):
        types = {"k": "int32", **{n: drawn[2] for n, drawn in attributes.items()}}
        indexes = draw(index_lines(types, list(types), backend=backend))
        lines = [f"# {comment}", "k : int32", "---", *(d[0] for d in attributes.values()), *indexes]
        return "\n".join(lines)

    rows = "\n".join(["k : int32", "---", *(drawn[1] for drawn in before.values())])
    return text(before, "first"), text(after, draw(st.sampled_from(["first", "second"]))), rows


def as_sets(spec):
    """Return what counts of a spec: the order of attributes does not."""
    attributes = {a.name: a for a in (*spec.heading, *spec.hidden)}
    return attributes, set(spec.indexes), set(spec.foreign_keys), spec.comment


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.data(), st.integers(0, 2))
def test_any_definition_becomes_any_other(schema, data, n_rows):
    backend = schema.connection.database.dialect.backend
    old_text, new_text, row_text = data.draw(pairs_of_definitions(backend))
    name = f"Thing{next(NUMBERS)}"
    try:
        old = declare(schema, old_text, name)
        values = specs.build(
            row_text, schema="x", class_name="Row", tier=Tier.MANUAL, resolve=lambda _: None
        )
    except DefinitionError:  # the server has no such index
        return
    row = {a.name: a.default for a in values.heading if not a.in_key}
    for k in range(n_rows):
        try:
            old.insert1({"k": k, **row})
        except DuplicateError:
            break
    before, rows = there(old), old.to_dicts(order_by="k")
    try:
        new = declare(schema, new_text, name)
        new.alter(prompt=False)
    except (DefinitionError, DuplicateError, DatabaseError) as error:
        event(type(error).__name__)
        assert as_sets(there(old)) == as_sets(before)
        assert declare(schema, old_text, name).to_dicts(order_by="k") == rows
        return

    event("altered")
    stored = stored_spec(before, new.spec)
    assert as_sets(there(new)) == as_sets(stored)
    assert not new.alter(prompt=False)
    found = new.to_dicts(order_by="k")
    assert len(found) == len(rows)
    for was, is_ in zip(rows, found, strict=True):
        for attribute in new.heading:
            source = attribute.name.removeprefix("new_")
            if source in was and was[source] is not None:
                same = before.heading[source].type == attribute.type
                wanted = was[source] if same else attribute.type.accept(was[source])
                assert is_[attribute.name] == wanted
