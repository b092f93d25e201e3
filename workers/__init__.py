"""The entry point of Celery: `celery -A workers worker`, `celery -A workers flower`.

The app is built from the settings when Celery first asks for it, so that importing this package
reads no environment and opens nothing.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from djq.errors import DjqError
from djq.orchestrator.app import worker_app
from djq.settings import load

if TYPE_CHECKING:
    from djq.orchestrator.app import FleetApp


#: Exit status, as of the `djq` command.
WRONG_SETTINGS = 2


@cache
def _app() -> FleetApp:
    try:
        return worker_app(load())
    except DjqError as error:
        # Celery would print two tracebacks around it; only an exit gets past that.
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise SystemExit(WRONG_SETTINGS) from error


def __getattr__(name: str) -> FleetApp:
    if name == "app":
        return _app()
    message = f"module 'workers' has no attribute {name!r}"
    raise AttributeError(message)
