"""Populate in this process, on every database."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import sqlalchemy as sa

import djq as dj
from djq.errors import (
    ContentionError,
    DefinitionError,
    NothingInsertedError,
    QueryError,
    RestrictionWarning,
    RowError,
    UsageError,
)
from djq.populate import make as making
from djq.populate.chunks import make_chunk
from djq.populate.plan import due_ids, due_keys


class OopsError(Exception):
    pass


@pytest.fixture
def pipeline(schema):
    """Numbers and their powers with a part per digit; `before` is what make does first."""

    @schema
    class Number(dj.Manual):
        definition = """
        n : int32
        """

    @schema
    class Power(dj.Lookup):
        definition = """
        power : int8
        """
        contents = ((2,), (3,))

    calls = []

    @schema
    class Raised(dj.Computed):
        definition = """
        -> Number
        -> Power
        ---
        value : int64
        """
        before = staticmethod(calls.append)

        class Digit(dj.Part):
            definition = """
            -> master
            place : int8
            ---
            digit : int8
            """

        def make(self, key):
            self.before(key)
            value = key["n"] ** key["power"]
            self.insert1({**key, "value": value})
            self.Digit.insert({**key, "place": i, "digit": d} for i, d in enumerate(str(value)))

    Number.insert((n,) for n in range(5))
    schema.calls = calls
    return schema


@pytest.fixture
def number(pipeline):
    return pipeline.tables["Number"]


@pytest.fixture
def raised(pipeline):
    return pipeline.tables["Raised"]


def pairs(rows):
    return sorted((row["n"], row["power"]) for row in rows)


def fail_for(*numbers, error=OopsError):
    def before(key):
        if key["n"] in numbers:
            message = f"cannot do {key['n']}"
            raise error(message)

    return staticmethod(before)


# --- what is made -------------------------------------------------------------------------------


def test_every_key_is_made_once(raised, pipeline):
    result = raised.populate()

    assert result == {"success_count": 10, "error_list": []}
    assert (raised & {"n": 4, "power": 3}).fetch1("value") == 64
    assert (raised.Digit & {"n": 4, "power": 3}).fetch("digit", order_by="KEY").tolist() == [6, 4]
    assert raised.populate() == {"success_count": 0, "error_list": []}
    assert len(pipeline.calls) == 10


def test_restrictions_of_every_form_choose_keys(raised, number):
    raised.populate({"n": 1}, "power = 2")
    raised.populate(number & "n = 2")
    raised.populate([{"n": 3, "power": 2}, {"n": 3, "power": 3}])

    assert pairs(raised) == [(1, 2), (2, 2), (2, 3), (3, 2), (3, 3)]


def test_a_wrong_restriction_makes_nothing(raised, pipeline):
    with pytest.raises(QueryError, match='unknown attribute "m"'):
        raised.populate("m = 1")
    assert pipeline.calls == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_restriction_that_has_no_attribute_of_the_keys_is_told_of(raised, processes):
    said = (
        r"Raised.populate is restricted by powr, and its keys have none .* Did you mean \"power\""
    )
    with pytest.warns(RestrictionWarning, match=said) as told:
        result = raised.populate("n = 1", {"powr": 2}, processes=processes)
    assert result["success_count"] == 2
    assert told[0].filename == __file__


def test_a_restriction_that_has_some_attribute_of_the_keys_is_not_told_of(raised):
    raised.populate({"n": 1, "session": 3}, {}, True)
    assert pairs(raised) == [(1, 2), (1, 3)]


def test_a_restriction_that_can_be_read_once_holds_for_all_pages(raised, monkeypatch):
    monkeypatch.setattr("djq.populate.here.PAGE_KEYS", 2)
    raised.populate({"n": n} for n in (0, 2, 3))
    assert [n for n, _ in pairs(raised)] == [0, 0, 2, 2, 3, 3]


def test_at_most_max_calls_keys_are_made_in_key_order(raised):
    assert raised.populate(max_calls=3)["success_count"] == 3
    assert pairs(raised) == [(0, 2), (0, 3), (1, 2)]
    assert raised.populate(max_calls=0)["success_count"] == 0
    assert raised.populate(max_calls=np.int64(2))["success_count"] == 2
    assert raised.populate(max_calls=100)["success_count"] == 5


@pytest.mark.parametrize("max_calls", ["x", 1.5, -1, True])
def test_max_calls_that_are_no_number_of_keys_are_refused(raised, max_calls):
    with pytest.raises(UsageError, match=r"populate\(max_calls=.*\): give a whole number from 0"):
        raised.populate(max_calls=max_calls)
    assert pairs(raised) == []


def test_a_flag_that_is_a_text_is_refused(raised):
    with pytest.raises(UsageError, match=r"populate\(reserve_jobs='no'\): give True or False"):
        raised.populate(reserve_jobs="no")
    with pytest.raises(UsageError, match=r"submit\(continuous='yes'\): give True or False"):
        dj.submit(raised, continuous="yes")
    assert pairs(raised) == []


def test_many_keys_come_page_by_page(pipeline, monkeypatch):
    monkeypatch.setattr("djq.populate.here.PAGE_KEYS", 7)

    @pipeline
    class Name(dj.Manual):
        definition = """
        name : enum('z','b','a','m')
        n : int32
        """

    @pipeline
    class Greeting(dj.Computed):
        definition = """
        -> Name
        ---
        text : varchar(20)
        """

        def make(self, key):
            self.insert1({**key, "text": "hi"})

    Name.insert((name, n) for name in "zbam" for n in range(10))

    assert Greeting.populate()["success_count"] == 40
    assert len(Greeting) == 40


def test_keys_that_fail_do_not_stop_the_pages(raised, monkeypatch):
    monkeypatch.setattr("djq.populate.here.PAGE_KEYS", 2)
    monkeypatch.setattr(raised, "before", fail_for(0, 1, 3))

    result = raised.populate(suppress_errors=True)

    assert result["success_count"] == 4
    assert pairs(key for key, _ in result["error_list"]) == [
        (n, p) for n in (0, 1, 3) for p in (2, 3)
    ]


def test_the_key_source_may_be_restricted_or_renamed(pipeline, number):
    @pipeline
    class Even(dj.Computed):
        definition = """
        -> Number
        ---
        half : int32
        """

        @property
        def key_source(self):
            return number & "n % 2 = 0"

        def make(self, key):
            self.insert1({**key, "half": key["n"] // 2})

    @pipeline
    class Pair(dj.Computed):
        definition = """
        -> Number.proj(first='n')
        -> Even.proj(second='n')
        ---
        total : int32
        """

        def make(self, key):
            self.insert1({**key, "total": key["first"] + key["second"]})

    @pipeline
    class Late(dj.Computed):
        definition = """
        -> Number
        """
        key_source = Even & "half > 0"

        def make(self, key):
            self.insert1(key)

    assert Pair.populate()["success_count"] == 0
    assert Even.populate()["success_count"] == 3
    assert Pair.populate()["success_count"] == 15
    assert (Pair & {"first": 3, "second": 4}).fetch1("total") == 7
    assert Late.populate()["success_count"] == 2
    assert Late.fetch("n", order_by="n").tolist() == [2, 4]


def test_a_key_source_that_cannot_be_one_is_refused(pipeline, number):
    @pipeline
    class Odd(dj.Computed):
        definition = """
        -> Number
        """
        key_source = 5

        def make(self, key):
            self.insert1(key)

    with pytest.raises(DefinitionError, match="must be a table or query"):
        Odd.populate()


# --- errors -------------------------------------------------------------------------------------


def test_the_first_error_is_raised_and_recorded(raised, monkeypatch):
    monkeypatch.setattr(raised, "before", fail_for(2))

    with pytest.raises(OopsError) as found:
        raised.populate()

    assert "Raised.make({'n': 2, 'power': 2})" in str(found.value.__notes__)
    assert len(raised) == 4
    error = raised.jobs.errors.fetch1()
    assert (error["n"], error["power"]) == (2, 2)
    assert error["error_message"] == "OopsError: cannot do 2"
    assert "in before" in error["error_stack"]
    assert error["fingerprint"].startswith("OopsError in fail_for.<locals>.before")


def test_suppressed_errors_are_returned_and_the_others_made(raised, monkeypatch):
    monkeypatch.setattr(raised, "before", fail_for(2))

    result = raised.populate(suppress_errors=True)
    again = raised.populate(suppress_errors=True, return_exception_objects=True)

    assert result["success_count"] == 8
    assert result["error_list"] == [
        ({"n": 2, "power": 2}, "OopsError: cannot do 2"),
        ({"n": 2, "power": 3}, "OopsError: cannot do 2"),
    ]
    assert [type(e) for _, e in again["error_list"]] == [OopsError, OopsError]
    assert len(raised.jobs.errors) == 2
    assert len(raised.Digit - raised) == 0


def test_failed_keys_are_tried_again_and_forgotten_when_made(raised, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(raised, "before", fail_for(2, 3))
        raised.populate(suppress_errors=True)
    monkeypatch.setattr(raised, "before", fail_for(3))

    result = raised.populate(suppress_errors=True)

    assert result["success_count"] == 2
    assert pairs(raised.jobs.errors) == [(3, 2), (3, 3)]


def test_records_made_by_older_code_are_forgotten_too(raised, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(raised, "before", fail_for(2))
        patch.setattr("djq.populate.make.code_version", lambda cls: "older")
        raised.populate(suppress_errors=True)

    assert raised.populate()["success_count"] == 2
    assert len(raised.jobs) == 0


def test_records_are_forgotten_even_if_a_later_key_raises(raised, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(raised, "before", fail_for(1, 3))
        raised.populate(suppress_errors=True)
    monkeypatch.setattr(raised, "before", fail_for(3))

    with pytest.raises(OopsError):
        raised.populate()

    assert pairs(raised.jobs.errors) == [(3, 2), (3, 3)]


def test_ignored_keys_are_left_alone_until_retry(raised):
    raised.jobs.ignore({"n": 1, "power": 2})

    assert raised.populate()["success_count"] == 9
    assert pairs(raised.jobs.ignored) == [(1, 2)]
    assert raised.jobs.retry("n = 1") == 1
    assert raised.populate()["success_count"] == 1


def test_a_record_needs_the_whole_key(raised):
    with pytest.raises(RowError, match='attribute "power"'):
        raised.jobs.ignore({"n": 1})


def test_errors_are_grouped_by_cause(raised, monkeypatch):
    def before(key):
        if key["n"] == 1:
            message = f"one {key}"
            raise OopsError(message)
        if key["n"] > 2:
            raise KeyError(key["n"])

    monkeypatch.setattr(raised, "before", staticmethod(before))
    raised.populate(suppress_errors=True)

    groups = raised.jobs.groups()

    assert [(g["fingerprint"].split()[0], g["count"]) for g in groups] == [
        ("KeyError", 4),
        ("OopsError", 2),
    ]


def test_a_make_that_inserts_nothing_is_recorded_as_empty(pipeline):
    @pipeline
    class Lazy(dj.Computed):
        definition = """
        -> Number
        """

        def make(self, key):
            if key["n"] != 3:
                self.insert1(key)

    result = Lazy.populate(suppress_errors=True)

    assert result["success_count"] == 4
    assert Lazy.jobs.empty.keys() == [{"n": 3}]
    assert Lazy.progress().empty == 1
    with pytest.raises(NothingInsertedError, match=r"Lazy.make inserted nothing for n=3"):
        Lazy.populate()


def test_a_make_that_inserts_only_other_keys_is_not_done(pipeline):
    @pipeline
    class Shifted(dj.Computed):
        definition = """
        -> Number
        """

        def make(self, key):
            self.insert1({"n": (key["n"] + 1) % 5}, skip_duplicates=True)

    result = Shifted.populate(suppress_errors=True)

    assert result["success_count"] == 0
    assert len(Shifted) == 0
    assert len(Shifted.jobs.empty) == 5


def test_a_table_without_make_is_refused_before_any_key(pipeline):
    @pipeline
    class Silent(dj.Computed):
        definition = """
        -> Number
        """

    with pytest.raises(DefinitionError, match=r"Silent has no make: define make\(self, key\)"):
        Silent.populate()
    assert len(Silent.jobs) == 0


def test_populate_inside_a_transaction_is_refused(raised, pipeline):
    with (
        pytest.raises(
            UsageError, match=r"cannot run inside a transaction: .* Call it behind the block$"
        ),
        pipeline.connection.transaction,
    ):
        raised.populate()


def test_declaring_inside_a_make_is_refused(pipeline):
    @pipeline
    class Nested(dj.Computed):
        definition = """
        -> Number
        """

        def make(self, key):
            @pipeline
            class Inner(dj.Manual):
                definition = "x : int32"

            self.insert1(key)

    with pytest.raises(UsageError, match="declared, altered or dropped inside"):
        Nested.populate()
    assert len(Nested) == 0


# --- one key, one transaction -------------------------------------------------------------------


def test_master_and_parts_are_committed_together_or_not_at_all(pipeline):
    @pipeline
    class Torn(dj.Computed):
        definition = """
        -> Number
        """

        class Piece(dj.Part):
            definition = """
            -> master
            piece : int8
            """

        def make(self, key):
            self.insert1(key)
            self.Piece.insert1({**key, "piece": 1})
            self.Piece.insert([{**key, "piece": 2}, {**key, "piece": 1}])

    result = Torn.populate(suppress_errors=True)

    assert result["success_count"] == 0
    assert len(result["error_list"]) == 5
    assert "piece=1 is in the table already" in result["error_list"][0][1]
    assert len(Torn) == len(Torn.Piece) == 0


def test_an_interrupted_make_leaves_nothing(raised, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(raised, "before", fail_for(1, error=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            raised.populate(suppress_errors=True)

    assert pairs(raised) == [(0, 2), (0, 3)]
    assert len(raised.jobs) == 0
    assert raised.populate()["success_count"] == 8


def test_what_make_inserts_elsewhere_is_rolled_back_with_it(pipeline):
    @pipeline
    class Note(dj.Manual):
        definition = """
        n : int32
        """

    @pipeline
    class Noted(dj.Computed):
        definition = """
        -> Number
        """

        def make(self, key):
            Note.insert1(key)
            assert len(Note & key) == 1
            if key["n"] == 2:
                raise OopsError
            self.insert1(key)

    Noted.populate(suppress_errors=True)

    assert Note.fetch("n", order_by="n").tolist() == [0, 1, 3, 4]


def test_a_key_that_somebody_else_made_meanwhile_exists(raised, monkeypatch, pipeline):
    other = dj.Connection(pipeline.connection.settings)

    def before(key):
        if key == {"n": 1, "power": 2}:
            hidden = {a.name: None for a in raised.spec.hidden}
            other.database.insert(raised.spec, [{**key, "value": 1, **hidden}])

    monkeypatch.setattr(raised, "before", staticmethod(before))
    keys = [{"n": 1, "power": 2}, {"n": 1, "power": 3}]

    outcomes = list(make_chunk(raised, keys))

    assert [o.status for o in outcomes] == ["exists", "made"]
    assert len(raised.jobs) == 0
    other.close()


def test_keys_made_before_are_not_made_again(raised):
    raised.populate({"n": 0})

    outcomes = list(make_chunk(raised, [{"n": 0, "power": 2}, {"n": 1, "power": 2}]))

    assert [o.status for o in outcomes] == ["exists", "made"]


def test_a_stumbling_database_is_tried_again(raised, monkeypatch):
    monkeypatch.setattr(making, "BACKOFF_S", 0.001)
    tries = []

    def before(key):
        tries.append(key)
        if len(tries) < 3:
            message = "deadlock"
            raise ContentionError(message)

    monkeypatch.setattr(raised, "before", staticmethod(before))

    (outcome,) = make_chunk(raised, [{"n": 1, "power": 2}])

    assert outcome.status == "made"
    assert len(tries) == 3
    assert len(raised) == 1
    assert len(raised.jobs) == 0


def test_a_database_that_stumbles_for_ever_is_an_error(raised, monkeypatch):
    monkeypatch.setattr(making, "BACKOFF_S", 0.001)
    monkeypatch.setattr(raised, "before", fail_for(1, error=ContentionError))

    (outcome,) = make_chunk(raised, [{"n": 1, "power": 2}])

    assert outcome.status == "failed"
    assert "ContentionError" in raised.jobs.errors.fetch1("error_message")


def test_a_lost_reservation_commits_nothing(raised):
    asked = []

    def holds(key):
        asked.append(key)
        return key["n"] != 1

    keys = [{"n": n, "power": 2} for n in range(3)]

    outcomes = list(make_chunk(raised, keys, holds=holds))

    assert [o.status for o in outcomes] == ["made", "lost", "made"]
    assert asked == keys
    assert pairs(raised) == [(0, 2), (2, 2)]
    assert len(raised.Digit & {"n": 1}) == 0
    assert len(raised.jobs) == 0


def test_a_chunk_that_is_told_to_stop_returns_its_other_keys(raised, pipeline):
    keys = [{"n": n, "power": 2} for n in range(4)]

    outcomes = list(make_chunk(raised, keys, should_stop=lambda: len(pipeline.calls) == 2))

    assert [o.status for o in outcomes] == ["made", "made", "returned", "returned"]
    assert [o.key for o in outcomes] == keys
    assert len(raised) == 2


# --- what is known ------------------------------------------------------------------------------


def test_progress_counts_keys_by_state(raised, monkeypatch):
    monkeypatch.setattr(raised, "before", fail_for(2))
    raised.jobs.ignore({"n": 4, "power": 2})

    before = raised.progress()
    raised.populate(suppress_errors=True)
    after = raised.progress()

    assert (before.total, before.made, before.due, before.ignored) == (10, 0, 9, 1)
    assert (after.total, after.made, after.due, after.errors, after.ignored) == (10, 7, 0, 2, 1)
    assert raised.progress("n < 2").total == 4
    assert raised.progress({"n": 2}).errors == 2


def test_due_keys_are_paged_and_chosen_by_parents(raised):
    first = due_keys(raised, limit=3)
    second = due_keys(raised, limit=3, after=first[-1])
    among = due_keys(raised, limit=10, among=[{"n": 4}, {"n": 1}])

    assert pairs(first) == [(0, 2), (0, 3), (1, 2)]
    assert pairs(second) == [(1, 3), (2, 2), (2, 3)]
    assert pairs(among) == [(1, 2), (1, 3), (4, 2), (4, 3)]


def test_rows_carry_their_provenance_which_queries_do_not_show(raised, connection):
    begun = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(seconds=1)
    list(make_chunk(raised, [{"n": 1, "power": 2}], worker="w-7"))

    assert raised.heading.names == ("n", "power", "value")
    assert set(raised.fetch1()) == {"n", "power", "value"}
    name = str(raised.spec.name)
    if not connection.database.dialect.is_sqlite:
        name = name.replace(".", "`.`")
    hidden = "_job_start_time, _job_duration, _job_version, _job_host, _job_worker"
    ((start, seconds, version, host, worker),) = connection.database.read(
        sa.text(f"SELECT {hidden} FROM `{name}`")
    )
    assert dt.datetime.fromisoformat(str(start)) > begun
    assert 0 <= seconds < 60
    assert len(version) == 12
    assert host
    assert worker == "w-7"


def test_due_keys_are_found_as_ids_page_by_page(raised):
    raised.populate({"n": 3})

    page = due_ids(raised, limit=3, restrictions=["power = 2"])
    rest = due_ids(raised, limit=3, restrictions=["power = 2"], after={"n": 2, "power": 2})

    assert (page, rest) == (["[0,2]", "[1,2]", "[2,2]"], ["[4,2]"])
    assert due_ids(raised, limit=3, restrictions=[{"n": 3}]) == []
