"""The version of a class's code changes with what it does, and only then."""

from __future__ import annotations

import importlib

import pytest

from djq.populate.version import code_version

SOURCE = '''
class Step:
    """What it is."""
    def make(self, key):
        # why
        return key["a"] + {constant}
'''


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a class of a new module with this text."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(name, text):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return importlib.import_module(name).Step

    return load


def test_comments_and_docstrings_do_not_count(load):
    text = SOURCE.format(constant=1)
    other = text.replace("# why", "# because").replace("What it is.", "What it does.")
    assert code_version(load("version_a", text)) == code_version(load("version_b", other))


def test_another_constant_is_another_version(load):
    first = load("version_c", SOURCE.format(constant=1))
    second = load("version_d", SOURCE.format(constant=2))
    assert code_version(first) != code_version(second)


def test_a_class_without_source_has_a_version_by_its_code():
    scope = {}
    exec(SOURCE.format(constant=1), scope)
    assert code_version(scope["Step"])
