from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from djq.errors import ConfigError
from djq.settings import StoreSettings
from djq.storage import open as opening
from djq.storage.bucket import BucketStore
from djq.storage.filesystem import FolderStore
from djq.storage.fsspec import FsspecStore
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


GOOGLE_KEY = json.dumps(
    {"client_email": "lab@x", "private_key": "", "private_key_id": "", "disable_oauth": True}
)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"url": "gs://lab/raw/"}, "gs://lab/raw"),
        (
            {"url": "gs://lab", "endpoint": "http://here:1", "options": {"skip_signature": True}},
            "gs://lab",
        ),
        ({"url": "GS://lab", "options": {"service_account_key": GOOGLE_KEY}}, "gs://lab"),
        (
            {"url": "az://box/a", "options": {"account_name": "lab", "account_key": "a2V5"}},
            "az://box/a",
        ),
        ({"url": "abfs://box", "options": {"account_name": "lab", "sas_key": "a=b"}}, "abfs://box"),
        ({"url": "abfss://box@lab.dfs.core.windows.net/a/b"}, "abfss://box/a/b"),
        (
            {"url": "s3://lab", "options": {"token": "t", "virtual_hosted_style_request": True}},
            "s3://lab",
        ),
    ],
)
def test_other_clouds_are_named_by_their_urls(settings: dict, address: str):
    store = open_store("raw", StoreSettings(**settings)).store
    assert repr(store) == f"BucketStore({address!r})"


def test_the_account_of_azure_may_stand_in_the_url():
    url = "abfss://box@lab.dfs.core.windows.net/a"
    store = open_store("raw", StoreSettings(url=url)).store
    assert isinstance(store, BucketStore)
    assert store._client.cloud.config["account_name"] == "lab"
    assert store._client.cloud.config["container_name"] == "box"
    assert store._client.cloud.prefix == "a"


def test_a_bucket_is_asked_by_more_threads_than_a_folder(tmp_path: Path):
    assert open_store("raw", StoreSettings(url="s3://lab")).n_threads == 8
    assert open_store("raw", StoreSettings(url=str(tmp_path))).n_threads == 4


def test_other_file_systems_are_those_of_fsspec(tmp_path: Path):
    store = open_store("raw", StoreSettings(url=f"local://{tmp_path}/a/")).store
    assert repr(store) == f"FsspecStore('local://{tmp_path}/a')"
    # Nothing is asked of it yet.
    remote = open_store("raw", StoreSettings(url="ftp://user@host.invalid:21/a")).store
    assert repr(remote) == "FsspecStore('ftp://user@host.invalid:21/a')"


def test_options_of_a_file_system_reach_it(tmp_path: Path):
    settings = StoreSettings(url=f"local://{tmp_path}", options={"nonsense": "hunter2", "n": 1})
    store = open_store("raw", settings).store
    assert isinstance(store, FsspecStore)
    assert store._files().storage_options["nonsense"] == "hunter2"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "nonsense://host/a"}, "Protocol not known: nonsense"),
        ({"url": "ftp://me:secret@host/a"}, 'set it as password in "options"'),
        ({"url": "memory://a", "access_key": "k"}, "access_key is for S3 only"),
        ({"url": "memory://a", "endpoint": "http://x"}, "endpoint is for S3 only"),
        ({"url": "gs://b", "secret_key": "k"}, "secret_key is for S3 only; set service_account"),
        ({"url": "az://b", "region": "eu"}, "region is for S3 only; set account_name"),
        ({"url": "gs://b", "options": {"nonsense": "secret@"}}, "nonsense"),
        ({"url": "gs://b", "options": {"service_account_key": "secret@"}}, 'store "raw"'),
        ({"url": "az://key@box/a"}, "az://bucket/prefix"),
        ({"url": "az://box", "options": {"account_name": "a", "account_key": "secret@"}}, "…"),
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
    with pytest.raises(ConfigError, match=r"djq_no_such_module: pip install 'djq'"):
        open_store("raw", StoreSettings(url="s3://bucket/prefix"))


def test_a_folder_store_loads_no_s3_client():
    code = (
        "import sys; from djq.settings import StoreSettings; "
        "from djq.storage.open import open_store; "
        "open_store('raw', StoreSettings(url='/tmp/x')); sys.exit('obstore' in sys.modules)"
    )
    root = str(Path(__file__).parents[3])
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, check=True)


def test_a_scheme_that_needs_fsspec_says_so_and_what_there_is_without(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "djq.storage.fsspec", None)
    with pytest.raises(
        ConfigError, match=r"pip install 'djq\[fsspec\]'; without it there are file:"
    ):
        open_store("raw", StoreSettings(url="s4://bucket"))
