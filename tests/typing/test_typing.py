"""What mypy and pyright, both strict, see of a user's pipeline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
RIGHT, WRONG = HERE / "pipeline.py", HERE / "wrong.py"
#: Of all modules; what is left are classes of libraries without types.
COMPLETE = 0.95


def mypy(cache):
    """Return file names and lines of mypy's errors, and all it says."""
    options = ["--strict", "--show-absolute-path", "--cache-dir", str(cache)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(RIGHT), str(WRONG)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    found = re.findall(r"^(.*?):(\d+): error", done.stdout, flags=re.MULTILINE)
    return {(Path(f).name, int(n)) for f, n in found}, done.stdout + done.stderr


def pyright(_):
    """Return file names and lines of pyright's errors, and all it says."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", str(RIGHT), str(WRONG)],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    told = json.loads(done.stdout)["generalDiagnostics"]
    errors = [d for d in told if d["severity"] == "error"]
    return {(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in errors}, done.stdout


@pytest.mark.parametrize("check", [mypy, pyright])
def test_checkers_accept_a_pipeline_and_refuse_each_wrong_call(check, tmp_path):
    lines = WRONG.read_text().splitlines()
    refused = {(WRONG.name, i) for i, line in enumerate(lines, 1) if line.endswith("# refused")}

    errors, said = check(tmp_path)

    assert errors == refused, said


def verified(tmp_path):
    """Return what pyright says of the types of djq's public names."""
    arguments = ["--pythonpath", sys.executable, "--verifytypes", "djq", "--ignoreexternal"]
    done = subprocess.run(
        [sys.executable, "-m", "pyright", *arguments, "--outputjson"],
        cwd=tmp_path,  # the settings of the checkout are not those of users
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    return json.loads(done.stdout)["typeCompleteness"]


def test_types_of_the_public_names_are_complete(tmp_path):
    found = verified(tmp_path)

    unknown = [s for s in found["symbols"] if s["isExported"] and not s["isTypeKnown"]]
    public = [s["name"] for s in unknown if s["name"].count(".") == 1]
    assert found["exportedSymbolCounts"]["withKnownType"] > 2_000
    assert not public, unknown
    assert found["completenessScore"] > COMPLETE
