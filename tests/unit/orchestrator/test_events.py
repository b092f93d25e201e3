"""Announcements survive the stream."""

from __future__ import annotations

import json

from djq.orchestrator.events import Freed, Inserted, Released, decode, encode, encode_inserted

ID = '["a b",1,"2026-11-22"]'


def test_a_release_comes_back_as_it_was() -> None:
    event = Released(
        "lab.T",
        "c1",
        "run.1",
        made=(ID,),
        exists=("[2]",),
        failed=(("[3]", 'ValueError: "µ" is no unit\n'),),
        empty=("[4]",),
        returned=("[5]",),
        lost=("[6]",),
        seconds=1.25,
        worker="host:1:ab/2",
    )
    assert decode(encode(event)) == event


def test_an_empty_release_is_short() -> None:
    event = Released("lab.T", "c1", "run.1")
    assert decode(encode(event)) == event
    assert len(encode(event)) < 100


def test_freed_keys_come_back_with_their_losses() -> None:
    text = json.dumps(
        {
            "kind": "freed",
            "table": "lab.T",
            "chunk": "c1",
            "run": "run.1",
            "keys": [ID],
            "reason": "its process ended",
            "losses": [2],
        }
    )
    assert decode(text) == Freed("lab.T", "c1", "run.1", (ID,), "its process ended", (2,))


def test_what_a_newer_version_announces_is_passed_over() -> None:
    assert decode('{"kind": "paused", "table": "lab.T"}') is None


def test_seconds_are_those_of_keys_that_were_tried() -> None:
    event = Released("t", "c", "r", made=("1", "2"), failed=(("3", ""),), exists=("4",))
    assert (event.n_tried, event.unsettled) == (3, ())


def test_inserted_keys_come_back_or_that_there_are_some() -> None:
    for event in (Inserted("lab.scan", (ID, "[2]")), Inserted("lab.scan", None)):
        assert decode(encode_inserted(event)) == event
