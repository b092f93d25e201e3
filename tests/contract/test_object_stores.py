from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore
from pydantic import SecretStr

from djq.errors import StorageError, StoreUnavailableError
from djq.settings import StoreSettings
from djq.storage import bucket, clouds, relay
from djq.storage.bucket import BucketStore
from djq.storage.client import CloudClient
from djq.storage.content import ContentStore
from djq.storage.filesystem import FolderStore
from djq.storage.open import open_store
from tests.support.object_store_contract import ObjectStoreContract, paths
from tests.support.s3 import s3_server
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from djq.storage.base import ObjectStore


class TestFolder(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FolderStore(tmp_path / "not yet" / "there")


class TestBucketInMemory(ObjectStoreContract):
    """What the clouds have in common, without any server's own ways."""

    @pytest.fixture
    def store(self) -> ObjectStore:
        client = CloudClient(MemoryStore(), "memory")
        return BucketStore(client, client, "memory")


class TestFsspecInMemory(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        url = f"memory://{secrets.token_hex(4)}/store"
        return open_store("raw", StoreSettings(url=url)).store


class TestFsspecOnDisk(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return open_store("raw", StoreSettings(url=f"local://{tmp_path}/not yet/there")).store


class TestAzure(ObjectStoreContract):
    @pytest.fixture
    def store(self, azure_settings: StoreSettings) -> Iterator[ObjectStore]:
        store = open_store("raw", azure_settings).store
        yield store
        # pytest keeps fixtures longer than the check for open connections lasts.
        del store._client


class TestS3(ObjectStoreContract):
    @pytest.fixture
    def store(self, s3_settings: StoreSettings) -> Iterator[ObjectStore]:
        store = open_store("raw", s3_settings).store
        yield store
        # pytest keeps fixtures longer than the check for open connections lasts.
        del store._client

    def test_a_server_that_is_away_is_unavailable_and_may_come_back(
        self, s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
    ):
        impatient = clouds.RETRIES | {"retry_timeout": timedelta(seconds=0.5)}
        monkeypatch.setattr(clouds, "RETRIES", impatient)
        store = open_store("raw", s3_settings).store
        content = ContentStore("raw", store)
        kept = content.put(b"kept")
        server = s3_server()
        server.kill()
        for ask in (
            lambda: store.put("a", b"1"),
            lambda: store.get("a"),
            lambda: store.get_range("a", 0, 1),
            lambda: list(store.iterate("a")),
            lambda: store.stat("a"),
            lambda: store.delete("a"),
            lambda: list(store.list()),
            lambda: content.put(b"new"),
            lambda: content.get(kept),
        ):
            with pytest.raises(StoreUnavailableError, match="did not answer"):
                ask()
        server.start()
        assert content.get(kept) == b"kept"
        new = wait_until(lambda: _try(lambda: content.put(b"new")), timeout_s=60)
        assert content.get(new) == b"new"
        del store._client

    @pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
    def test_wrong_credentials_are_refused_at_once(self, s3_settings: StoreSettings, wrong: str):
        settings = s3_settings.model_copy(update={wrong: SecretStr("wrong-secret")})
        content = open_store("raw", settings)
        for ask in requests(content):
            with pytest.raises(StorageError, match="check its credentials") as caught:
                ask()
            assert type(caught.value) is StorageError
            assert "wrong-secret" not in str(caught.value)
        del content.store._client

    def test_a_machine_without_credentials_is_refused_at_once(
        self, s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
    ):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        # It stands in for the machine, too, and has none to give.
        machine = {"metadata_endpoint": SecretStr(str(s3_settings.endpoint))}
        update = {"access_key": None, "secret_key": None, "options": machine}
        content = open_store("raw", s3_settings.model_copy(update=update))
        for ask in requests(content):
            with pytest.raises(StorageError, match="there are no credentials: set them") as caught:
                ask()
            assert type(caught.value) is StorageError
        del content.store._client

    def test_a_missing_bucket_is_told_at_once(self, s3_settings: StoreSettings):
        settings = s3_settings.model_copy(update={"url": f"s3://none-{secrets.token_hex(4)}/a"})
        content = open_store("raw", settings)
        for ask in (
            lambda: content.put(b"1"),
            lambda: content.store.get("a"),
            lambda: list(content.store.list()),
        ):
            with pytest.raises(
                StorageError, match="the bucket does not exist: create it"
            ) as caught:
                ask()
            assert type(caught.value) is StorageError
        del content.store._client

    def test_a_bucket_prefix_separates_stores(self, store: ObjectStore, s3_settings: StoreSettings):
        inner = s3_settings.model_copy(update={"url": f"{s3_settings.url}/inner/"})
        open_store("raw", inner).store.put("a", b"1")
        assert paths(store) == ["inner/a"]


class TestS3ThroughARelay(TestS3):
    """As a process sees it that was forked from one that had used the client."""

    @pytest.fixture(autouse=True)
    def forked(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(bucket, "has_client", lambda: False)
        yield
        relay.end()

    def test_a_server_that_is_away_is_unavailable_and_may_come_back(
        self, s3_settings: StoreSettings
    ):
        # Each as patient as a relay is, and all at once.
        content = open_store("raw", s3_settings)
        content.store.put("a", b"1")
        server = s3_server()
        server.kill()
        asks = requests(content)
        with ThreadPoolExecutor(len(asks)) as threads:
            for asked in [threads.submit(ask) for ask in asks]:
                with pytest.raises(StoreUnavailableError, match="did not answer"):
                    asked.result()
        server.start()
        assert wait_until(lambda: _try(lambda: content.store.get("a")), timeout_s=60) == b"1"
        del content.store._client


def requests(content: ContentStore) -> list[Callable[[], object]]:
    """Return one of each kind that a store may refuse."""
    store = content.store
    return [
        lambda: content.put(b"1"),
        lambda: store.put("a", b"1"),
        lambda: store.get("a"),
        lambda: store.get_range("a", 0, 1),
        lambda: store.stat("a"),
        lambda: store.delete("a"),
        lambda: list(store.list()),
    ]


def _try(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except StoreUnavailableError:
        return None
