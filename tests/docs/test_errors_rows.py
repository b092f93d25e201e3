"""What wrong rows and updates are answered, word by word: read it as documentation.

None of them changes anything in the database.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import djq as dj
from djq.errors import BrokenReferenceError, DjqError, DuplicateError, RowError, UsageError
from djq.tables.connection import Connection

KNOWN = "Known: subject, name, weight, born, photo, notes, kind, tag, is_tame"


def row(**values):
    return {"subject": 3, "name": "C", **values}


#: What is done; which error; what it says.
CASES = {
    "misspelled name": (
        lambda s, v, c: s.insert1({"subject": 3, "nmae": "C"}),
        RowError,
        'lab.Subject, row 1: unknown attribute "nmae". Did you mean "name"? '
        + KNOWN
        + ". ignore_extra_fields=True leaves such values out",
    ),
    "unknown name": (
        lambda s, v, c: s.insert([row(), row(subject=4, colour="grey")]),
        RowError,
        'lab.Subject, row 2: unknown attribute "colour". '
        + KNOWN
        + ". ignore_extra_fields=True leaves such values out",
    ),
    "missing value": (
        lambda s, v, c: s.insert1({"subject": 3}),
        RowError,
        'lab.Subject, row 1, attribute "name": no value was given, and it has no default',
    ),
    "missing key": (
        lambda s, v, c: s.insert([{"name": "C"}]),
        RowError,
        'lab.Subject, row 1, attribute "subject": no value was given, and it has no default',
    ),
    "null": (
        lambda s, v, c: s.insert1(row(name=None)),
        RowError,
        'lab.Subject, row 1, attribute "name": it is null, and the attribute is not nullable',
    ),
    "null in the key": (
        lambda s, v, c: s.insert([row(subject=None)]),
        RowError,
        'lab.Subject, row 1, attribute "subject": it is null, and the attribute is not nullable',
    ),
    "NaN in the key": (
        lambda s, v, c: s.insert1(row(subject=float("nan"))),
        RowError,
        (
            'lab.Subject, row 1, attribute "subject": it is NaN, which no column holds; make '
            "the attribute nullable, or use <blob>"
        ),
    ),
    "text for a number": (
        lambda s, v, c: s.insert1(row(subject="three")),
        RowError,
        "lab.Subject, row 1, attribute \"subject\": 'three' is not a whole number",
    ),
    "fraction for a whole number": (
        lambda s, v, c: s.insert([row(subject=1.5)]),
        RowError,
        'lab.Subject, row 1, attribute "subject": 1.5 is not a whole number',
    ),
    "number out of range": (
        lambda s, v, c: s.insert([row(), row(subject=2**31)]),
        RowError,
        (
            'lab.Subject, row 2, attribute "subject": 2147483648 is outside of int32 '
            "(-2147483648 to 2147483647)"
        ),
    ),
    "negative number out of range": (
        lambda s, v, c: v.insert1((1, -40000, "2024-01-01", 0)),
        RowError,
        'lab.Visit, row 1, attribute "visit": -40000 is outside of int16 (-32768 to 32767)',
    ),
    "number for text": (
        lambda s, v, c: s.insert1(row(name=5)),
        RowError,
        'lab.Subject, row 1, attribute "name": 5 is a number, not text',
    ),
    "long text": (
        lambda s, v, c: s.insert([row(name="x" * 11)]),
        RowError,
        'lab.Subject, row 1, attribute "name": the text has 11 characters, 10 fit',
    ),
    "half a character": (
        lambda s, v, c: s.insert([row(name="\ud800")]),
        RowError,
        (
            "lab.Subject, row 1, attribute \"name\": 'utf-8' codec can't encode character "
            "'\\ud800' in position 0: surrogates not allowed"
        ),
    ),
    "infinity": (
        lambda s, v, c: s.insert1(row(weight=float("inf"))),
        RowError,
        (
            'lab.Subject, row 1, attribute "weight": inf cannot be kept in a number column; '
            "use null, or <blob> for arrays"
        ),
    ),
    "number that float32 does not hold": (
        lambda s, v, c: s.insert([row(weight=1e39)]),
        RowError,
        'lab.Subject, row 1, attribute "weight": 1e+39 is outside of float32 (about ±3.4e38)',
    ),
    "text for a float": (
        lambda s, v, c: s.insert1(row(weight="heavy")),
        RowError,
        "lab.Subject, row 1, attribute \"weight\": 'heavy' is not a number",
    ),
    "bad date": (
        lambda s, v, c: s.insert1(row(born="1.2.2020")),
        RowError,
        "lab.Subject, row 1, attribute \"born\": '1.2.2020' is not a date (YYYY-MM-DD)",
    ),
    "number for a date": (
        lambda s, v, c: s.insert([row(born=2020)]),
        RowError,
        'lab.Subject, row 1, attribute "born": 2020 is a number, not a date',
    ),
    "bad datetime": (
        lambda s, v, c: v.insert1((1, 2, "noon", 0)),
        RowError,
        "lab.Visit, row 1, attribute \"at\": 'noon' is not a datetime (YYYY-MM-DD hh:mm:ss)",
    ),
    "number that a decimal does not hold": (
        lambda s, v, c: v.insert([(1, 2, "2024-01-01", 10_000)]),
        RowError,
        'lab.Visit, row 1, attribute "cost": 10000 is outside of decimal(6,2)',
    ),
    "value no enum has": (
        lambda s, v, c: s.insert1(row(kind="c")),
        RowError,
        "lab.Subject, row 1, attribute \"kind\": 'c' is not one of 'a', 'b'",
    ),
    "bad UUID": (
        lambda s, v, c: s.insert([row(tag="abc")]),
        RowError,
        "lab.Subject, row 1, attribute \"tag\": 'abc' is not a UUID",
    ),
    "word for a bool": (
        lambda s, v, c: s.insert([row(is_tame="yes")]),
        RowError,
        "lab.Subject, row 1, attribute \"is_tame\": 'yes' is not a bool: use True or False",
    ),
    "number for a bool": (
        lambda s, v, c: s.insert1(row(is_tame=2)),
        RowError,
        'lab.Subject, row 1, attribute "is_tame": 2 is not a bool: use True or False',
    ),
    "value no blob holds": (
        lambda s, v, c: s.insert1(row(photo=[1, {"a": print}])),
        RowError,
        (
            'lab.Subject, row 1, attribute "photo": value[1]["a"]: builtin_function_or_method'
            " cannot be stored: convert it to NumPy arrays, numbers, texts, dates, lists, "
            "tuples, sets and dicts of those"
        ),
    ),
    "value no json holds": (
        lambda s, v, c: s.insert([row(notes={1, 2})]),
        RowError,
        (
            'lab.Subject, row 1, attribute "notes": the value is not JSON: Object of type set'
            " is not JSON serializable"
        ),
    ),
    "array for a number": (
        lambda s, v, c: s.insert1(row(weight=np.arange(3))),
        RowError,
        'lab.Subject, row 1, attribute "weight": array([0, 1, 2]) is not a number',
    ),
    "short sequence": (
        lambda s, v, c: v.insert([(1, 2, "2024-01-01", 0), (1, 3)]),
        RowError,
        (
            "lab.Visit, row 2: 2 values for 4 attributes (subject, visit, at, cost). Give all"
            " of them in this order, or a mapping of names to values"
        ),
    ),
    "long sequence": (
        lambda s, v, c: v.insert1((1, 2, "2024-01-01", 0, 7)),
        RowError,
        (
            "lab.Visit, row 1: 5 values for 4 attributes (subject, visit, at, cost). Give all"
            " of them in this order, or a mapping of names to values"
        ),
    ),
    "text for a row": (
        lambda s, v, c: s.insert1("abc"),
        RowError,
        (
            "lab.Subject, row 1: cannot insert 'abc'; a row is a mapping of names to values, "
            "or a sequence in the order of the heading"
        ),
    ),
    "number among rows": (
        lambda s, v, c: s.insert([row(), 5]),
        RowError,
        (
            "lab.Subject, row 2: cannot insert 5; a row is a mapping of names to values, or a"
            " sequence in the order of the heading"
        ),
    ),
    "one row where rows belong": (
        lambda s, v, c: s.insert(row()),
        RowError,
        (
            "lab.Subject: insert takes many rows, not {'subject': 3, 'name': 'C'}; insert1 "
            "takes one row"
        ),
    ),
    "number where rows belong": (
        lambda s, v, c: s.insert(5),
        RowError,
        "lab.Subject: insert takes many rows, not 5; insert1 takes one row",
    ),
    "file name where a path belongs": (
        lambda s, v, c: s.insert("rows.csv"),
        RowError,
        (
            "lab.Subject: insert takes many rows, not 'rows.csv'; pathlib.Path('rows.csv') is"
            " a CSV file"
        ),
    ),
    "file that is not there": (
        lambda s, v, c: s.insert(Path("nowhere.csv")),
        RowError,
        "lab.Subject: cannot read nowhere.csv: No such file or directory",
    ),
    "unknown column of a DataFrame": (
        lambda s, v, c: s.insert(pd.DataFrame([row(nmae=1)])),
        RowError,
        'lab.Subject: unknown attribute "nmae". Did you mean "name"? '
        + KNOWN
        + ". ignore_extra_fields=True leaves such columns out",
    ),
    "first wrong row of many": (
        lambda s, v, c: s.insert([row(), row(name=4), row(subject="x")]),
        RowError,
        'lab.Subject, row 2, attribute "name": 4 is a number, not text',
    ),
    "taken key": (
        lambda s, v, c: s.insert([row(), {"subject": 1, "name": "D"}]),
        DuplicateError,
        (
            "lab.Subject, row 2: the key subject=1 is in the table already. "
            "skip_duplicates=True keeps the rows that are there, replace=True overwrites them"
        ),
    ),
    "taken key of one row": (
        lambda s, v, c: s.insert1({"subject": 1, "name": "D"}),
        DuplicateError,
        (
            "lab.Subject: the key subject=1 is in the table already. skip_duplicates=True "
            "keeps the rows that are there, replace=True overwrites them"
        ),
    ),
    "key twice": (
        lambda s, v, c: s.insert([row(), row(name="D")]),
        DuplicateError,
        (
            "lab.Subject, row 2: the key subject=3 is twice among the rows to insert, as in "
            "row 1. skip_duplicates=True takes the first of them"
        ),
    ),
    "taken value of a unique index": (
        lambda s, v, c: s.insert([row(name="Bob")]),
        DuplicateError,
        (
            "lab.Subject, row 1: name=Bob is taken by the row subject=2 (unique index on "
            "name). Give another value, or update that row"
        ),
    ),
    "taken value with skip_duplicates": (
        lambda s, v, c: s.insert([row(name="Bob")], skip_duplicates=True),
        DuplicateError,
        (
            "lab.Subject, row 1: name=Bob is taken by the row subject=2 (unique index on "
            "name). Give another value, or update that row"
        ),
    ),
    "taken value with replace": (
        lambda s, v, c: s.insert1(row(name="Ada"), replace=True),
        DuplicateError,
        (
            "lab.Subject: name=Ada is taken by the row subject=1 (unique index on name). Give"
            " another value, or update that row"
        ),
    ),
    "missing parent": (
        lambda s, v, c: v.insert([(1, 2, "2024-01-01", 0), (9, 1, "2024-01-01", 0)]),
        BrokenReferenceError,
        (
            'lab.Visit, row 2: subject=9 is not in lab.subject, which "subject" refers to. '
            "Insert it there first"
        ),
    ),
    "missing parent of one row": (
        lambda s, v, c: v.insert1((9, 1, "2024-01-01", 0)),
        BrokenReferenceError,
        (
            'lab.Visit: subject=9 is not in lab.subject, which "subject" refers to. Insert it'
            " there first"
        ),
    ),
    "rows of a computed table": (
        lambda s, v, c: c.insert1((1, 1, 2.0)),
        UsageError,
        (
            "lab.Stat is filled by make: call populate(), or insert with "
            "allow_direct_insert=True if you must"
        ),
    ),
    "replace and skip": (
        lambda s, v, c: s.insert([row()], replace=True, skip_duplicates=True),
        UsageError,
        (
            "replace=True overwrites rows whose key is taken, skip_duplicates=True leaves "
            "them alone: choose one"
        ),
    ),
    "chunks of nothing": (
        lambda s, v, c: s.insert([row()], chunk_size=0),
        UsageError,
        "chunk_size=0: it is a number of rows, 1 or more",
    ),
    "query without an attribute": (
        lambda s, v, c: v.insert(s.proj(visit="subject")),
        RowError,
        (
            'lab.Visit: the query has no "subject", which has no default. It has: visit. '
            "Rename or compute it with proj()"
        ),
    ),
    "query with another attribute": (
        lambda s, v, c: s.insert(v),
        RowError,
        'lab.Subject: unknown attribute "visit". '
        + KNOWN
        + ". Leave it out of the query with proj(), or use ignore_extra_fields=True",
    ),
    "second row of a table of one": (
        lambda setup: setup.insert1((2.0,)),
        DuplicateError,
        (
            "lab.Setup: the table holds one row, and has it already. Change it by "
            "update1({...}) or insert1(..., replace=True)"
        ),
    ),
    "update without its key": (
        lambda s, v, c: v.update1({"subject": 1, "cost": 2}),
        RowError,
        (
            'lab.Visit: update1 needs the whole primary key to find the row, and "visit" is '
            "not given. Its key: subject, visit"
        ),
    ),
    "update of nothing": (
        lambda s, v, c: v.update1({"subject": 1, "visit": 1}),
        RowError,
        (
            "lab.Visit: update1 was given a key and nothing to change. The key itself cannot "
            "be changed: insert a new row and delete the old one"
        ),
    ),
    "update of an unknown attribute": (
        lambda s, v, c: s.update1({"subject": 1, "nmae": "D"}),
        RowError,
        'lab.Subject: unknown attribute "nmae". Did you mean "name"? ' + KNOWN,
    ),
    "update of no row": (
        lambda s, v, c: s.update1({"subject": 9, "name": "D"}),
        RowError,
        "lab.Subject: there is no row with subject=9 to update. insert1 makes one",
    ),
    "update to a wrong value": (
        lambda s, v, c: s.update1({"subject": 1, "born": "soon"}),
        RowError,
        "lab.Subject, row 1, attribute \"born\": 'soon' is not a date (YYYY-MM-DD)",
    ),
    "update to no default": (
        lambda s, v, c: s.update1({"subject": 1, "name": None}),
        RowError,
        (
            'lab.Subject, attribute "name": None resets it to its default, and it has none. '
            "Give a value"
        ),
    ),
    "update to a taken value": (
        lambda s, v, c: s.update1({"subject": 1, "name": "Bob"}),
        DuplicateError,
        (
            "lab.Subject: name=Bob is taken by the row subject=2 (unique index on name). Give"
            " another value, or update that row"
        ),
    ),
    "update of a restriction": (
        lambda s, v, c: (s & "subject = 1").update1({"subject": 1, "name": "D"}),
        UsageError,
        (
            "lab.Subject: update1 finds its row by the primary key that it is given, and not "
            "by a restriction: call it on the table itself"
        ),
    ),
    "update by a sequence": (
        lambda s, v, c: s.update1((1, "D")),
        RowError,
        "lab.Subject: update1 takes a mapping of names to values, not (1, 'D')",
    ),
}


@pytest.fixture
def lab(local_settings):
    connection = Connection(local_settings)
    schema = dj.Schema("lab", connection=connection)

    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(10)
        weight = null : float32
        born = null : date
        photo = null : <blob>
        notes = null : json
        kind = "a" : enum('a','b')
        tag = null : uuid
        is_tame = false : bool
        unique index(name)
        """

    @schema
    class Visit(dj.Manual):
        definition = """
        -> Subject
        visit : int16
        ---
        at : datetime(3)
        cost = 0 : decimal(6,2)
        """

    @schema
    class Stat(dj.Computed):
        definition = """
        -> Visit
        ---
        mean : float64
        """

    @schema
    class Setup(dj.Manual):
        definition = """
        ---
        rate : float64
        """

    Subject.insert([{"subject": 1, "name": "Ada"}, {"subject": 2, "name": "Bob"}])
    Visit.insert1((1, 1, "2024-01-01", 5))
    Setup.insert1((1.0,))
    yield schema
    connection.close()


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_row(lab, case):
    do, error, message = CASES[case]
    tables = [lab.tables[name] for name in ("Subject", "Visit", "Stat", "Setup")]
    before = [table.to_dicts(order_by="KEY") for table in tables[:2]]

    with pytest.raises(DjqError) as raised:
        do(*tables[:3]) if do.__code__.co_argcount == 3 else do(tables[3])

    assert str(raised.value) == message
    assert type(raised.value) is error
    assert [table.to_dicts(order_by="KEY") for table in tables[:2]] == before
