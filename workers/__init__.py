"""The entry point of Celery: `celery -A workers worker`, `celery -A workers flower`.

The app is built from the settings when Celery first asks for it, so that importing this package
reads no environment and opens nothing.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from djq.config import load
from djq.orchestrator.app import worker_app

if TYPE_CHECKING:
    from djq.orchestrator.app import FleetApp


@cache
def _app() -> FleetApp:
    return worker_app(load())


def __getattr__(name: str) -> FleetApp:
    if name == "app":
        return _app()
    message = f"module 'workers' has no attribute {name!r}"
    raise AttributeError(message)
