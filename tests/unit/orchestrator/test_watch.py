"""A run says when nobody can do its work, and what to do then."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from djq.orchestrator.holding import Census, Main
from djq.orchestrator.watch import LONELY_AGAIN_S, LONELY_S, Company

TABLE = SimpleNamespace(__module__="mylab.pipeline")


@pytest.fixture
def company(caplog: pytest.LogCaptureFixture) -> Company:
    caplog.set_level(logging.WARNING, logger="djq.run")
    return Company({"lab.Detection": TABLE})


def look(company: Company, now: float, *mains: Main) -> None:
    company.look(Census("epoch", mains), now)


def test_nobody_for_a_while_is_said_with_what_to_start(company, caplog) -> None:
    look(company, 0.0)
    assert caplog.text == ""
    look(company, LONELY_S)
    assert 'no worker makes lab.Detection; still waiting. Start one with "djq worker' in caplog.text
    assert "mylab.pipeline" in caplog.text


def test_it_is_said_now_and_then(company, caplog) -> None:
    for second in range(int(LONELY_S + 2 * LONELY_AGAIN_S) + 1):
        look(company, float(second))
    assert len(caplog.records) == 3


def test_workers_of_other_tables_are_no_company(company, caplog) -> None:
    stranger = Main("m", slots=4, tables=("lab.Other",))
    look(company, 0.0, stranger)
    look(company, LONELY_S, stranger)
    assert "workers run, but without these tables" in caplog.text


def test_a_worker_that_comes_back_ends_it(company, caplog) -> None:
    look(company, 0.0)
    look(company, LONELY_S - 1, Main("m", slots=4, tables=("lab.Detection",)))
    look(company, LONELY_S + 1)
    assert caplog.text == ""
