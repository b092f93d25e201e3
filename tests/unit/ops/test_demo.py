from __future__ import annotations

import pytest

from djq.errors import ConfigError, FleetError
from djq.ops import demo
from djq.ops.embedded import locked


def test_the_demo_uses_nothing_that_is_configured_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("DJQ_DATABASE_URL", "mysql://precious@db")
    monkeypatch.setenv("DJQ_REDIS_URL", "redis://precious")
    (tmp_path / "djq.toml").write_text('namespace = "precious"')

    settings = demo.settings(tmp_path / "demo")

    assert "precious" not in repr(settings.model_dump())
    assert settings.resolved_database_url == f"sqlite:///{tmp_path / 'demo/.djq/pipeline.sqlite'}"


def test_an_earlier_demo_is_removed_and_told(tmp_path):
    state = tmp_path / ".djq"
    assert not demo.make_empty(state)
    (state / "pipeline.sqlite").touch()

    assert demo.make_empty(state)

    assert [path.name for path in state.iterdir()] == [demo.MARKER]


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path):
    precious = tmp_path / ".djq" / "pipeline.sqlite"
    precious.parent.mkdir()
    precious.touch()

    with pytest.raises(ConfigError, match="not a demo's"):
        demo.make_empty(precious.parent)

    assert precious.exists()


def test_a_running_demo_is_not_pulled_from_under(tmp_path):
    demo.make_empty(tmp_path)
    (tmp_path / "pipeline.sqlite").touch()

    with locked(tmp_path), pytest.raises(FleetError, match="already runs"):
        demo.make_empty(tmp_path)

    assert (tmp_path / "pipeline.sqlite").exists()
