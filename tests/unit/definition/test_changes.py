"""What changed between a table and its definition."""

from __future__ import annotations

import pytest

from djq.definition import spec as specs
from djq.definition.attributes import CodecType, CoreType, NativeType
from djq.definition.changes import compare, stored_spec
from djq.definition.conversions import Conversion, conversion
from djq.definition.spec import Index, Tier

PARENT = "subject : int32\n---\nname : varchar(10)"
OTHER = "rig : int32"


def spec(text, name="Session"):
    parents = {n: t for n, t in (("Subject", PARENT), ("Rig", OTHER)) if n != name}
    return specs.build(
        text,
        schema="lab",
        class_name=name,
        tier=Tier.MANUAL,
        resolve=lambda n: spec(parents[n], n),
    )


def changes(old, new):
    return compare(spec(old), spec(new))


BASE = "session : int32\n---\nnote : varchar(10)  # words"


def test_the_same_definition_changes_nothing():
    assert not changes(BASE, BASE)
    assert changes(BASE, BASE).essential == ()


def test_order_does_not_count():
    assert not changes("x : int8\n---\na : int8\nb : int8", "x : int8\n---\nb : int8\na : int8")


def test_added_dropped_and_modified_attributes():
    found = changes(
        "x : int32\n---\na : int8\nb : int8\nc : int8",
        "x : int32\n---\nb : int16\nc : int8\nd : int8",
    )

    assert [a.name for a in found.added] == ["d"]
    assert [a.name for a in found.dropped] == ["a"]
    assert [(str(m.old.type), str(m.new.type)) for m in found.modified] == [("int8", "int16")]
    assert found.essential == (
        "d is missing there",
        "a is only there",
        "b is int8 there and int16 here",
    )
    assert not found.refused


def test_comments_and_defaults_are_changes_that_rows_do_not_feel():
    found = changes(
        "# one\nx : int32\n---\ny = 1 : int8  # a", "# two\nx : int32\n---\ny = 2 : int8  # b"
    )

    assert found.comment == "two"
    assert [str(m) for m in found.modified] == [
        'the default of y is 1 there, 2 here, the comment of y is "a" there'
    ]
    assert found
    assert found.essential == ()


def test_the_comment_of_a_key_attribute_may_change():
    found = changes("x : int32  # a\n---\ny : int8", "x : int32  # b\n---\ny : int8")

    assert [m.new.comment for m in found.modified] == ["b"]
    assert not found.refused


def test_a_rename_is_marked_by_the_comment_and_the_mark_is_not_kept():
    old, new = (
        spec("x : int32\n---\nspeed : int8 # m/s\nindex(speed)"),
        spec("x : int32\n---\nvelocity : int8 # {speed} m/s\nindex(velocity)"),
    )

    found = compare(old, new)

    assert [(m.old.name, m.new.name, m.new.comment) for m in found.modified] == [
        ("speed", "velocity", "m/s")
    ]
    assert (found.added, found.dropped) == ((), ())
    assert (found.new_indexes, found.old_indexes) == ((), ())
    assert not compare(stored_spec(old, new), new)


def test_a_comment_that_looks_like_a_mark_in_a_table_that_has_it_is_a_comment():
    text = "x : int32\n---\ny : int8 # {px} width"
    assert not changes(text, text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "x : int32",
            "x : int32\n---\ny : int8 # {z}",
            'renamed "z", which the table does not have',
        ),
        (
            "x : int32\n---\nz : int8",
            "x : int32\n---\nz : int8\ny : int8 # {z}",
            "still in the definition",
        ),
        ("x : int32", "x : int32\nz : int32", "z is in the key here only"),
        ("x : int32\nz : int32", "x : int32", "z is in the key there only"),
        ("x : int32\n---\ny : int8", "x : int32\ny : int8", "y is not in the key there"),
        ("x : int32", "x : int64", "x is int32 there and int64 here"),
        ("x : int32", "-> Subject\nx : int32", "subject is in the key here only"),
        ("x : int32", "x : int32\n---\n-> Subject", "subject → lab.subject is only here"),
        ("x : int32\n---\n-> Subject", "x : int32\n---\nsubject : int32", "is only there"),
        (
            "x : int32\n---\n-> Subject",
            "x : int32\n---\n-> [nullable] Subject",
            "subject can not be null",
        ),
    ],
)
def test_changes_of_keys_and_references_are_refused_with_advice(old, new, words):
    refused = "; ".join(changes(old, new).refused)

    assert words in refused
    assert "declare a table under another name" in refused or "renamed" in refused


def test_indexes_are_compared_as_sets():
    found = changes(
        "x : int32\n---\na : int8\nb : int8\nindex(a)\nindex(b)",
        "x : int32\n---\na : int8\nb : int8\nindex(b)\nunique index(a, b)",
    )

    assert found.new_indexes == (Index(("a", "b"), is_unique=True),)
    assert found.old_indexes == (Index(("a",)),)
    assert found.essential == ()


def core(name, *arguments):
    return CoreType(name, arguments)


@pytest.mark.parametrize(
    ("old", "new", "becomes"),
    [
        (core("int8"), core("int16"), Conversion.KEPT),
        (core("int16"), core("int8"), Conversion.CHECKED),
        (core("bool"), core("int8"), Conversion.KEPT),
        (core("int32"), core("float64"), Conversion.KEPT),
        (core("int64"), core("float64"), Conversion.CHECKED),
        (core("float32"), core("float64"), Conversion.KEPT),
        (core("float64"), core("float32"), Conversion.CHECKED),
        (core("float64"), core("int64"), Conversion.CHECKED),
        (core("int8"), core("decimal", 3, 0), Conversion.KEPT),
        (core("int8"), core("decimal", 3, 1), Conversion.CHECKED),
        (core("decimal", 5, 2), core("decimal", 6, 3), Conversion.KEPT),
        (core("decimal", 5, 2), core("decimal", 6, 1), Conversion.CHECKED),
        (core("decimal", 5, 2), core("float64"), Conversion.CHECKED),
        (core("varchar", 5), core("varchar", 6), Conversion.KEPT),
        (core("varchar", 6), core("varchar", 5), Conversion.CHECKED),
        (core("varchar", 5), core("char", 5), Conversion.CHECKED),
        (core("char", 5), core("varchar", 5), Conversion.KEPT),
        (core("enum", "a", "b"), core("enum", "c", "b", "a"), Conversion.KEPT),
        (core("enum", "a", "b"), core("enum", "a"), Conversion.CHECKED),
        (core("enum", "a", "bb"), core("varchar", 2), Conversion.KEPT),
        (core("varchar", 2), core("enum", "a"), Conversion.CHECKED),
        (core("date"), core("datetime"), Conversion.KEPT),
        (core("datetime", 3), core("datetime"), Conversion.CHECKED),
        (core("datetime"), core("date"), Conversion.CHECKED),
        (core("int32"), core("varchar", 20), Conversion.IMPOSSIBLE),
        (core("bytes"), CodecType("blob"), Conversion.IMPOSSIBLE),
        (CodecType("blob"), CodecType("blob", "raw"), Conversion.IMPOSSIBLE),
        (core("uuid"), core("char", 36), Conversion.IMPOSSIBLE),
        (NativeType("smallint"), core("int16"), Conversion.KEPT),
        (NativeType("smallint", (), is_unsigned=True), core("int16"), Conversion.CHECKED),
        (NativeType("text"), NativeType("longtext"), Conversion.KEPT),
        (NativeType("longtext"), core("varchar", 9), Conversion.CHECKED),
        (NativeType("tinyblob"), NativeType("longblob"), Conversion.KEPT),
        (NativeType("longblob"), CodecType("blob"), Conversion.CHECKED),
        (CodecType("blob"), NativeType("longblob"), Conversion.KEPT),
        (CodecType("blob"), NativeType("mediumblob"), Conversion.CHECKED),
        (NativeType("longblob"), CodecType("blob", "raw"), Conversion.IMPOSSIBLE),
        (NativeType("longblob"), CodecType("graph"), Conversion.IMPOSSIBLE),
        (NativeType("double"), core("float64"), Conversion.KEPT),
        (NativeType("decimal", (5, 2)), core("decimal", 5, 2), Conversion.KEPT),
    ],
    ids=str,
)
def test_what_becomes_of_values(old, new, becomes):
    assert conversion(old, new) is becomes
