"""Which stores that are not set are a folder of this machine."""

from __future__ import annotations

import pytest

from djq.errors import ConfigError
from djq.settings import StoreSettings, load


def test_a_store_that_is_not_set_is_a_folder_in_the_state_dir(tmp_path):
    found = load(state_dir=tmp_path).store("raw_2")
    assert found.url == str(tmp_path / "stores" / "raw_2")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../..", "/tmp/x", "a/b", "a\\b", "\0", "a\n", "1a", "_a", "ä", "C:"]
)
def test_a_store_of_another_name_than_definitions_have_is_no_folder(tmp_path, name):
    with pytest.raises(ConfigError, match=r"is not the name of a store: letters, digits and"):
        load(state_dir=tmp_path).store(name)


def test_a_store_that_is_set_may_have_any_name(tmp_path):
    settings = load(stores={"raw-2": {"url": str(tmp_path)}})
    assert settings.store("raw-2") == StoreSettings(url=str(tmp_path))
