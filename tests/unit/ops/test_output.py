from __future__ import annotations

import datetime as dt
import decimal
import json
import logging
import uuid

import pytest

from djq.errors import ConfigError
from djq.ops.logs import LineFormatter
from djq.ops.output import confirm, show_grid, show_json, show_key
from djq.ops.progress import status_of
from djq.ops.status import Status
from djq.populate.plan import Progress


def progress(**counts: int) -> Progress:
    names = ("total", "made", "due", "errors", "ignored", "empty")
    return Progress(**dict.fromkeys(names, 0) | counts)


def test_columns_are_aligned_numbers_to_the_right(capsys):
    show_grid(("table", "made", "mean"), [("lab.A", 1234567, 1.5), ("lab.Longer", 7, None)])

    assert capsys.readouterr().out.splitlines() == [
        "table            made  mean",
        "lab.A       1,234,567   1.5",
        "lab.Longer          7     -",
    ]


def test_every_kind_of_key_value_has_a_json_form(capsys):
    one = uuid.UUID(int=1)
    value = {"a": dt.date(2026, 1, 2), "b": decimal.Decimal("1.50"), "c": one, "d": b"\x01"}

    show_json([value])

    assert json.loads(capsys.readouterr().out) == [
        {"a": "2026-01-02", "b": "1.50", "c": str(one), "d": "01"}
    ]


def test_keys_are_shown_as_people_write_them():
    assert show_key({"subject": 12, "session": 3}) == "subject=12 session=3"


def test_nothing_is_changed_when_nobody_can_be_asked(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    assert confirm("Make 3 keys?", is_agreed=True)
    with pytest.raises(ConfigError, match="add --yes"):
        confirm("Make 3 keys?", is_agreed=False)


@pytest.mark.parametrize(
    ("tables", "status"),
    [
        ([progress(total=2, made=2)], Status.DONE),
        ([progress(total=2, made=1, ignored=1)], Status.DONE),
        ([progress(total=2, made=1, due=1)], Status.WORK_REMAINS),
        ([progress(total=2, made=1, errors=1), progress(due=1)], Status.ERRORS),
        ([progress(total=2, empty=1)], Status.ERRORS),
    ],
)
def test_the_exit_status_says_what_the_tables_are_like(tables, status):
    assert status_of({str(i): table for i, table in enumerate(tables)}) == status


def test_a_log_line_is_an_event_and_its_fields():
    record = logging.makeLogRecord(
        {"name": "djq.x", "levelname": "INFO", "msg": "leading", "created": 0, "scheduler": "s-1"}
    )

    text = LineFormatter().format(record)

    assert text == "1970-01-01T00:00:00Z INFO djq.x leading scheduler=s-1"
