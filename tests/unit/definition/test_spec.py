"""Definition text → what it says about a table."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djq.definition.acceptance import round_float32, shortest_float32
from djq.definition.attributes import CodecType, CoreType, Special
from djq.definition.spec import Tier, build, snake_case
from djq.errors import DefinitionError


def read(text, class_name="Thing", tier=Tier.MANUAL, **tables):
    def resolve(name):
        if name not in tables:
            message = f'unknown table "{name}"'
            raise DefinitionError(message)
        return tables[name]

    return build(text, schema="lab", class_name=class_name, tier=tier, resolve=resolve)


@pytest.mark.parametrize(
    ("line", "type_", "default", "comment"),
    [
        ("x : int32", CoreType("int32"), Special.REQUIRED, ""),
        ("x:int32#c", CoreType("int32"), Special.REQUIRED, "c"),
        ("x = 5 : int8 # five", CoreType("int8"), 5, "five"),
        ("x=-5:int8", CoreType("int8"), -5, ""),
        ("x = null : int8", CoreType("int8"), None, ""),
        ("x = NULL : int8", CoreType("int8"), None, ""),
        ('x = "null" : varchar(4)', CoreType("varchar", (4,)), "null", ""),
        ('x = "" : varchar(4)', CoreType("varchar", (4,)), "", ""),
        ("x = 'it''s # a:b' : varchar(20)", CoreType("varchar", (20,)), "it's # a:b", ""),
        ("x = abc : varchar(4)", CoreType("varchar", (4,)), "abc", ""),
        ("x = 1.50 : decimal(4,2)", CoreType("decimal", (4, 2)), Decimal("1.50"), ""),
        ("x = true : bool", CoreType("bool"), True, ""),
        ("x = 0 : bool", CoreType("bool"), False, ""),
        ("x = '2024-01-02' : date", CoreType("date"), dt.date(2024, 1, 2), ""),
        ("x = CURRENT_TIMESTAMP : datetime", CoreType("datetime"), Special.NOW, ""),
        ("x = current_timestamp(3) : datetime(3)", CoreType("datetime", (3,)), Special.NOW, ""),
        (
            "x = 'b' : enum('a', \"b\", 'it''s')  # it's",
            CoreType("enum", ("a", "b", "it's")),
            "b",
            "it's",
        ),
        ("x : <blob>", CodecType("blob"), Special.REQUIRED, ""),
        ("x = null : <blob@raw> # px", CodecType("blob", "raw"), None, "px"),
        ("index : int8", CoreType("int8"), Special.REQUIRED, ""),
        ("x : INT32", CoreType("int32"), Special.REQUIRED, ""),
        ("x : decimal ( 4 , 2 )", CoreType("decimal", (4, 2)), Special.REQUIRED, ""),
    ],
)
def test_an_attribute_line(line, type_, default, comment):
    spec = read(f"# things\nkey : int8\n---\n{line}")

    attribute = spec.heading[spec.heading.secondary[0]]
    assert (attribute.type, attribute.default, attribute.comment) == (type_, default, comment)
    assert attribute.nullable == (default is None)
    assert spec.comment == "things"


def test_blank_lines_and_comments_are_skipped():
    spec = read("\n\n# table\n\n  # note\n  x : int8  \n\n----------\n # more\n y : int8\n")

    assert spec.comment == "table"
    assert spec.heading.primary_key == ("x",)
    assert spec.heading.secondary == ("y",)


def test_references_bring_attributes_with_their_origin():
    parent = read("a : int8\nb : int8\n---\nc : int8", "P")

    spec = read(
        "-> P\n-> P.proj(a2='a', b2='b')\n---\n-> [nullable] P.proj(a3='a', b3='b')", P=parent
    )

    assert spec.heading.primary_key == ("a", "b", "a2", "b2")
    assert spec.heading.secondary == ("a3", "b3")
    assert spec.heading["a3"].lineage == spec.heading["a"].lineage == "lab.p.a"
    assert [f.columns for f in spec.foreign_keys] == [
        (("a", "a"), ("b", "b")),
        (("a2", "a"), ("b2", "b")),
        (("a3", "a"), ("b3", "b")),
    ]
    assert [f.in_key for f in spec.foreign_keys] == [True, True, False]
    assert [spec.heading[n].nullable for n in ("a", "a2", "a3")] == [False, False, True]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Scan", "scan"), ("MeanImage", "mean_image"), ("EEG", "eeg"), ("EEGScan2D", "eeg_scan2_d")],
)
def test_class_names_become_table_names(name, expected):
    assert snake_case(name) == expected


@given(st.text(alphabet="ab:='\"#()<>@-,.5 \n\t\\é", max_size=40))
def test_any_text_is_a_definition_or_a_definition_error(text):
    with suppress(DefinitionError):
        assert read(text).heading.names


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_float32_is_the_same_float32(value):
    assert round_float32(shortest_float32(value)) == value
