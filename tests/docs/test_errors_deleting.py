"""What wrong deletes and drops are answered: read it as documentation.

Each entry is a call and the words of its message that say what was wrong, where, and what to do.
None of them changes anything in the database.
"""

from __future__ import annotations

import re

import pytest

import djq as dj
from djq.errors import BrokenReferenceError, IntegrityError, QueryError, UsageError

#: Who → the call, its error, the words of its message.
DELETES = {
    "misspelled attribute": (
        lambda t: (t.Subject & {"subjct": 1}).delete(prompt=False),
        QueryError,
        "Subject is restricted by subjct, and has none of these attributes|Known: subject, name",
    ),
    "misspelled attribute, quick": (
        lambda t: (t.Subject & {"subjct": 1}).delete_quick(),
        QueryError,
        "restricted by subjct|not deleted by accident",
    ),
    "misspelled attribute in a list": (
        lambda t: (t.Subject & [{"subject": 1}, {"sub": 2}]).delete(prompt=False),
        QueryError,
        "restricted by sub, and has none",
    ),
    "table without a shared attribute": (
        lambda t: (t.Subject & t.Setup).delete(prompt=False),
        QueryError,
        "restricted by setup, and has none",
    ),
    "part": (
        lambda t: t.Scan.Field.delete(prompt=False),
        UsageError,
        "Scan.Field is a part: its rows come and go with their masters|Start at the master",
    ),
    "part whose master would stay": (
        lambda t: (t.Setup & {"setup": 1}).delete(prompt=False),
        IntegrityError,
        "scan__field: 1 rows would go, and their 1 masters in|(the first: subject=1 scan=1)",
    ),
    "unknown rule for parts": (
        lambda t: t.Subject.delete(prompt=False, part_integrity="force"),
        UsageError,
        "part_integrity='force': choose from 'enforce', 'ignore', 'cascade'",
    ),
    "no terminal": (
        lambda t: t.Subject.delete(),
        UsageError,
        "Subject: delete asks before it changes anything|prompt=False|DJQ_SAFEMODE=false",
    ),
    "no open transaction": (
        lambda t: t.Subject.delete(transaction=False, prompt=False),
        UsageError,
        "transaction=False deletes within the transaction that is open, and none is",
    ),
    "rows that are referred to, quick": (
        lambda t: t.Subject.delete_quick(),
        BrokenReferenceError,
        "subject: rows of other tables refer to them|delete() deletes these, too",
    ),
}

DROPS = {
    "restricted table": (
        lambda t: (t.Subject & {"subject": 1}).drop(prompt=False),
        UsageError,
        "Subject is restricted, and a table is dropped as a whole|delete() deletes these rows",
    ),
    "part": (
        lambda t: t.Scan.Field.drop(prompt=False),
        UsageError,
        'Scan.Field is a part: it is dropped with its master|part_integrity="ignore"',
    ),
    "part of a master that stays": (
        lambda t: t.Setup.drop(prompt=False),
        IntegrityError,
        "the part|scan__field would be dropped without its master|nothing was dropped",
    ),
    "referred table, quick": (
        lambda t: t.Subject.drop_quick(),
        BrokenReferenceError,
        "subject cannot be dropped:|scan refers to it|drop() drops these, too",
    ),
    "no terminal": (
        lambda t: t.Subject.drop(),
        UsageError,
        "Subject: drop asks before it changes anything|DJQ_SAFEMODE=false",
    ),
}


class Tables:
    """The tables of a test, as attributes."""


@pytest.fixture
def tables(schema):
    @schema
    class Subject(dj.Manual):
        definition = """
        subject : int32
        ---
        name : varchar(20)
        """

    @schema
    class Setup(dj.Manual):
        definition = """
        setup : int32
        """

    @schema
    class Scan(dj.Manual):
        definition = """
        -> Subject
        scan : int32
        """

        class Field(dj.Part):
            definition = """
            -> master
            field : int32
            ---
            -> Setup
            """

    Subject.insert([(1, "a"), (2, "b")])
    Setup.insert([(1,), (2,)])
    Scan.insert([(1, 1), (2, 1)])
    Scan.Field.insert([(1, 1, 0, 1), (2, 1, 0, 2)])
    found = Tables()
    found.Subject, found.Setup, found.Scan = Subject, Setup, Scan
    return found


def contents(tables):
    every = (tables.Subject, tables.Setup, tables.Scan, tables.Scan.Field)
    return [table.to_dicts() for table in every]


def check(tables, call, error, words):
    before = contents(tables)
    with pytest.raises(error) as caught:
        call(tables)
    for word in words.split("|"):
        assert re.search(re.escape(word), str(caught.value)), (word, str(caught.value))
    assert contents(tables) == before


@pytest.mark.parametrize("case", DELETES)
def test_a_wrong_delete_says_what_to_do_and_deletes_nothing(tables, case):
    check(tables, *DELETES[case])


@pytest.mark.parametrize("case", DROPS)
def test_a_wrong_drop_says_what_to_do_and_drops_nothing(tables, case):
    check(tables, *DROPS[case])


def test_asking_inside_a_transaction_is_refused(tables, connection):
    with connection.transaction:
        check(
            tables,
            lambda t: t.Subject.delete(prompt=True),
            UsageError,
            "Subject: delete cannot ask inside a transaction|pass prompt=False",
        )
        check(
            tables,
            lambda t: t.Subject.drop(prompt=False),
            UsageError,
            "cannot be dropped inside a transaction or a make|Drop it outside",
        )
