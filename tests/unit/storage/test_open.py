from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from djq.errors import ConfigError
from djq.settings import StoreSettings
from djq.storage import open as opening
from djq.storage.bucket import BucketStore
from djq.storage.filesystem import FolderStore
from djq.storage.open import open_store


def folder(url: str) -> Path:
    store = open_store("raw", StoreSettings(url=url)).store
    assert isinstance(store, FolderStore)
    return store.root


def test_a_folder_is_named_by_a_path_or_a_url(tmp_path: Path):
    assert folder("/data/raw") == Path("/data/raw")
    assert folder("data/raw") == tmp_path / "data/raw"
    assert folder("~/raw") == Path.home() / "raw"
    assert folder("file:///data/raw%20files") == Path("/data/raw files")
    assert folder("file://localhost/data") == Path("/data")


def test_a_bucket_is_named_by_a_url():
    store = open_store("raw", StoreSettings(url="s3://lab-data/raw/")).store
    assert isinstance(store, BucketStore)
    assert repr(store) == "BucketStore('s3://lab-data/raw')"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "ftp://host/a"}, 'unknown scheme "ftp"'),
        ({"url": "file://host/a"}, "three slashes"),
        ({"url": "file://"}, "three slashes"),
        ({"url": "s3:///a"}, "s3://bucket/prefix"),
        ({"url": "s3://bucket/a?x=1"}, "s3://bucket/prefix"),
        ({"url": "s3://key:secret@bucket/a"}, "s3://bucket/prefix"),
        ({"url": "s3://bucket", "access_key": "a"}, "both access_key and secret_key"),
    ],
)
def test_wrong_settings_are_refused_when_the_store_is_opened(settings: dict, words: str):
    with pytest.raises(ConfigError, match='store "raw"') as caught:
        open_store("raw", StoreSettings(**settings))
    assert words in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_a_client_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(opening._SCHEMES, "s3", "djq_no_such_module:open_bucket")
    with pytest.raises(ConfigError, match=r"djq_no_such_module: pip install 'djq\[s3\]'"):
        open_store("raw", StoreSettings(url="s3://bucket/prefix"))


def test_a_folder_store_loads_no_s3_client():
    code = (
        "import sys; from djq.settings import StoreSettings; "
        "from djq.storage.open import open_store; "
        "open_store('raw', StoreSettings(url='/tmp/x')); sys.exit('obstore' in sys.modules)"
    )
    root = str(Path(__file__).parents[3])
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, check=True)
