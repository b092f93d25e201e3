"""`populate(processes=N)` of a process whose bucket's client would not survive a fork."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from djq.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from djq.settings import Settings, StoreSettings
    from tests.support.processes import Process

IMPORT = """
import numpy as np
from tests.integration.pipelines.waves import Power, Wave
"""
INSERT = "Wave.insert((i, np.full(4, i)) for i in range(6))\n"
POPULATE = "print(Power.populate(processes=2), Power.to_arrays('power', order_by='wave'))\n"
#: A table without a module.
HERE = """
import djq as dj
from tests.integration.pipelines.waves import schema

@schema
class Length(dj.Computed):
    definition = "-> Wave"

    def make(self, key):
        self.insert1(key)

Length.populate(processes=2)
"""
UP_S = 90


@pytest.fixture
def settings(s3_settings: StoreSettings, tmp_path: Path) -> Settings:
    return load(
        database_url=f"sqlite:///{tmp_path}/waves.sqlite",
        state_dir=tmp_path / ".djq",
        stores={"raw": s3_settings},
    )


def test_a_script_that_has_used_a_bucket_populates_in_processes(
    settings: Settings, start_process: Callable[..., Process], tmp_path: Path
):
    script = tmp_path / "script.py"
    body = (INSERT + POPULATE).replace("\n", "\n    ")
    script.write_text(f'{IMPORT}\nif __name__ == "__main__":\n    {body}')
    process = start_process(script, settings=settings)
    assert process.wait(UP_S) == 0, process.text()
    assert "{'success_count': 6, 'error_list': []} [  0   4  16  36  64 100]" in process.text()


def test_a_script_whose_import_does_all_again_is_told_what_to_do(
    settings: Settings, start_process: Callable[..., Process], tmp_path: Path
):
    script = tmp_path / "script.py"
    script.write_text(IMPORT + INSERT + POPULATE)
    process = start_process(script, settings=settings)
    assert process.wait(UP_S) == 1
    assert "DuplicateError" in process.text()
    assert 'put what that does below  if __name__ == "__main__":' in process.text()


def test_a_table_of_an_interactive_session_is_refused_with_what_to_do(
    settings: Settings, start_process: Callable[..., Process]
):
    process = start_process("-c", IMPORT + INSERT + HERE, settings=settings)
    assert process.wait(UP_S) == 1
    assert "since this process has used a bucket" in process.text()
    assert "cannot import __main__.Length" in process.text()
    assert "Define the table at the top of a module, or populate with processes=1" in process.text()
