"""What every codec can do without being asked for it."""

from __future__ import annotations

import json

import pytest

from djq.codecs.codec import Codec

REFERENCE = {"store": "raw", "path": "a/b.bin", "size": 3}


class PlainCodec(Codec, register=False):
    name = "plain"


@pytest.mark.parametrize(
    "stored", [REFERENCE, json.dumps(REFERENCE), json.dumps(REFERENCE).encode()]
)
def test_a_reference_names_its_path_and_its_store(stored):
    assert list(PlainCodec().referenced_paths(stored)) == [("a/b.bin", "raw")]


@pytest.mark.parametrize("store", [{}, {"store": None}, {"store": ""}])
def test_a_reference_without_a_store_is_in_the_default_one(store):
    assert list(PlainCodec().referenced_paths({"path": "a", **store})) == [("a", None)]


@pytest.mark.parametrize(
    "stored",
    [
        *(None, 3, b"\xff\xfe", "text", "[1]", pytest.param("[" * 100_000, id="deep")),
        *({}, {"path": ""}, {"path": 3}, {"path": "a", "store": 3}),
    ],
)
def test_what_is_no_reference_refers_to_nothing(stored):
    assert list(PlainCodec().referenced_paths(stored)) == []
