"""Rows in, on every database: what may be handed to insert, duplicates, chunks, sizes."""

from __future__ import annotations

import datetime as dt
import decimal
import tracemalloc
import uuid
import zlib

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import djq as dj
from djq.errors import BrokenReferenceError, CodecError, DuplicateError, RowError, UsageError
from djq.tables.connection import Connection


@pytest.fixture
def subject(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(30)
        weight = null : float64
        born = null : datetime(3)
        is_tame = false : bool
        """

    return Subject


@pytest.fixture
def badge(schema):
    @schema
    class Badge(dj.Manual):
        definition = """
        badge : int32
        ---
        code : varchar(8)
        level = 1 : int8
        unique index(code)
        """

    Badge.insert([(1, "a", 1), (2, "b", 1)])
    return Badge


def rows_of(table, *names):
    names = names or tuple(table.heading.names)
    return sorted(tuple(row[n] for n in names) for row in table.to_dicts())


# --- what rows may come in ---------------------------------------------------------------------

BORN = dt.datetime(2024, 3, 1, 12, 30, 15, 250_000)  # noqa: DTZ001 - naive UTC
RECORDS = [
    {"subject": 1, "name": "Ada", "weight": 20.5, "born": BORN, "is_tame": True},
    {"subject": 2, "name": "Bëß'\\", "weight": None, "born": None, "is_tame": False},
]
EXPECTED = [tuple(r.values()) for r in RECORDS]


def numpy_records():
    return np.array(
        [(1, "Ada", 20.5, BORN, True), (2, "Bëß'\\", np.nan, "NaT", False)],
        dtype=[
            ("subject", "i8"),
            ("name", "U8"),
            ("weight", "f8"),
            ("born", "M8[ms]"),
            ("is_tame", "?"),
        ],
    )


def csv_file(folder):
    path = folder / "subjects.csv"
    path.write_text(
        "subject,name,weight,born,is_tame\n1,Ada,20.5,2024-03-01 12:30:15.25,true\n2,Bëß'\\,,,\n",
        encoding="utf-8-sig",
    )
    return path


SOURCES = {
    "dicts": lambda _: RECORDS,
    "dicts in different orders": lambda _: [
        dict(reversed(RECORDS[0].items())),
        {"name": "Bëß'\\", "subject": 2},
    ],
    "tuples": lambda _: EXPECTED,
    "lists and tuples": lambda _: [list(EXPECTED[0]), EXPECTED[1]],
    "generator": lambda _: (r for r in RECORDS),
    "numpy records": lambda _: numpy_records(),
    "numpy record array": lambda _: numpy_records().view(np.recarray),
    "single numpy records": lambda _: list(numpy_records()),
    "pandas": lambda _: pd.DataFrame(RECORDS),
    "pandas with the key as index": lambda _: pd.DataFrame(RECORDS).set_index("subject"),
    "pandas with another index": lambda _: pd.DataFrame(RECORDS, index=[7, 8]),
    "pandas rows": lambda _: [row for _, row in pd.DataFrame(RECORDS).iterrows()],
    "pandas with time zones": lambda _: pd.DataFrame(RECORDS).assign(
        born=lambda f: f["born"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    ),
    "pandas nullable types": lambda _: pd.DataFrame(RECORDS).convert_dtypes(),
    "polars": lambda _: pl.DataFrame(RECORDS),
    "lazy polars": lambda _: pl.DataFrame(RECORDS).lazy(),
    "Arrow table": lambda _: pa.Table.from_pylist(RECORDS),
    "Arrow nanoseconds": lambda _: pa.table(
        {
            **pa.Table.from_pylist(RECORDS).drop_columns("born").to_pydict(),
            "born": pa.array([BORN, None], pa.timestamp("ns", tz="UTC")),
        }
    ),
    "Arrow batch": lambda _: pa.RecordBatch.from_pylist(RECORDS),
    "Arrow batches": lambda _: [pa.RecordBatch.from_pylist([r]) for r in RECORDS],
    "Arrow reader": lambda _: pa.Table.from_pylist(RECORDS).to_reader(1),
    "CSV": csv_file,
}


@pytest.mark.parametrize("source", SOURCES)
def test_rows_come_from(subject, tmp_path, source):
    subject.insert(SOURCES[source](tmp_path))

    assert subject.to_dicts(order_by="KEY") == RECORDS


def test_insert_dataframe_takes_the_index_as_it_is_told(subject):
    frame = pd.DataFrame(RECORDS).set_index("subject")

    subject.insert_dataframe(frame, index_as_pk=True)
    subject.insert_dataframe(pd.DataFrame(RECORDS), index_as_pk=False, skip_duplicates=True)
    with pytest.raises(RowError, match='row 1, attribute "subject": no value was given'):
        subject.insert_dataframe(frame, index_as_pk=False)
    with pytest.raises(RowError, match=r"index is named \['name'\]"):
        subject.insert_dataframe(pd.DataFrame(RECORDS).set_index("name"), index_as_pk=True)
    with pytest.raises(RowError, match="takes a pandas DataFrame, not list"):
        subject.insert_dataframe(RECORDS)

    assert subject.to_dicts(order_by="KEY") == RECORDS


def test_an_empty_source_inserts_nothing(subject, tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text("subject,name\n")
    frame = pd.DataFrame(RECORDS)[:0]

    for rows in ([], (), iter(()), empty, frame, numpy_records()[:0], pl.from_pandas(frame)):
        subject.insert(rows)

    assert len(subject) == 0


def test_columns_that_are_no_attributes_are_refused_or_left_out(subject):
    frame = pd.DataFrame(RECORDS).assign(nmae="x")

    with pytest.raises(RowError, match=r'unknown attribute "nmae"\. Did you mean "name"'):
        subject.insert(frame)
    subject.insert(frame, ignore_extra_fields=True)

    assert len(subject) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subject,name\n1,Ada,x\n", "row 1: more cells than the header's 2 names"),
        ("subject,name\n1,Ada\n2\n", "row 2: fewer cells than the header's 2 names"),
        ("subject,nmae\n1,Ada\n", 'row 1: unknown attribute "nmae"'),
        ("subject,name\n,Ada\n", 'row 1, attribute "subject": no value was given'),
        ("subject,name\n1,Ada\nx,Bob\n", "row 2, attribute \"subject\": 'x' is not a whole number"),
        ("subject,name,is_tame\n1,Ada,no\n", "'no' is not a bool"),
    ],
)
def test_wrong_csv_is_refused(subject, tmp_path, text, message):
    path = tmp_path / "wrong.csv"
    path.write_text(text)

    with pytest.raises(RowError, match=message):
        subject.insert(path)

    assert len(subject) == 0


def test_a_missing_csv_is_named(subject, tmp_path):
    with pytest.raises(RowError, match=r"cannot read .*nowhere\.csv: No such file"):
        subject.insert(tmp_path / "nowhere.csv")


# --- queries -----------------------------------------------------------------------------------


def counting(connection, monkeypatch):
    """Count the rows that INSERT … SELECT is asked for."""
    calls = []
    real = type(connection.database).insert_from

    def insert_from(self, *args, **kwargs):
        calls.append(args)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(connection.database), "insert_from", insert_from)
    return calls


@pytest.fixture
def copy(schema):
    @schema
    class Copy(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(30)
        weight = null : float64
        origin = "here" : varchar(10)
        """

    return Copy


def test_the_rows_of_a_query_never_leave_the_server(subject, copy, connection, monkeypatch):
    subject.insert(RECORDS)
    calls = counting(connection, monkeypatch)

    copy.insert(subject.proj("name", "weight") & "subject = 1")
    copy.insert(subject, skip_duplicates=True, ignore_extra_fields=True)

    assert len(calls) == 2
    assert rows_of(copy) == [(1, "Ada", 20.5, "here"), (2, "Bëß'\\", None, "here")]


def test_the_rows_of_a_query_replace_others(subject, copy):
    subject.insert(RECORDS)
    copy.insert([(1, "Old", 1.0, "there")])

    copy.insert(subject.proj("name", "weight"), replace=True)
    with pytest.raises(DuplicateError, match="row 1: the key subject=1 is in the table already"):
        copy.insert(subject.proj("name", "weight"))

    assert rows_of(copy) == [(1, "Ada", 20.5, "here"), (2, "Bëß'\\", None, "here")]


def test_a_table_can_be_inserted_into_itself(subject):
    subject.insert(RECORDS)

    subject.insert(subject, skip_duplicates=True)
    subject.insert(subject & "subject = 1", replace=True)
    with pytest.raises(DuplicateError, match="row 1: the key subject=1 is in the table already"):
        subject.insert(subject)

    assert subject.to_dicts(order_by="KEY") == RECORDS


def test_values_of_another_type_are_looked_at(subject, schema, connection, monkeypatch):
    @schema
    class Narrow(dj.Manual):
        definition = """
        subject : int8
        ---
        name : varchar(3)
        """

    subject.insert(RECORDS)
    calls = counting(connection, monkeypatch)

    Narrow.insert(subject & "subject = 1", ignore_extra_fields=True)
    with pytest.raises(RowError, match="the text has 5 characters, 3 fit"):
        Narrow.insert(subject & "subject = 2", ignore_extra_fields=True)

    assert not calls
    assert rows_of(Narrow) == [(1, "Ada")]


def test_a_null_that_does_not_fit_is_named(subject, schema):
    @schema
    class Weighed(dj.Manual):
        definition = """
        subject : int32
        ---
        weight : float64
        """

    subject.insert(RECORDS)

    with pytest.raises(RowError, match='row 2, attribute "weight": it is null'):
        Weighed.insert(subject.proj("weight"))
    assert len(Weighed) == 0


def test_a_query_without_an_attribute_is_refused(subject, copy):
    with pytest.raises(RowError, match='the query has no "name", which has no default'):
        copy.insert(subject.proj())
    with pytest.raises(RowError, match='unknown attribute "born"'):
        copy.insert(subject)


def test_rows_come_from_another_database(subject, local_settings, tmp_path):
    there = Connection(local_settings.model_copy(update={"state_dir": tmp_path / "other"}))
    other = dj.Schema("other", connection=there)

    @other
    class Copy(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(30)
        """

    subject.insert(RECORDS)
    Copy.insert(subject, ignore_extra_fields=True)

    assert rows_of(Copy) == [(1, "Ada"), (2, "Bëß'\\")]
    there.close()


# --- duplicates --------------------------------------------------------------------------------


def test_skip_duplicates_leaves_rows_alone_whose_key_is_taken(badge):
    badge.insert([(1, "x", 5), (3, "c", 5), (3, "d", 6)], skip_duplicates=True)
    badge.insert([{"badge": 1, "code": "y"}], skip_duplicates=True)
    badge.insert1((2, "z", 1), skip_duplicates=True)

    assert rows_of(badge) == [(1, "a", 1), (2, "b", 1), (3, "c", 5)]


def test_skip_duplicates_skips_a_row_that_is_the_same(badge):
    badge.insert([(1, "a", 1), (2, "b", 1)], skip_duplicates=True)

    assert len(badge) == 2


@pytest.mark.parametrize("option", ["skip_duplicates", "replace"])
def test_a_conflict_with_another_unique_index_is_no_duplicate_to_skip_or_replace(badge, option):
    with pytest.raises(
        DuplicateError, match=r"row 2: code=b is taken by the row badge=2 \(unique index on code\)"
    ):
        badge.insert([(4, "d", 1), (3, "b", 9)], **{option: True})
    with pytest.raises(DuplicateError, match=r"Badge: code=a is taken by the row badge=1"):
        badge.insert1((3, "a", 9), **{option: True})

    assert rows_of(badge) == [(1, "a", 1), (2, "b", 1)]


def test_replace_overwrites_rows_and_keeps_their_children(badge, schema):
    @schema
    class Use(dj.Manual):
        definition = """
        -> Badge
        use : int8
        """
        Badge = badge

    Use.insert([(1, 1)])

    badge.insert([(1, "new", 7), (3, "c", 1)], replace=True)
    badge.insert1({"badge": 2, "code": "two"}, replace=True)

    assert rows_of(badge) == [(1, "new", 7), (2, "two", 1), (3, "c", 1)]
    assert len(Use) == 1


def test_a_table_of_keys_only_can_be_replaced(schema):
    @schema
    class Pair(dj.Manual):
        definition = """
        a : int8
        b : varchar(5)
        """

    Pair.insert([(1, "x"), (2, "y")])
    Pair.insert([(1, "x"), (3, "z")], replace=True)
    Pair.insert([(1, "x"), (4, "z")], skip_duplicates=True)

    assert len(Pair) == 4


def test_replace_and_skip_exclude_each_other(badge):
    with pytest.raises(UsageError, match="choose one"):
        badge.insert([(1, "a", 1)], replace=True, skip_duplicates=True)


def test_a_value_twice_among_the_rows_is_named(badge):
    with pytest.raises(DuplicateError, match=r"row 3: the key badge=5 is twice .* as in row 1"):
        badge.insert([(5, "e", 1), (6, "f", 1), (5, "g", 1)])
    with pytest.raises(DuplicateError, match="row 2: code=e is twice among the rows"):
        badge.insert([(5, "e", 1), (6, "e", 1)])


# --- chunks and sizes --------------------------------------------------------------------------


def test_chunks_are_committed_one_by_one(subject):
    rows = [{"subject": i, "name": "x"} for i in range(7)]

    with pytest.raises(DuplicateError, match="row 8: the key subject=0"):
        subject.insert([*rows, rows[0]], chunk_size=3)

    assert rows_of(subject, "subject") == [(i,) for i in range(6)]


def test_chunks_inside_a_transaction_are_committed_with_it(subject):
    rows = [{"subject": i, "name": "x"} for i in range(7)]

    subject().connection.start_transaction()
    subject.insert(rows, chunk_size=3)
    subject().connection.cancel_transaction()

    assert len(subject) == 0


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "10"])
def test_a_wrong_chunk_size_is_refused(subject, size):
    with pytest.raises(UsageError, match="chunk_size="):
        subject.insert(RECORDS, chunk_size=size)


def test_an_insert_of_many_chunks_that_fails_in_a_transaction_leaves_nothing(subject):
    rows = [{"subject": i, "name": "x"} for i in range(25_000)]

    with subject().connection.transaction:
        subject.insert1({"subject": -1, "name": "before"})
        with pytest.raises(DuplicateError):
            subject.insert([*rows, rows[0]])

    assert rows_of(subject, "subject") == [(-1,)]


def test_batches_of_different_sizes_are_one_insert(subject):
    batches = [pa.RecordBatch.from_pylist([r]) for r in (*RECORDS, RECORDS[0])]

    with pytest.raises(DuplicateError, match="a key is twice among the rows"):
        subject.insert(batches)

    assert len(subject) == 0


def test_a_generator_of_many_rows_takes_little_memory(schema):
    @schema
    class Narrow(dj.Manual):
        definition = """
        n : int32
        ---
        x : float64
        """

    Narrow.insert((i, 0.5) for i in range(-100, 0))
    tracemalloc.start()
    Narrow.insert((i, i * 0.5) for i in range(60_000))
    first = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    Narrow.insert((i, i * 0.5) for i in range(60_000, 180_000))
    second = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(Narrow) == 180_100
    assert second < 1.2 * first


def test_large_values_are_sent_in_several_statements(schema):
    @schema
    class Large(dj.Manual):
        definition = """
        n : int32
        ---
        data : bytes
        """

    rows = [(i, bytes([i]) * 400_000) for i in range(12)]
    Large.insert(rows)

    assert Large.to_dicts(order_by="KEY") == [{"n": i, "data": d} for i, d in rows]


# --- values ------------------------------------------------------------------------------------


def test_all_types_come_in_by_columns_as_they_do_one_by_one(schema):
    @schema
    class Many(dj.Manual):
        definition = """
        n : int64
        ---
        small : int8
        ratio : float32
        exact : decimal(8,3)
        day : date
        at : datetime(6)
        who : uuid
        kind : enum('a','b')
        code : char(4)
        tags : json
        data : bytes
        flag : bool
        text : varchar(200)
        maybe = null : int16
        value = null : <blob>
        """

    def row(i):
        return {
            "n": i * 2**40,
            "small": i - 5,
            "ratio": 1.1 * i,
            "exact": decimal.Decimal(i) / 8,
            "day": dt.date(2020, 1, 1) + dt.timedelta(days=i),
            "at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)
            + dt.timedelta(microseconds=i * 1001),
            "who": uuid.UUID(int=i),
            "kind": "ab"[i % 2],
            "code": "x" * (i % 4),
            "tags": {"i": [i, None, "ü'\\\"%s"]},
            "data": bytes([i, 0, 255, 39]),
            "flag": i % 2 == 0,
            "text": "100% 'quoted' \"twice\" \\ \n \0 \x1a ü 🐭 %s %(x)s",
            "maybe": None if i % 3 else i,
            "value": np.arange(i),
        }

    Many.insert([row(i) for i in range(10)])
    together = Many.to_dicts(order_by="KEY")
    Many.delete_quick()
    for i in range(10):
        Many.insert1(row(i))
    one_by_one = Many.to_dicts(order_by="KEY")

    for a, b, i in zip(together, one_by_one, range(10), strict=True):
        assert np.array_equal(a.pop("value"), np.arange(i))
        assert np.array_equal(b.pop("value"), np.arange(i))
        assert a == b
        given = {k: v for k, v in row(i).items() if k not in {"ratio", "value"}}
        assert {k: v for k, v in a.items() if k != "ratio"} == given
        assert a["ratio"] == pytest.approx(1.1 * i, rel=1e-7)


def test_subclasses_and_numpy_numbers_become_plain_values(schema):
    @schema
    class Plain(dj.Manual):
        definition = """
        n : int32
        ---
        x : float64
        name : varchar(10)
        at : datetime(6)
        """

    at = pd.Timestamp("2024-01-02 03:04:05.000006789")
    Plain.insert(
        [
            (np.int64(1), np.float32(0.5), np.str_("a"), at),
            (True + 1, 2, "b", np.datetime64("2024-01-02T03:04:05.000006")),
        ]
    )
    Plain.insert1((np.int16(3), np.float64(0.5), "c", at))

    expected = dt.datetime(2024, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001 - naive UTC
    assert [(r["n"], r["x"], r["at"]) for r in Plain.to_dicts(order_by="KEY")] == [
        (1, 0.5, expected),
        (2, 2.0, expected),
        (3, 0.5, expected),
    ]


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, np.nan])
def test_missing_numbers_are_null_where_they_may_be(subject, missing):
    subject.insert([{"subject": 1, "name": "a", "weight": missing}, {"subject": 2, "name": "b"}])
    subject.insert1({"subject": 3, "name": "c", "weight": missing})

    assert rows_of(subject, "subject", "weight") == [(1, None), (2, None), (3, None)]


def test_nothing_may_be_inserted_where_everything_has_a_default(schema):
    @schema
    class Setup(dj.Manual):
        definition = """
        number = 1 : int32
        ---
        note = "" : varchar(10)
        made = CURRENT_TIMESTAMP : datetime
        """

    Setup.insert1({})
    Setup.insert([])

    assert rows_of(Setup, "number", "note") == [(1, "")]


def test_a_missing_parent_is_named_with_its_row(badge, schema):
    @schema
    class Use(dj.Manual):
        definition = """
        -> Badge
        use : int8
        """
        Badge = badge

    with pytest.raises(BrokenReferenceError) as error:
        Use.insert([(1, 1), (2, 1), (9, 1)])

    assert str(error.value) == (
        f'{schema.name}.Use, row 3: badge=9 is not in {schema.name}.badge, which "badge" refers '
        "to. Insert it there first"
    )


def test_the_first_wrong_row_is_named(subject):
    rows = [{"subject": i, "name": "x"} for i in range(10)]
    rows[7]["subject"] = "seven"
    rows[4]["name"] = 4

    with pytest.raises(RowError, match='row 5, attribute "name": 4 is a number'):
        subject.insert(rows)


def test_no_object_is_stored_for_rows_that_do_not_fit(schema, tmp_path):
    @schema
    class Recording(dj.Manual):
        definition = """
        recording : int32
        ---
        data : <blob@raw>
        gain : float64
        """

    with pytest.raises(RowError, match='row 2, attribute "gain"'):
        Recording.insert([(1, np.arange(9), 1.0), (2, np.arange(8), "x")])
    with pytest.raises(RowError, match='row 1, attribute "gain"'):
        Recording.insert1((1, np.arange(9), "x"))
    assert not [p for p in tmp_path.rglob("hash/**/*") if p.is_file()]

    Recording.insert([(1, np.arange(9), 1.0), (2, np.arange(8), 2.0)])
    assert len(Recording.fetch("data")) == 2


# --- what the definition language adds ---------------------------------------------------------


def test_longblob_holds_any_value_and_bytes_stay_bytes(schema):
    @schema
    class Old(dj.Manual):
        definition = """
        n : int32
        ---
        value = null : longblob
        """

    values = [b"raw", b"", None, {"a": [1, 2.5, "x"]}, 5, "text", b"mYm\0x", b"dj0\0"]
    values += [b"ZL123\0", b"djq\1\2"]
    Old.insert(list(enumerate(values)))
    Old.insert1((100, np.arange(5)))

    assert [r["value"] for r in (Old & "n < 100").to_dicts(order_by="KEY")] == values
    assert np.array_equal((Old & "n = 100").fetch1("value"), np.arange(5))


def test_tinyblob_has_its_length(schema):
    @schema
    class Tiny(dj.Manual):
        definition = """
        n : int32
        ---
        value : tinyblob
        """

    Tiny.insert1((1, b"x" * 255))
    with pytest.raises(RowError, match='attribute "value"'):
        Tiny.insert1((2, b"x" * 256))


def test_what_datajoint_wrote_is_read_whatever_the_type_of_the_attribute(schema):
    @schema
    class Old(dj.Manual):
        definition = """
        n : int32
        ---
        value : longblob
        other : <blob>
        """

    a_list = b"dj0\0\2" + (1).to_bytes(8, "little") + (4).to_bytes(8, "little") + b"\n\1\0\5"
    packed = b"ZL123\0" + len(a_list).to_bytes(8, "little") + zlib.compress(a_list)
    rows = [{"n": 1, "value": a_list, "other": packed}, {"n": 2, "value": packed, "other": a_list}]
    database = schema.connection.database
    database.insert(Old.spec, rows)
    assert [(r["value"], r["other"]) for r in Old.to_dicts()] == [([5], [5])] * 2

    database.insert(Old.spec, [{"n": 3, "value": b"mYm\0A\1", "other": packed}])
    with pytest.raises(CodecError, match=r"DataJoint's cannot be read: .* left"):
        Old.to_dicts()


def test_the_database_counts_where_a_row_leaves_it_out(schema):
    @schema
    class Counted(dj.Manual):
        definition = """
        id : int auto_increment
        ---
        name : varchar(10)
        """

    Counted.insert1({"name": "a"})
    Counted.insert([{"name": "b"}, {"name": "c"}])
    Counted.insert([{"id": None, "name": "d"}, {"id": 40, "name": "e"}])
    Counted.insert1({"name": "f"})

    found = rows_of(Counted)
    assert [name for _, name in found] == ["a", "b", "c", "d", "e", "f"]
    assert (40, "e") in found
    assert found[-1][0] == 41


def test_a_table_of_one_row(schema):
    @schema
    class Setup(dj.Manual):
        definition = """
        ---
        rate : float64
        note = "" : varchar(20)
        """

    Setup.insert1({"rate": 1.0})
    with pytest.raises(DuplicateError, match="holds one row, and has it already"):
        Setup.insert1({"rate": 2.0})
    with pytest.raises(DuplicateError, match="holds one row, and has it already"):
        Setup.insert([{"rate": 2.0}])
    Setup.insert1({"rate": 3.0}, skip_duplicates=True)
    assert Setup.to_dicts() == [{"rate": 1.0, "note": ""}]
    Setup.insert1({"rate": 4.0}, replace=True)
    assert Setup.to_dicts() == [{"rate": 4.0, "note": ""}]
    Setup.update1({"note": "new"})
    assert Setup.fetch1() == {"rate": 4.0, "note": "new"}


def test_the_default_store_holds_objects_of_no_named_store(schema):
    @schema
    class Recording(dj.Manual):
        definition = """
        recording : int32
        ---
        data : <blob@>
        """

    Recording.insert1((1, np.arange(9)))

    assert np.array_equal(Recording.fetch1("data"), np.arange(9))
    stores = schema.connection.settings.state_dir / "stores"
    assert [p.name for p in stores.iterdir()] == ["default"]


# --- validate ----------------------------------------------------------------------------------


def test_validate_tells_all_that_is_wrong_and_writes_nothing(subject):
    result = subject.validate(
        [
            {"subject": 1, "name": "Ada"},
            {"subject": "x", "name": 5},
            {"subject": 3, "nmae": "C"},
            (1, 2),
            {"subject": 4},
        ]
    )

    assert not result
    assert not result.is_valid
    assert isinstance(result, dj.ValidationResult)
    assert [(e.row, e.attribute) for e in result.errors] == [
        (2, "subject"),
        (2, "name"),
        (3, None),
        (4, None),
        (5, "name"),
    ]
    assert result.rows_checked == 5
    assert result.summary().startswith("5 errors in 5 rows:\n")
    assert "'x' is not a whole number" in result.summary()
    with pytest.raises(RowError, match="5 errors in 5 rows"):
        result.raise_if_invalid()
    assert len(subject) == 0


def test_validate_of_rows_that_fit_says_so(subject):
    result = subject.validate(pd.DataFrame(RECORDS))

    assert result
    assert result.errors == ()
    assert result.summary() == "all 2 rows fit"
    result.raise_if_invalid()
    assert len(subject) == 0


def test_validate_stores_no_object(schema, tmp_path):
    @schema
    class Recording(dj.Manual):
        definition = """
        recording : int32
        ---
        data : <blob@raw>
        """

    assert Recording.validate([(1, np.arange(3))])
    result = Recording.validate([(1, object())])

    assert result.errors[0].attribute == "data"
    assert not [p for p in tmp_path.rglob("hash/**/*") if p.is_file()]


@pytest.mark.parametrize("absent", [None, float("nan")])
def test_a_null_where_none_fits_is_the_default(schema, absent):
    @schema
    class Gain(dj.Manual):
        definition = """
        gain : int32
        ---
        db = 1.5 : float64
        """

    Gain.insert1({"gain": 1, "db": absent})
    Gain.insert([(2, absent), (3, 2.0)])
    assert Gain.fetch("db", order_by="gain").tolist() == [1.5, 1.5, 2.0]


def test_a_value_that_the_server_does_not_take_is_refused_before_it_is_sent(schema, connection):
    if connection.database.is_sqlite:
        pytest.skip("a file takes any row")
    text = "id : int32\n---\nsmall : varchar(8)\nlarge = null : longblob"
    tape = schema(type("Tape", (dj.Manual,), {"definition": text}))
    limit = connection.query("SELECT @@max_allowed_packet").fetchone()[0]
    large = bytes(limit)
    writes = (
        lambda: tape.insert1((2, "b", large)),
        lambda: tape.insert([(2, "b", b""), (3, "c", large)]),
        lambda: tape.update1({"id": 1, "large": large}),
    )
    with connection.transaction:
        tape.insert1((1, "a", large[: limit // 4]))
        for write in writes:
            with pytest.raises(RowError, match=f'Tape: "large" .*{len(large):,} .*<blob@store>'):
                write()
    assert len(tape.fetch1("large")) == limit // 4
    for write in writes:
        with pytest.raises(RowError, match="max_allowed_packet"):
            write()
    assert len(tape) == 1
