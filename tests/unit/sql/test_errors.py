"""Each error of a driver is one of ours, by its number and never by its words."""

from __future__ import annotations

import sqlite3

import pymysql.err
import pytest

from djq import errors
from djq.sql.errors import MYSQL_ERRORS, SQLITE_ERRORS, classify, translated


@pytest.mark.parametrize("number", MYSQL_ERRORS)
def test_a_number_of_mysql_is_one_class(number):
    for kind in (pymysql.err.OperationalError, pymysql.err.IntegrityError):
        assert classify(kind(number, "words")) is MYSQL_ERRORS[number]


@pytest.mark.parametrize("name", SQLITE_ERRORS)
def test_a_code_of_sqlite_is_one_class(name):
    error = sqlite3.OperationalError("words")
    error.sqlite_errorname = name

    assert classify(error) is SQLITE_ERRORS[name]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (pymysql.err.InterfaceError(0, ""), errors.LostConnectionError),
        (pymysql.err.IntegrityError(9999, "words"), errors.IntegrityError),
        (pymysql.err.ProgrammingError(1064, "words"), errors.DatabaseError),
        (sqlite3.IntegrityError("words"), errors.IntegrityError),
        (sqlite3.OperationalError("no such table: x"), errors.DatabaseError),
    ],
)
def test_others_are_as_precise_as_their_class(error, expected):
    assert classify(error) is expected


def test_the_cause_is_attached():
    cause = pymysql.err.OperationalError(1213, "Deadlock found")

    with (
        pytest.raises(errors.ContentionError, match="cannot write: Deadlock found") as raised,
        translated("cannot write"),
    ):
        raise cause

    assert raised.value.__cause__ is cause


def test_errors_that_may_pass_are_a_branch_of_their_own():
    transient = {
        errors.UnreachableError,
        errors.LostConnectionError,
        errors.ContentionError,
    }

    assert transient == set(errors.TransientDatabaseError.__subclasses__())
    assert not any(issubclass(errors.IntegrityError, kind) for kind in transient)
