"""Tables of one row: nothing stands above the dashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import djq as dj

if TYPE_CHECKING:
    from djq.tables.schema import Schema


@pytest.fixture
def rig(schema: Schema) -> type[dj.Manual]:
    @schema
    class Rig(dj.Manual):
        definition = """
        # what this pipeline is about
        ---
        rig  : varchar(20)
        gain = null : float32
        """

    return Rig


def test_its_key_has_no_attributes(rig: type[dj.Manual]) -> None:
    assert rig.primary_key == []
    assert rig.keys() == []
    rig.insert1({"rig": "a"})
    assert rig.keys() == [{}]
    assert rig.proj().to_dicts() == [{}]
    assert list(rig.proj()) == [{}]


def test_it_holds_one_row(rig: type[dj.Manual]) -> None:
    rig.insert1({"rig": "a", "gain": 1.5})
    with pytest.raises(dj.errors.DuplicateError):
        rig.insert1({"rig": "b"})
    rig.insert1({"rig": "b"}, skip_duplicates=True)
    assert rig.fetch1() == {"rig": "a", "gain": 1.5}
    rig.insert1({"rig": "b"}, replace=True)
    assert rig.fetch1("rig") == "b"
    assert rig.fetch1("KEY") == {}


def test_it_takes_part_in_queries(rig: type[dj.Manual], schema: Schema) -> None:
    @schema
    class Session(dj.Manual):
        definition = """
        session : int32
        """

    Session.insert([(1,), (2,)])
    assert rig.aggr(Session, n="count(*)").to_dicts() == []
    rig.insert1({"rig": "a"})
    assert (Session * rig).proj("rig").to_dicts(order_by="KEY") == [
        {"session": 1, "rig": "a"},
        {"session": 2, "rig": "a"},
    ]
    assert rig.aggr(Session, n="count(*)").to_dicts() == [{"n": 2}]
    assert rig.aggr(Session & "session > 2", n="count(*)").to_dicts() == [{"n": 0}]
    assert "rig" in repr(rig())


def test_it_is_updated_and_deleted(rig: type[dj.Manual]) -> None:
    rig.insert1({"rig": "a"})
    rig.update1({"gain": 2.0})
    assert rig.fetch1("gain") == 2.0
    assert rig.delete(prompt=False) == 1
    assert not rig()
