"""Native types, tables of one row, references to oneself, indexes, and the way back to text."""

from __future__ import annotations

import datetime as dt
import logging
from decimal import Decimal

import pytest

from djq.definition.attributes import CodecType, CoreType, NativeType
from djq.definition.describe import describe
from djq.definition.spec import Index, TableSpec, Tier, build
from djq.errors import DefinitionError


def read(text, class_name="Thing", **tables) -> TableSpec:
    def resolve(name):
        if name not in tables:
            message = f'unknown table "{name}"'
            raise DefinitionError(message)
        return tables[name]

    return build(text, schema="lab", class_name=class_name, tier=Tier.MANUAL, resolve=resolve)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("int", NativeType("int")),
        ("INTEGER(11) UNSIGNED", NativeType("int", (), is_unsigned=True)),
        ("double  precision", NativeType("double")),
        ("real(7,2)", NativeType("double", (7, 2))),
        ("numeric", CoreType("decimal", (10, 0))),
        ("numeric(5)", CoreType("decimal", (5, 0))),
        ("decimal(5,1) unsigned", NativeType("decimal", (5, 1), is_unsigned=True)),
        ("boolean", CoreType("bool")),
        ("time(0)", NativeType("time")),
        ("year(4)", NativeType("year")),
        ("longblob", NativeType("longblob")),
        ("<blob@>", CodecType("blob", "")),
        ('enum(\'a\', "b""c")', CoreType("enum", ("a", 'b"c'))),
    ],
)
def test_one_type_has_one_form(text, type_):
    spec = read(f"key : int8\n---\nx : {text}")

    assert spec.heading["x"].type == type_
    assert read(f"key : int8\n---\nx : {type_}") == spec


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("int unsigned", "4294967295", 2**32 - 1),
        ("bigint unsigned", 2**64 - 1, 2**64 - 1),
        ("mediumint", -(2**23), -(2**23)),
        ("float(5,2)", 1.005, 1.0),
        ("decimal(4,1) unsigned", 2.25, Decimal("2.3")),
        ("time", "-00:00:01.5", dt.timedelta(seconds=-2)),
        ("time(3)", dt.time(1, 2, 3, 4500), dt.timedelta(hours=1, minutes=2, microseconds=3005000)),
        ("timestamp", "2020-01-01", dt.datetime.fromisoformat("2020-01-01")),
        ("year", 2155, 2155),
        ("tinytext", "é" * 127, "é" * 127),
        ("binary(3)", b"a", b"a\0\0"),
        ("tinyblob", b"x" * 255, b"x" * 255),
    ],
)
def test_native_types_give_back_one_value(type_, value, expected):
    assert read(f"key : int8\n---\nx : {type_}").heading["x"].type.accept(value) == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("int unsigned", -1),
        ("int unsigned", 2**32),
        ("bigint unsigned", 2**64),
        ("tinyint", 1.5),
        ("float(5,2)", 1000),
        ("double unsigned", -0.5),
        ("time", "839:00:00"),
        ("time", "12"),
        ("timestamp", "2038-01-20"),
        ("year", 24),
        ("tinytext", "é" * 128),
        ("tinytext", b"a"),
        ("binary(3)", b"abcd"),
        ("tinyblob", b"x" * 256),
        ("longblob", "text"),
    ],
)
def test_native_types_refuse_what_does_not_fit(type_, value):
    found = read(f"key : int8\n---\nx : {type_}").heading["x"].type

    with pytest.raises(ValueError, match=r"\w"):
        found.accept(value)


def test_a_native_type_is_mentioned_once(caplog):
    with caplog.at_level(logging.WARNING, logger="djq"):
        read("key : int8\n---\nx : tinyint", class_name="Mentioned")
        read("key : int8\n---\nx : tinyint", class_name="Mentioned")

    assert [r.getMessage() for r in caplog.records] == [
        'native type "tinyint" of "x" in Mentioned: int8 is the same on every database'
    ]


def test_a_table_without_a_key_has_one_row():
    spec = read("---\nrate : float64")

    assert spec.is_singleton
    assert spec.heading.primary_key == ()
    assert [(a.name, a.default, a.in_key) for a in spec.hidden] == [("_singleton", True, True)]


def test_what_the_database_counts_may_be_left_out():
    spec = read("x : serial")

    assert spec.heading["x"].is_auto
    assert spec.heading["x"].has_default
    assert not read("-> P", class_name="Child", P=spec).heading["x"].is_auto


def test_a_table_refers_to_itself_under_other_names():
    spec = read(
        "x : int8\n---\n"
        "-> [nullable] Thing.proj(father='x')\n-> [nullable, unique] Thing.proj(mother='x')"
    )

    assert [f.columns for f in spec.foreign_keys] == [(("father", "x"),), (("mother", "x"),)]
    assert {f.parent for f in spec.foreign_keys} == {spec.name}
    assert spec.parents == ()
    assert spec.heading["father"].lineage == "lab.thing.x"
    assert spec.heading["mother"].nullable
    assert spec.indexes == (Index(("mother",), is_unique=True),)


def test_indexes_are_kept_once_and_in_one_order():
    parent = read("a : int8", class_name="P")

    spec = read(
        "x : int8\n---\n-> P\ny : json\nindex(x, a)\nindex(a)\nindex(x,a)\nunique index(x)\n"
        "unique index(a)\nindex( ( a+1 ), y.b[0].c : decimal( 5 ,2 ))",
        P=parent,
    )

    assert spec.indexes == (
        Index(("(a+1)", "y.b[0].c:decimal(5,2)")),
        Index(("a",), is_unique=True),
        Index(("x", "a")),
    )


def test_a_description_is_aligned_and_reads_as_the_same_spec():
    parent = read("a : int8  # the a\nb : int8", class_name="P")
    text = """# what "it" is
-> P
id                   : int unsigned
---
x="it's \\ 100%"      : varchar(30)                  # a comment # with 'more'
-> [nullable, unique] P.proj(a2='a', b2='b')
now=CURRENT_TIMESTAMP(3) : datetime(3)
-> [nullable] Thing.proj(a3='a', b3='b', id3='id')
y=null               : <blob@raw>
unique index(x)
"""

    spec = read(text, P=parent)

    assert describe(spec, {parent.name: "P", spec.name: "Thing"}.__getitem__) == text
