"""Each error of a driver is one of ours, by its number and never by its words."""

from __future__ import annotations

import sqlite3

import pymysql.err
import pytest

from djq import errors
from djq.sql.errors import (
    MYSQL_ERRORS,
    SQLITE_ERRORS,
    classify,
    ends_transaction,
    translated,
)


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


@pytest.mark.parametrize("number", [1055, 1054, 1064, 1406, 3819 + 10_000, 4161])
def test_a_number_without_a_class_of_its_own_is_the_servers_refusal(number):
    assert classify(pymysql.err.OperationalError(number, "words")) is errors.DatabaseError


#: What people meet most → what they catch.
KNOWN = {
    1205: errors.ContentionError,  # lock wait timeout
    1213: errors.ContentionError,  # deadlock
    1020: errors.ContentionError,  # changed since the snapshot (MariaDB)
    3101: errors.ContentionError,  # rolled back by a cluster
    1062: errors.DuplicateError,
    1452: errors.BrokenReferenceError,
    1451: errors.BrokenReferenceError,
    1142: errors.AccessError,
    1290: errors.AccessError,  # the server only reads
    1146: errors.MissingTableError,
    1824: errors.MissingTableError,  # of a foreign key
    1040: errors.UnreachableError,  # too many connections
    2003: errors.UnreachableError,
    2026: errors.UnreachableError,  # not encrypted
    2006: errors.LostConnectionError,
    2013: errors.LostConnectionError,
    4031: errors.LostConnectionError,  # idle for too long
}


@pytest.mark.parametrize("number", KNOWN)
def test_what_people_meet_most(number):
    assert classify(pymysql.err.OperationalError(number, "words")) is KNOWN[number]


def test_every_class_is_ours_and_of_the_database():
    for kind in {*MYSQL_ERRORS.values(), *SQLITE_ERRORS.values()}:
        assert issubclass(kind, errors.DatabaseError)


@pytest.mark.parametrize(
    ("number", "ends"), [(1213, True), (1020, True), (3101, True), (1205, False), (3572, False)]
)
def test_some_errors_end_the_whole_transaction(number, ends):
    with pytest.raises(errors.ContentionError) as raised, translated("cannot write"):
        raise pymysql.err.OperationalError(number, "words")

    assert ends_transaction(raised.value) is ends


def test_a_busy_file_ends_the_statement_only():
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorname = "SQLITE_BUSY"

    with pytest.raises(errors.ContentionError) as raised, translated("cannot write"):
        raise error

    assert not ends_transaction(raised.value)


class Error(Exception):
    """As mysqlclient's, which need not be installed."""

    __module__ = "MySQLdb"


class OperationalError(Error):
    __module__ = "MySQLdb"


class IntegrityError(Error):
    __module__ = "MySQLdb"


class InterfaceError(Error):
    __module__ = "MySQLdb"


@pytest.mark.parametrize("number", MYSQL_ERRORS)
def test_mysqlclient_numbers_its_errors_alike(number):
    assert classify(OperationalError(number, "words")) is MYSQL_ERRORS[number]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InterfaceError(0, ""), errors.LostConnectionError),
        (IntegrityError(9999, "words"), errors.IntegrityError),
        (OperationalError("not enough arguments"), errors.DatabaseError),
    ],
)
def test_mysqlclients_others_are_as_precise_as_their_class(error, expected):
    with pytest.raises(expected) as raised, translated("cannot read"):
        raise error

    assert type(raised.value) is expected


@pytest.mark.parametrize("kind", [pymysql.err.OperationalError, OperationalError])
def test_encryption_that_ends_is_a_lost_connection_once_there_was_one(kind):
    with pytest.raises(errors.LostConnectionError), translated("cannot read"):
        raise kind(2026, "unexpected eof")
    with (
        pytest.raises(errors.UnreachableError),
        translated("cannot connect", is_open=False),
    ):
        raise kind(2026, "not offered")


def test_what_is_no_drivers_error_is_left_alone():
    with pytest.raises(KeyError), translated("cannot read"):
        raise KeyError
