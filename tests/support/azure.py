"""A private Azure server (Azurite), where `azurite-blob` is on the PATH: npm install -g azurite."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import hmac
import secrets
import shutil
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from djq.settings import StoreSettings
from tests.support.processes import session
from tests.support.servers import HOST, MissingServerError, Server

if TYPE_CHECKING:
    from pathlib import Path

CONTAINER = "djq-test"
#: What each Azurite has, as its documentation says.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"


class AzureServer(Server):
    """Azurite's blob service with one container.

    Parameters
    ----------
    folder
        An existing folder for its data and log.
    """

    name = "azure"

    def __init__(self, folder: Path) -> None:
        command = shutil.which("azurite-blob")
        if command is None:
            message = "azurite-blob is not installed: npm install -g azurite"
            raise MissingServerError(message)
        self._command = command
        super().__init__(folder)

    @property
    def endpoint(self) -> str:
        """The address of its account."""
        return f"http://{HOST}:{self.port}/{ACCOUNT}"

    def settings(self, prefix: str) -> StoreSettings:
        """Return the settings of a store in its container."""
        return StoreSettings(
            url=f"az://{CONTAINER}/{prefix}",
            endpoint=self.endpoint,
            options={"account_name": SecretStr(ACCOUNT), "account_key": SecretStr(KEY)},
        )

    def _argv(self) -> list[str]:
        return [
            self._command,
            f"--blobHost={HOST}",
            f"--blobPort={self.port}",
            f"--location={self._folder}",
            "--silent",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self._new_container(), timeout=5) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            # It is there already.
            return error.code == 409
        except OSError:
            return False
        return True

    def _new_container(self) -> urllib.request.Request:
        """Return the request for a container, signed as Azure's documentation says."""
        date = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": _VERSION}
        place = f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
        lines = "PUT" + "\n" * 12 + "".join(f"{n}:{v}\n" for n, v in headers.items()) + place
        signed = hmac.new(base64.b64decode(KEY), lines.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
        url = f"{self.endpoint}/{CONTAINER}?restype=container"
        return urllib.request.Request(url, headers=headers, method="PUT")


@functools.cache
def azure_server() -> AzureServer:
    """Start the session's server, or return it; the session's end kills it."""
    server = AzureServer(session().folder)
    server.start()
    return server


@pytest.fixture
def azure_settings() -> StoreSettings:
    """Settings of an empty store on an Azurite; skips without one, which no lock file brings."""
    try:
        server = azure_server()
    except MissingServerError as error:
        pytest.skip(str(error))
    return server.settings(secrets.token_hex(4))
