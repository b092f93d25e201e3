"""A run says when nobody can do its work, and what to do then."""

from __future__ import annotations

import logging
import sys
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


@pytest.mark.parametrize(
    ("main", "name"),
    [
        (SimpleNamespace(__spec__=None, __file__="/home/ada/lab.py"), "lab"),
        (SimpleNamespace(__spec__=SimpleNamespace(name="mylab.rig")), "mylab.rig"),
        (SimpleNamespace(__spec__=None), "MODULE"),
    ],
    ids=["a script", "python -m", "a notebook"],
)
def test_tables_of_the_main_program_are_named_as_a_worker_imports_them(
    monkeypatch, caplog, main, name
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", main)
    company = Company({"lab.Detection": SimpleNamespace(__module__="__main__")})
    look(company, 0.0)
    look(company, LONELY_S)
    assert f'"djq worker {name}"' in caplog.text
