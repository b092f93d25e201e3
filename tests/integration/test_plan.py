"""`plan()`: what there is to do, and what waits for what, on every database."""

from __future__ import annotations

import json

import pytest

import djq as dj
from djq.errors import QueryError, UsageError
from djq.populate.planning import plan


class OopsError(Exception):
    pass


@pytest.fixture
def lab(schema):
    """Four sessions with two channels; spikes per channel, pairs of them, a summary of spikes."""

    @schema
    class Session(dj.Manual):
        definition = "session : int32"

    @schema
    class Channel(dj.Manual):
        definition = """
        -> Session
        channel : int32
        """

    @schema
    class Spikes(dj.Computed):
        definition = """
        -> Channel
        ---
        n : int32
        """

        class Unit(dj.Part):
            definition = """
            -> master
            unit : int32
            """

        def make(self, key):
            if key["session"] == 3:
                raise OopsError
            self.insert1({**key, "n": 2})
            self.Unit.insert({**key, "unit": i} for i in range(2))

    @schema
    class Pair(dj.Computed):
        definition = """
        -> Spikes.proj(first='channel')
        -> Spikes.proj(second='channel')
        """

        def make(self, key):
            self.insert1(key)

    @schema
    class Deep(dj.Computed):
        definition = """
        -> Pair
        """

        def make(self, key):
            self.insert1(key)

    @schema
    class PerUnit(dj.Computed):
        definition = """
        -> Spikes.Unit
        """

        def make(self, key):
            self.insert1(key)

    Session.insert((i,) for i in range(4))
    Channel.insert((i, c) for i in range(4) for c in range(2))
    return schema


def short(table):
    """Return a table's counts by the last part of the names."""
    blocked = {name.split(".")[1]: b.n for name, b in table.blocked.items()}
    return table.total, table.made, table.due, table.errors, blocked


def of(lab, *names, **kwargs):
    found = plan(*(lab.tables[n] for n in names), **kwargs) if names else plan(lab, **kwargs)
    return {t.table.split(".")[1]: t for t in found}


def test_before_anything_is_made_everything_waits_for_the_first_table(lab):
    found = of(lab)

    assert next(iter(found)) == "Spikes"
    assert short(found["Spikes"]) == (8, 0, 8, 0, {})
    assert short(found["Pair"]) == (0, 0, 0, 0, {"Spikes": 16})
    assert short(found["Deep"]) == (0, 0, 0, 0, {"Pair": 16})
    assert found["Pair"].blocked[lab.tables["Spikes"].spec.display_name].reason == "8 due"
    assert [found[n].level for n in ("Spikes", "Pair", "Deep")] == [0, 1, 2]


def test_what_parts_will_be_is_not_known(lab):
    table = of(lab)["PerUnit"]

    assert short(table) == (0, 0, 0, 0, {"Spikes": None})
    assert table.n_blocked is None
    assert table.eta_s is None


def test_a_plan_follows_what_is_made_and_fails(lab):
    lab.tables["Spikes"].populate(suppress_errors=True)

    found = of(lab)

    assert short(found["Spikes"]) == (8, 6, 0, 2, {})
    assert short(found["Pair"]) == (12, 0, 12, 0, {"Spikes": 4})
    assert short(found["Deep"]) == (0, 0, 0, 0, {"Pair": 16})
    reasons = {name: b.reason for t in found.values() for name, b in t.blocked.items()}
    assert list(reasons.values()) == ["2 failed", "12 due, 4 blocked"]


def test_everything_made_is_a_plan_of_nothing(lab):
    (lab.tables["Session"] & "session = 3").delete(prompt=False)
    for name in ("Spikes", "Pair", "Deep", "PerUnit"):
        lab.tables[name].populate()

    found = of(lab)

    assert all((t.due, t.n_blocked, t.eta_s) == (0, 0, 0.0) for t in found.values())
    assert {t.made == t.total for t in found.values()} == {True}


def test_a_table_outside_of_the_plan_blocks_all_the_same(lab):
    found = of(lab, "Deep")

    assert list(found) == ["Deep"]
    assert short(found["Deep"]) == (0, 0, 0, 0, {"Pair": 16})
    assert plan(lab.tables["Deep"]).tables[0] == found["Deep"]


def test_restrictions_hold_for_blocked_keys_too(lab):
    found = of(lab, "Spikes", "Pair", restrictions=[{"session": 1}])

    assert short(found["Spikes"]) == (2, 0, 2, 0, {})
    assert short(found["Pair"]) == (0, 0, 0, 0, {"Spikes": 4})


def test_a_restriction_that_says_nothing_of_a_table_is_refused(lab):
    with pytest.raises(QueryError, match=r"Pair has no channel in its key: leave the table out"):
        plan(lab, restrictions=[{"channel": 1}])
    with pytest.raises(QueryError, match=r'Pair: unknown attribute "channel"'):
        plan(lab, restrictions=["channel = 1"])
    with pytest.raises(QueryError, match=r'no chanel in its key: .*\. Did you mean "channel"\?'):
        plan(lab.tables["Spikes"], restrictions={"chanel": 1})


@pytest.mark.parametrize(
    "restrictions", ["session < 2", {"session": [0, 1]}, dj.AndList(["session < 2"])]
)
def test_one_restriction_needs_no_list(lab, restrictions):
    assert of(lab, "Spikes", restrictions=restrictions)["Spikes"].total == 4


def test_a_restriction_may_name_what_only_the_key_source_has(lab):
    channel = lab.tables["Channel"]

    @lab
    class Doubled(dj.Computed):
        definition = "-> Channel"

        @property
        def key_source(self):
            return channel.proj(double="2 * channel")

        def make(self, key):
            self.insert1(key)

    assert Doubled.plan("double = 2").total == 4
    assert plan(Doubled, restrictions={"double": 2})[Doubled].total == 4
    with pytest.raises(QueryError, match="Doubled has no dubble in its key"):
        plan(Doubled, restrictions={"dubble": 2})


def test_time_is_told_by_what_the_last_keys_took(lab):
    assert of(lab)["Spikes"].eta_s is None

    lab.tables["Spikes"].populate({"session": 0})

    table = of(lab)["Spikes"]
    assert table.seconds_per_key > 0
    assert table.eta_s == pytest.approx(6 * table.seconds_per_key)


def test_keys_that_are_tried_again_later_are_counted_apart(lab, monkeypatch):
    spikes = lab.tables["Spikes"]
    monkeypatch.setattr(
        spikes, "populate_options", dj.PopulateOptions(max_retries=1, backoff_s=3000)
    )
    spikes.populate({"session": 3}, suppress_errors=True)
    spikes.jobs.ignore({"session": 0, "channel": 0})

    table = of(lab, "Spikes")["Spikes"]

    assert (table.due, table.retrying, table.errors, table.ignored) == (5, 2, 0, 1)


def test_a_plan_is_shown_as_text_as_html_and_as_data(lab):
    found = plan(lab)
    name = lab.tables["Pair"].spec.display_name

    text = str(found)
    assert text.splitlines()[0].split()[:4] == ["table", "total", "made", "due"]
    assert f"{name}: 16 wait for {lab.tables['Spikes'].spec.display_name} (8 due)" in text
    assert f"<td>{name}</td>" in found._repr_html_()
    assert json.loads(json.dumps(found.to_dicts()))[0]["due"] == 8
    assert found[name] is found[lab.tables["Pair"]]
    assert len(found) == 4
    with pytest.raises(UsageError, match=r'"lab\.Nothing" is not in this plan'):
        found["lab.Nothing"]


def test_what_is_no_table_is_refused(lab):
    with pytest.raises(UsageError, match=r"^cannot plan .*Session.*: name Computed or Imported"):
        plan(lab.tables["Session"])
    with pytest.raises(
        UsageError, match=r"^cannot plan an instance of Spikes \(classes .*: name Computed"
    ):
        plan(lab.tables["Spikes"]())
    assert len(plan()) == 0
