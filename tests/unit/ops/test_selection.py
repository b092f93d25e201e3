from __future__ import annotations

import pytest

from djq.errors import ConfigError
from djq.ops.selection import read_settings, split


@pytest.mark.parametrize(
    ("names", "modules", "tables"),
    [
        (["lab.pipeline"], ["lab.pipeline"], []),
        (["lab.pipeline", "Spikes"], ["lab.pipeline"], ["Spikes"]),
        (["lab.Spikes", "lab"], ["lab"], ["lab.Spikes"]),
        (["Lab.pipeline"], ["Lab.pipeline"], []),
    ],
)
def test_a_name_whose_last_part_is_capitalised_is_a_table(names, modules, tables):
    assert split(names) == (tuple(modules), tuple(tables))


def test_modules_on_the_command_line_win_over_the_settings(monkeypatch):
    monkeypatch.setenv("DJQ_PIPELINE", "from.settings")

    assert read_settings([]).pipeline == ("from.settings",)
    assert read_settings(["lab"]).pipeline == ("lab",)


def test_without_any_module_the_message_says_how_to_name_one():
    with pytest.raises(ConfigError, match=r"djq worker mylab\.pipeline.*DJQ_PIPELINE"):
        read_settings([])
