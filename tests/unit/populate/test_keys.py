"""Keys survive the journey through JSON, whatever their types."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest

from djq.definition.attributes import Attribute, CoreType, NativeType
from djq.definition.heading import Heading
from djq.populate.keys import (
    from_key_id,
    from_key_ids,
    from_wire,
    key_id,
    key_ids,
    to_wire,
    wire_ids,
)

VALUES = [
    (CoreType("int64"), -(2**63)),
    (CoreType("varchar", (20,)), 'a "b" é 🦉 \\'),
    (CoreType("bool"), True),
    (CoreType("float32"), 1.1),
    (CoreType("date"), dt.date(2026, 11, 22)),
    (CoreType("datetime", (6,)), dt.datetime.fromisoformat("2026-11-22T01:02:03.000456")),
    (CoreType("decimal", (5, 2)), Decimal("-1.50")),
    (CoreType("uuid"), uuid.UUID(int=7)),
    (CoreType("enum", ("left", "right")), "left"),
    (CoreType("bytes"), b"\x00\xff"),
    (NativeType("time", (6,)), -dt.timedelta(hours=37, microseconds=5)),
    (NativeType("time"), dt.timedelta(0)),
    (NativeType("timestamp", (3,)), dt.datetime.fromisoformat("2026-11-22T01:02:03.004")),
    (NativeType("decimal", (5, 2)), Decimal("1.50")),
    (NativeType("varbinary", (8,)), b"\x01"),
    (NativeType("int", (), True), 2**32 - 1),
    (NativeType("year"), 2026),
]


@pytest.mark.parametrize(("type_", "value"), VALUES, ids=str)
def test_a_key_comes_back_as_it_was(type_: CoreType, value: object):
    heading = Heading((Attribute("a", type_, in_key=True), Attribute("b", CoreType("int8"))))

    wire = json.loads(json.dumps(to_wire(heading, {"a": value, "b": 1})))

    assert from_wire(heading, wire) == {"a": value}
    assert from_key_id(heading, key_id(heading, {"a": value})) == {"a": value}


def test_equal_keys_have_equal_ids_whatever_their_order():
    names = ("a", "b")
    heading = Heading(tuple(Attribute(n, CoreType("int8"), in_key=True) for n in names))
    assert key_id(heading, {"b": 2, "a": 1}) == key_id(heading, {"a": 1, "b": 2}) == "[1,2]"


@pytest.mark.parametrize(("type_", "value"), VALUES, ids=str)
def test_ids_of_columns_are_those_of_the_single_keys(type_: CoreType, value: object):
    heading = Heading(
        (Attribute("a", type_, in_key=True), Attribute("b", CoreType("varchar", (9,)), in_key=True))
    )
    keys = [{"a": value, "b": text} for text in ("", "é", '"\\\n\x7f')]

    ids = key_ids([[key["a"] for key in keys], [key["b"] for key in keys]])

    assert ids == [key_id(heading, key) for key in keys]
    assert from_key_ids(heading, ids) == keys
    wires = [to_wire(heading, key) for key in keys]
    assert ids == wire_ids(wires) == [compact(wire) for wire in wires]
    assert key_ids([[value]]) == [f"[{ids[0][1:-4]}]"]


def compact(wire: list[object]) -> str:
    return json.dumps(wire, separators=(",", ":"), ensure_ascii=False)


def test_ids_of_messages_are_their_compact_json_whatever_stands_beside_what():
    wires = [[1, "a", None], [2.5, "b", True], ["\u2028", 10**30, -0.0]]

    assert wire_ids(wires) == [compact(wire) for wire in wires]
    assert wire_ids([]) == []
    assert wire_ids([[], []]) == ["[]", "[]"]


def test_no_keys_have_no_ids():
    heading = Heading((Attribute("a", CoreType("int8"), in_key=True),))

    assert key_ids([()]) == []
    assert from_key_ids(heading, []) == []


def test_a_key_without_attributes_has_an_id():
    assert key_id(Heading(()), {}) == "[]"
    assert from_key_ids(Heading(()), ["[]"]) == [{}]
