"""Logs of the long-running verbs: one event per line, a word and its fields."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: What every record has; anything else in it is a field of the event.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "data"}
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LineFormatter(logging.Formatter):
    """`2026-11-22T21:00:00Z INFO djq.scheduler leading scheduler=s-1f2e`."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Append the event's fields."""
        fields = [f"{k}={v}" for k, v in vars(record).items() if k not in _STANDARD]
        return " ".join([super().formatMessage(record), *fields])


def configure(level: str, file: Path | None = None) -> None:
    """Send the logs of this process to `file`, or to standard error."""
    handler = logging.StreamHandler() if file is None else logging.FileHandler(file)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    # Celery says for each message that it came and what became of it; Flower shows that better.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))
