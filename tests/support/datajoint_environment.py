"""DataJoint for Python in an environment of its own, and scripts that run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The release whose databases djq opens, and which opens djq's.
REQUIREMENT = "datajoint==2.3.5"
#: Names a Python that has it already.
PYTHON = "DJQ_TEST_DATAJOINT_PYTHON"
#: The definitions that both libraries declare.
PIPELINE = Path(__file__).parents[1] / "integration" / "pipelines" / "whole_language.py"
#: Installing from a slow package index, or a script, takes no longer than this [s].
INSTALL_S, SCRIPT_S = 600.0, 120.0

#: What every script begins with: `dj`, `given` (the input) and `pipeline` (the definitions).
_BEGIN = """
import importlib.util, json, logging, os, sys, warnings
warnings.simplefilter("ignore")
import datajoint as dj
given = json.load(sys.stdin)
for name, value in given.pop("config").items():
    dj.config[name] = value
dj.logger.setLevel(logging.ERROR)
module = importlib.util.spec_from_file_location("whole_language", given.pop("pipeline"))
pipeline = importlib.util.module_from_spec(module)
sys.modules["whole_language"] = pipeline
module.loader.exec_module(pipeline)
found = None
"""
_END = """
print()
print(json.dumps(found))
"""


class MissingDataJointError(Exception):
    """DataJoint cannot be installed on this machine."""


@dataclass(frozen=True)
class DataJoint:
    """A Python with DataJoint, and the server that its scripts use."""

    python: Path
    url: str

    def run(self, script: str, **given: object) -> Any:
        """Run a script that assigns `found`; return it. Input and result are JSON.

        Raises
        ------
        AssertionError
            The script failed; the message is what it wrote.
        """
        address = sa.make_url(self.url)
        config = {
            "database.host": address.host,
            "database.port": address.port or 3306,
            "database.user": address.username or "root",
            "database.password": address.password or "",
            "database.use_tls": False,
            "safemode": False,
        }
        done = subprocess.run(
            [self.python, "-c", f"{_BEGIN}\n{script}\n{_END}"],
            input=json.dumps({**given, "config": config, "pipeline": str(PIPELINE)}),
            capture_output=True,
            text=True,
            timeout=SCRIPT_S,
            check=False,
        )
        assert done.returncode == 0, f"DataJoint: {done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        return json.loads(done.stdout.splitlines()[-1])


def install(folder: Path) -> Path:
    """Return a Python that has DataJoint, installed into `folder` from the package index.

    Raises
    ------
    MissingDataJointError
        There is no index, or no such release.
    """
    if PYTHON in os.environ:
        return Path(os.environ[PYTHON])
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    if uv is not None:
        _do([uv, "venv", "--python", sys.executable, folder])
        _do([uv, "pip", "install", "--python", python, REQUIREMENT])
    else:
        _do([sys.executable, "-m", "venv", folder])
        _do([python, "-m", "pip", "install", "--quiet", REQUIREMENT])
    return python


def _do(command: Sequence[str | Path]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        why = (getattr(error, "stderr", "") or str(error)).strip()
        message = f"{REQUIREMENT} cannot be installed: {why[-500:]}"
        raise MissingDataJointError(message) from error
