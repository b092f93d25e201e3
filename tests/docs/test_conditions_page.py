"""The examples of the page on conditions run, on every database."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "conditions.md"


def test_the_examples_run(schema):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    code = "\n".join(blocks).replace('dj.Schema("lab")', "SCHEMA")

    exec(compile(code, str(PAGE), "exec"), {"SCHEMA": schema, "__name__": "lab"})

    assert len(blocks) == 6
