"""The version of a table's code changes with what makes its rows, and only then."""

from __future__ import annotations

import importlib
import itertools
import sys

import pytest

from djq.populate.version import code_version

_NUMBERS = itertools.count()

#: A package of two modules; each mark in it is replaced by a test.
MAIN = '''
import functools

import numpy as np
import djq as dj

from {package} import helpers
from {package}.helpers import LIMIT, scaled


FACTORS = [1, 2]


class Base:
    """What steps have in common."""

    offset = 3
    names = ["a"]
    unused = 1

    def begin(self, key):
        return key


class Filter:
    """A class of one's own, used as a whole."""

    def run(self, value):
        return value + 1

    def twice(self, value):
        return self.run(self.run(value))


def noisy(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args)
    return call


class Step(Base):
    """What it is."""

    definition = "n : int32"

    class Piece(dj.Part):
        def cut(self, value):
            return value - 1

        def shown(self):
            return "nobody asks"

    @noisy
    def make(self, key):
        # why
        key = self.begin(key)
        value = scaled(key["a"]) + self.offset + LIMIT + FACTORS[0] + len(self.names)
        value += helpers.squared(value) + self.root(value) + np.mean([1.0])
        return Filter().twice(self.Piece().cut(value))

    def begin(self, key):
        return super().begin(key)

    @staticmethod
    def root(value):
        from .late import halved
        return halved(value)

    def plot(self):
        return "not reached"
'''
HELPERS = '''
LIMIT = 10
OTHER = 20


def scaled(value):
    """Scale."""
    return value * _factor()


@__import__("functools").lru_cache
def _factor():
    return 2


def squared(value):
    return value ** 2


def unused(value):
    return value
'''
LATE = """
def halved(value):
    return value / 2
"""


@pytest.fixture
def version(tmp_path, monkeypatch):
    """Return the version of `Step` in a new package, some words of which are replaced."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def version(*changes):
        package = f"version_{next(_NUMBERS)}"
        made.append(package)
        texts = {"__init__": "", "main": MAIN, "helpers": HELPERS, "late": LATE}
        for old, new in changes:
            assert any(old in text for text in texts.values())
            texts = {name: text.replace(old, new) for name, text in texts.items()}
        (tmp_path / package).mkdir()
        for name, text in texts.items():
            file = tmp_path / package / f"{name}.py"
            file.write_text(text.replace("{package}", package), encoding="utf-8")
        return code_version(importlib.import_module(f"{package}.main").Step)

    yield version
    for name in list(sys.modules):
        if name.partition(".")[0] in made:
            del sys.modules[name]


@pytest.mark.parametrize(
    "change",
    [
        ("# why", "# because\n        # of this"),
        ("What it is.", "What it does."),
        ('"""Scale."""', '"""Scale it."""'),
        ('definition = "n : int32"', 'definition = "n : int64"'),
        ("not reached", "still not reached"),
        ("unused = 1", "unused = 2"),
        ("nobody asks", "nobody asked"),
        ("OTHER = 20", "OTHER = 30"),
        ("def unused(value):\n    return value", "def unused(value):\n    return -value"),
    ],
    ids=lambda change: change[0][:20],
)
def test_what_make_does_not_reach_does_not_count(version, change):
    assert version(change) == version()


@pytest.mark.parametrize(
    "change",
    [
        ('key["a"]', 'key["b"]'),
        ("return key\n", "return dict(key)\n"),
        ("return super().begin(key)", "return key"),
        ("offset = 3", "offset = 4"),
        ('names = ["a"]', 'names = ["b"]'),
        ("LIMIT = 10", "LIMIT = 11"),
        ("FACTORS = [1, 2]", "FACTORS = [2, 2]"),
        ("value * _factor()", "value + _factor()"),
        ("return 2\n", "return 3\n"),
        ("value ** 2", "value ** 3"),
        ("return value + 1", "return value + 2"),
        ("return function(*args)", "return -function(*args)"),
        ("value / 2", "value // 2"),
        ("return value - 1", "return value - 2"),
    ],
    ids=lambda change: change[0][:20],
)
def test_whatever_make_reaches_in_its_package_counts(version, change):
    assert version(change) != version()


def test_the_version_is_the_same_in_every_process_and_package(version):
    assert version() == version()
    assert len(version()) == 12


SOURCE = """
class Step:
    def make(self, key):
        return key["a"] + {constant} + helper()

def helper():
    return {other}
"""


def load(constant=1, other=1):
    scope = {"__name__": "__main__"}
    exec(SOURCE.format(constant=constant, other=other), scope)
    return scope["Step"]


def test_a_class_without_source_has_a_version_by_its_code():
    assert code_version(load()) == code_version(load())
    assert code_version(load()) != code_version(load(constant=2))
    assert code_version(load()) != code_version(load(other=2))


@pytest.mark.parametrize(
    "form", ["_make_tuples", "make_fetch", "make_compute", "make_insert", "make_many"]
)
def test_every_form_of_make_counts(form):
    def first(self, key):
        return 1

    def second(self, key):
        return 2

    assert code_version(type("A", (), {form: first, "__module__": __name__})) != code_version(
        type("A", (), {form: second, "__module__": __name__})
    )


def test_files_beside_a_single_file_belong_to_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for i, body in enumerate(["return 1", "return 2"]):
        (tmp_path / f"beside_{i}.py").write_text(f"def f():\n    {body}\n", encoding="utf-8")
        (tmp_path / f"alone_{i}.py").write_text(
            f"from beside_{i} import f\n\nclass Step:\n    def make(self, key):\n        f()\n",
            encoding="utf-8",
        )
        found.append(code_version(importlib.import_module(f"alone_{i}").Step))
        monkeypatch.delitem(sys.modules, f"beside_{i}")
        monkeypatch.delitem(sys.modules, f"alone_{i}")
    assert found[0] != found[1]
