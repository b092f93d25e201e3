"""The forms of a make: in one piece, in three, as a generator, for many keys; on every database."""

from __future__ import annotations

import pytest

import djq as dj
from djq.errors import (
    ContentionError,
    DefinitionError,
    DuplicateError,
    MakeError,
    QueryError,
    UsageError,
)
from djq.populate import make as making
from djq.populate.chunks import make_chunk

DEFINITION = """
-> Number
---
value : int64
"""


class OopsError(Exception):
    pass


@pytest.fixture
def number(schema, monkeypatch):
    monkeypatch.setattr(making, "BACKOFF_S", 0.001)

    @schema
    class Number(dj.Manual):
        definition = """
        n : int32
        ---
        x : int32
        """

    Number.insert((n, 10 * n) for n in range(5))
    return Number


def values(table):
    return dict(zip(*table.fetch("n", "value", order_by="KEY"), strict=True))


def statuses(table, keys, **options):
    return [o.status for o in make_chunk(table, keys, **options)]


def keys(*numbers):
    return [{"n": n} for n in numbers]


# --- DataJoint's spellings -----------------------------------------------------------------------


def test_the_older_name_of_make_is_understood(schema, number):
    @schema
    class Twice(dj.Computed):
        definition = DEFINITION

        def _make_tuples(self, key):
            self.insert1({**key, "value": 2 * (number & key).fetch1("x")})

    assert Twice.populate() == {"success_count": 5, "error_list": []}
    assert values(Twice) == {n: 20 * n for n in range(5)}


def declare_in_parts(schema, number, calls):
    @schema
    class Twice(dj.Computed):
        definition = DEFINITION

        def make_fetch(self, key, extra=0):
            calls.append(("fetch", self.connection.in_transaction))
            return (number & key).fetch1("x"), extra

        def make_compute(self, key, x, extra):
            calls.append(("compute", self.connection.in_transaction))
            self.during(key)
            return (2 * x + extra,)

        def make_insert(self, key, value):
            calls.append(("insert", self.connection.in_transaction))
            self.insert1({**key, "value": value})

        def during(self, key):
            pass

    return Twice


def declare_generator(schema, number, calls):
    @schema
    class Twice(dj.Computed):
        definition = DEFINITION

        def make(self, key, extra=0):
            calls.append(("fetch", self.connection.in_transaction))
            x = (number & key).fetch1("x")
            value = yield (x,)
            if value is None:
                calls.append(("compute", self.connection.in_transaction))
                self.during(key)
                value = (2 * x + extra,)
                yield value
            calls.append(("insert", self.connection.in_transaction))
            self.insert1({**key, "value": value[0]})
            yield

        def during(self, key):
            pass

    return Twice


@pytest.fixture(params=[declare_in_parts, declare_generator], ids=["parts", "generator"])
def declare(request, schema, number):
    """Declare `Twice`, whose make comes in three parts; return it, and what was called."""

    def declare():
        calls = []
        return request.param(schema, number, calls), calls

    return declare


def test_only_what_inserts_is_in_the_transaction(declare):
    twice, calls = declare()

    assert statuses(twice, keys(3)) == ["made"]

    assert values(twice) == {3: 60}
    assert calls == [("fetch", False), ("compute", False), ("fetch", True), ("insert", True)]


def test_inputs_that_change_meanwhile_are_computed_anew(declare, number, monkeypatch):
    twice, calls = declare()
    changes = iter([111, 222])

    def during(self, key):
        x = next(changes, None)
        if x is not None:
            number.update1({**key, "x": x})

    monkeypatch.setattr(twice, "during", during)

    assert statuses(twice, keys(3)) == ["made"]

    assert values(twice) == {3: 444}
    assert [c for c, _ in calls].count("compute") == 3


def test_inputs_that_never_stay_are_an_error(declare, number, monkeypatch):
    twice, _ = declare()

    def during(self, key):
        number.update1({**key, "x": (number & key).fetch1("x") + 1})

    monkeypatch.setattr(twice, "during", during)

    (outcome,) = make_chunk(twice, keys(3))

    assert outcome.status == "failed"
    assert "InputsChangedError" in outcome.error.message
    assert "what make_fetch reads changed" in outcome.error.message
    assert len(twice) == 0


def test_what_was_computed_is_kept_when_the_database_stumbles(declare, monkeypatch):
    twice, calls = declare()
    tries = []

    def holds(key):
        tries.append(key)
        if len(tries) < 3:
            message = "deadlock"
            raise ContentionError(message)
        return True

    assert statuses(twice, keys(3), holds=holds) == ["made"]

    names = [name for name, _ in calls]
    assert (names.count("compute"), names.count("insert")) == (1, 3)


def test_arguments_reach_what_fetches(declare):
    twice, _ = declare()

    assert twice.maker.check_kwargs(twice, {"extra": 5}) == {"extra": 5}
    assert statuses(twice, keys(3), make_kwargs={"extra": 5}) == ["made"]
    assert values(twice) == {3: 65}


def test_arguments_that_make_does_not_take_are_refused(declare):
    twice, _ = declare()

    with pytest.raises(UsageError, match=r"does not take make_kwargs=\{'depth': 5\}"):
        twice.maker.check_kwargs(twice, {"depth": 5})
    with pytest.raises(UsageError, match="mapping of argument names"):
        twice.maker.check_kwargs(twice, [5])


def test_nothing_is_inserted_before_the_transaction(declare, monkeypatch):
    twice, _ = declare()

    def during(self, key):
        self.insert1({**key, "value": 1})

    monkeypatch.setattr(twice, "during", during)

    (outcome,) = make_chunk(twice, keys(3))

    assert "no transaction yet" in outcome.error.message
    assert len(twice) == 0


def test_tables_are_neither_declared_nor_dropped_nor_altered_while_make_computes(
    declare, schema, number, monkeypatch
):
    twice, _ = declare()

    def declares(self, key):
        @schema
        class Inner(dj.Manual):
            definition = "x : int32"

    for act in (declares, lambda self, key: number.drop_quick(), lambda self, key: self.alter()):
        monkeypatch.setattr(twice, "during", act)
        (outcome,) = make_chunk(twice, keys(3))
        assert "cannot be declared, altered or dropped inside" in outcome.error.message
    assert "Inner" not in schema


def test_a_part_that_returns_no_tuple_is_told_so(schema, number):
    @schema
    class Loose(dj.Computed):
        definition = DEFINITION

        def make_fetch(self, key):
            return (number & key).fetch1("x")

        def make_compute(self, key, x):
            raise NotImplementedError

        def make_insert(self, key, value):
            raise NotImplementedError

    with pytest.raises(MakeError, match=r"make_fetch returned int.*return \(value,\)"):
        Loose.populate()


def test_what_cannot_be_compared_is_told_so(schema, number):
    @schema
    class Unfetched(dj.Computed):
        definition = DEFINITION

        def make_fetch(self, key):
            return (number & key,)

        def make_compute(self, key, x):
            raise NotImplementedError

        def make_insert(self, key, value):
            raise NotImplementedError

    with pytest.raises(UsageError, match=r"value\[0\] is of type .*Number.*fetch the rows"):
        Unfetched.populate()


def test_a_generator_that_ends_early_is_told_so(schema, number):
    @schema
    class Short(dj.Computed):
        definition = DEFINITION

        def make(self, key):
            yield ((number & key).fetch1("x"),)

    with pytest.raises(MakeError, match="ended before it yielded what it computed"):
        Short.populate()


# --- many keys at once ---------------------------------------------------------------------------


@pytest.fixture
def many(schema, number):
    """Declare a table with `make_many`, and perhaps `make`; return it and what was called."""

    def declare(*, has_make=False):
        calls = []

        class Many(dj.Computed):
            definition = DEFINITION

            def make_many(self, keys, extra=0):
                calls.append([k["n"] for k in keys])
                self.before(keys)
                rows = (number & keys).fetch(as_dict=True)
                self.insert({"n": r["n"], "value": r["x"] + extra} for r in rows)

            def before(self, keys):
                pass

        if has_make:

            def make(self, key):
                calls.append(key["n"])
                self.before([key])
                self.insert1({**key, "value": -1})

            Many.make = make
        return schema(Many), calls

    return declare


def fail_for(*numbers, error=OopsError):
    def before(self, keys):
        for key in keys:
            if key["n"] in numbers:
                message = f"cannot do {key['n']}"
                raise error(message)

    return before


def test_many_keys_are_made_by_one_call(many):
    table, calls = many()

    assert table.populate() == {"success_count": 5, "error_list": []}

    assert calls == [[0, 1, 2, 3, 4]]
    assert values(table) == {n: 10 * n for n in range(5)}
    assert table.populate()["success_count"] == 0


def test_a_call_gets_as_many_keys_as_one_transaction_may_have(many, monkeypatch):
    table, calls = many()
    monkeypatch.setattr("djq.populate.here.PAGE_KEYS", 1)
    monkeypatch.setattr("djq.populate.here.MANY_KEYS", 4)
    monkeypatch.setattr("djq.populate.chunks.MANY_KEYS", 3)

    assert table.populate()["success_count"] == 5
    assert calls == [[0, 1, 2], [3], [4]]


def test_arguments_of_populate_reach_make_many(many):
    table, _ = many()

    assert table.populate("n = 1", make_kwargs={"extra": 7})["success_count"] == 1
    assert values(table) == {1: 17}
    with pytest.raises(UsageError, match=r"make_many does not take make_kwargs=\{'depth': 1\}"):
        table.populate(make_kwargs={"depth": 1})


def test_keys_that_are_there_are_left_out(many):
    table, calls = many()
    list(make_chunk(table, keys(1, 3)))

    outcomes = list(make_chunk(table, keys(0, 1, 2, 3)))

    assert calls == [[1, 3], [0, 2]]
    assert {o.key["n"]: o.status for o in outcomes} == {
        0: "made",
        1: "exists",
        2: "made",
        3: "exists",
    }


def test_without_make_a_failing_key_is_found_by_halves(many, monkeypatch):
    table, _ = many()
    monkeypatch.setattr(table, "before", fail_for(2))

    result = table.populate(suppress_errors=True)

    assert result["success_count"] == 4
    assert result["error_list"] == [({"n": 2}, "OopsError: cannot do 2")]
    assert table.jobs.errors.keys() == [{"n": 2}]
    assert sorted(values(table)) == [0, 1, 3, 4]


def test_with_make_the_keys_of_a_failed_call_are_made_one_by_one(many, monkeypatch):
    table, calls = many(has_make=True)
    monkeypatch.setattr(table, "before", fail_for(2))

    assert statuses(table, keys(0, 1, 2)) == ["made", "made", "failed"]

    assert calls == [[0, 1, 2], 0, 1, 2]
    assert values(table) == {0: -1, 1: -1}


def test_keys_that_make_many_leaves_out_are_empty(many, number, monkeypatch):
    table, _ = many()
    (number & "n = 3").delete_quick()

    assert statuses(table, keys(2, 3, 4)) == ["made", "empty", "made"]
    assert statuses(table, keys(3)) == ["empty"]
    assert table.jobs.empty.keys() == [{"n": 3}]


def test_of_two_calls_the_first_keeps_its_rows(many, schema, monkeypatch):
    table, calls = many()
    other = dj.Connection(schema.connection.settings)

    def before(self, keys):
        if len(calls) == 1:
            hidden = {a.name: None for a in table.spec.hidden}
            other.database.insert(table.spec, [{"n": 1, "value": -5, **hidden}])

    monkeypatch.setattr(table, "before", before)

    outcomes = list(make_chunk(table, keys(0, 1, 2)))

    assert {o.key["n"]: o.status for o in outcomes} == {0: "made", 1: "exists", 2: "made"}
    assert values(table) == {0: 0, 1: -5, 2: 20}
    other.close()


def test_a_stumbling_database_is_asked_again_for_all(many, monkeypatch):
    table, calls = many()

    def before(self, keys):
        if len(calls) < 3:
            message = "deadlock"
            raise ContentionError(message)

    monkeypatch.setattr(table, "before", before)

    assert statuses(table, keys(0, 1)) == ["made", "made"]
    assert calls == [[0, 1]] * 3


def test_a_chunk_whose_keys_moved_on_commits_none_of_them(many):
    table, _ = many()

    found = statuses(table, keys(0, 1, 2), holds=lambda key: key["n"] != 1)

    assert found == ["returned", "lost", "returned"]
    assert len(table) == 0


def test_a_call_that_is_told_to_stop_does_not_begin(many):
    table, calls = many()

    assert statuses(table, keys(0, 1), should_stop=lambda: True) == ["returned"] * 2
    assert calls == []


def test_arguments_reach_make_many(many):
    table, _ = many()

    assert statuses(table, keys(1), make_kwargs={"extra": 7}) == ["made"]
    assert values(table) == {1: 17}


# --- rows that go to parts only ------------------------------------------------------------------


def test_a_make_that_inserts_parts_counts_by_the_row_of_their_master(schema, number):
    """Here the row comes from raw SQL, which djq does not see."""

    @schema
    class Whole(dj.Computed):
        definition = "-> Number"

        class Piece(dj.Part):
            definition = """
            -> master
            piece : int8
            """

        def make(self, key):
            name = self.full_table_name
            if self.connection.database.is_sqlite:
                name = name.replace("`.`", ".")
            self.connection.query(f"INSERT INTO {name} (n) VALUES ({key['n']})")
            self.Piece.insert1({**key, "piece": 1})

    assert Whole.populate()["success_count"] == 5
    assert len(Whole.Piece) == 5


# --- what the key came from ----------------------------------------------------------------------


def test_ancestors_are_restricted_to_the_key(schema, number):
    @schema
    class Method(dj.Lookup):
        definition = """
        method : varchar(8)
        """
        contents = (("fast",), ("slow",))

    @schema
    class First(dj.Computed):
        definition = """
        -> Number
        -> Method
        """

        def make(self, key):
            self.insert1(key)

    @schema
    class Second(dj.Computed):
        definition = """
        -> First.proj(m='n')
        ---
        value : int64
        """

        def make(self, key):
            assert self.upstream[First].keys() == [{"n": key["m"], "method": key["method"]}]
            assert self.upstream[Method()].fetch1("method") == key["method"]
            x = self.upstream[number].fetch1("x")
            with pytest.raises(QueryError, match=r"Second.* is not an ancestor of .*Second"):
                self.upstream[Second]
            self.insert1({**key, "value": x})

    First.populate()

    assert Second.populate({"m": 3})["success_count"] == 2
    assert Second.fetch("value").tolist() == [30, 30]


def test_ancestors_of_many_keys_are_those_of_any(schema, number):
    @schema
    class Many(dj.Computed):
        definition = DEFINITION

        def make_many(self, keys):
            rows = self.upstream[number].fetch(as_dict=True, order_by="KEY")
            self.insert({"n": r["n"], "value": r["x"]} for r in rows)

    assert statuses(Many, keys(1, 4)) == ["made", "made"]
    assert values(Many) == {1: 10, 4: 40}


def test_outside_of_its_make_a_table_has_no_upstream(schema, number):
    @schema
    class Plain(dj.Computed):
        definition = "-> Number"

        def make(self, key):
            self.insert1(key)

    with pytest.raises(UsageError, match=r"self.upstream is for the code of Plain's make"):
        Plain().upstream  # noqa: B018 - it is asked for


def test_a_wrong_duplicate_in_make_many_is_an_error(many, monkeypatch):
    table, _ = many()

    def before(self, keys):
        message = "not about this table"
        raise DuplicateError(message)

    monkeypatch.setattr(table, "before", before)

    assert statuses(table, keys(0, 1)) == ["failed", "failed"]


def test_half_a_make_is_refused_before_its_table_is_there(schema, number):
    class Half(dj.Computed):
        definition = DEFINITION

        def make_fetch(self, key):
            return ()

    with pytest.raises(DefinitionError, match="lacks make_compute, make_insert"):
        schema(Half)
    assert "Half" not in schema
