"""Restrictions are stored as JSON and come back the same, or are not stored at all."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid

import numpy as np
import pytest

from djq.algebra.forms import AndList, Not, Top
from djq.populate.restrictions import from_json, to_json


@pytest.mark.parametrize(
    "restriction",
    [
        "session > 7",
        {"subject": "M1", "session": 3, "depth": 1.5, "is_good": True, "note": None},
        {"$and": "an attribute may have any name"},
        [{"session": 1}, "session > 7"],
        AndList(["session > 7", {"subject": "M1"}]),
        Not({"subject": "M1"}),
        Not(AndList(["a > 1", Not("b > 2")])),
        Top(5, ["session DESC", "subject"], 2),
        {"day": dt.date(2026, 1, 2), "time": dt.datetime(2026, 1, 2, 3, 4, 5, 6)},  # noqa: DTZ001
        {"gain": decimal.Decimal("1.50"), "id": uuid.UUID(int=7), "at": dt.time(1, 2, 3)},
        True,
    ],
    ids=repr,
)
def test_what_has_a_json_form_comes_back_the_same(restriction):
    stored = to_json([restriction])

    (found,) = from_json(json.loads(json.dumps(stored)))

    assert found == restriction
    assert type(found) is type(restriction)


def test_numbers_of_numpy_are_stored_as_pythons_own():
    stored = to_json([{"session": np.int64(3), "gain": np.float32(0.5), "rig": np.str_("a")}])
    assert from_json(json.loads(json.dumps(stored))) == [{"session": 3, "gain": 0.5, "rig": "a"}]


@pytest.mark.parametrize("restriction", [object(), {"x": b"bytes"}, {1: 2}, [Not(object())]])
def test_anything_else_is_not_stored(restriction):
    assert to_json(["session > 7", restriction]) is None
