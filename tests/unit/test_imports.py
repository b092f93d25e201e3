"""What `import djq` loads, and what it leaves for the layer that needs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import djq
from tests.support.processes import environment

HEAVY = (
    *("celery", "redis", "kombu", "sqlglot", "sqlalchemy", "pymysql", "blosc2", "msgpack"),
    *("obstore", "rich", "click", "pandas", "numpy", "pydantic", "flower", "prometheus_client"),
)


def loaded_by(statement):
    """Return the modules that a new interpreter holds after a statement."""
    script = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        timeout=60,
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_import_djq_loads_no_library():
    assert loaded_by("import djq").isdisjoint(HEAVY)


def test_tables_do_not_load_the_fleet():
    loaded = loaded_by("import djq; djq.Schema; djq.Computed")

    assert loaded.isdisjoint({"celery", "redis", "kombu", "obstore", "flower", "blosc2"})


@pytest.mark.parametrize("name", djq.__all__)
def test_every_public_name_is_there(name):
    assert getattr(djq, name) is not None


def test_public_names_are_listed_once():
    assert sorted(set(djq.__all__)) == sorted(djq.__all__)
    assert set(djq.__all__) <= set(dir(djq))
    with pytest.raises(AttributeError, match="no attribute 'Tabel'"):
        djq.Tabel  # noqa: B018 - asking is the test
