"""What the documentation shows runs, and what exists is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import djq
from djq.ops.cli import VERBS
from djq.settings import Settings, StoreSettings
from djq.storage.collecting import MARGIN
from djq.storage.content import FRESH

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_the_pipeline_of_the_readme_runs_and_a_second_time_finds_nothing_to_do(tmp_path: Path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (pipeline,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    (tmp_path / "lab.py").write_text(pipeline, encoding="utf-8")

    first = _run_python("lab.py", tmp_path)
    second = _run_python("lab.py", tmp_path)

    assert len([line for line in pipeline.splitlines() if line.strip()]) <= 30
    assert "lab.Spikes [100%] 20/20" in first
    assert re.search(r"^\*session +n_spikes$", first, flags=re.MULTILINE)
    assert first.splitlines()[-4:] == second.splitlines()[-4:]


def _run_python(script: str, folder: Path) -> str:
    found = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str):
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"DJQ_{name.upper()}" in page


@pytest.mark.parametrize("name", sorted(StoreSettings.model_fields))
def test_every_setting_of_a_store_is_documented(name: str):
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"__{name.upper()}" in page


@pytest.mark.parametrize("name", sorted(djq.__all__))
def test_every_public_name_is_documented(name: str):
    assert re.search(rf"\bdj\.{name}\b", TEXT), f"dj.{name} is in no page of the documentation"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_documented(verb: str):
    assert f"djq {verb}" in TEXT


def test_the_shortest_grace_period_is_the_one_that_is_documented():
    minutes = (FRESH + MARGIN) // timedelta(minutes=1)
    assert f"more than {minutes} minutes" in (ROOT / "docs" / "garbage.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_within_the_repository_lead_somewhere(page: Path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
