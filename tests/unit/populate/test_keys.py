"""Keys survive the journey through JSON, whatever their types."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest

from djq.definition.attributes import Attribute, CoreType
from djq.definition.heading import Heading
from djq.populate.keys import from_key_id, from_wire, key_id, to_wire

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
