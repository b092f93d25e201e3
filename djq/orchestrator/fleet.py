"""`fleet.toml`: queues, the workers that take from them, and what is limited across the fleet."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from djq.errors import ConfigError
from djq.hints import suggest
from djq.orchestrator.states import DEFAULT_QUEUE
from djq.settings import find_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from djq.settings import Settings

FILE_NAME = "fleet.toml"
#: Where a project keeps it, seen from the folder of its `djq.toml`.
PLACES = (FILE_NAME, f"workers/{FILE_NAME}")
#: SIGTERM: a key that runs may go on for so long [s].
GRACE_S = 30.0

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def _bytes(value: object) -> object:
    """Accept "8 GB" beside a number of bytes."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", value.strip())
    if found is None or found[2].upper() not in _UNITS:
        message = 'write a size such as "8 GB", "512 MiB" or a number of bytes'
        raise ValueError(message)
    return int(float(found[1]) * _UNITS[found[2].upper()])


_Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
_Name = Annotated[str, Field(pattern=_NAME)]


class QueuePlan(BaseModel):
    """One queue, and the kind of worker that takes from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: Literal["prefork", "threads", "solo"] = "prefork"
    #: Slots of a worker; None: one per processor.
    concurrency: Annotated[int, Field(ge=1)] | None = None
    #: What one slot has; None: enough for anything.
    cpu: Annotated[float, Field(gt=0)] | None = None
    memory: _Bytes | None = None
    gpu: Annotated[int, Field(ge=0)] = 0
    tags: tuple[_Name, ...] = ()
    #: A pool process is replaced after so many chunks, or when it has grown beyond so many bytes.
    max_tasks: Annotated[int, Field(ge=1)] | None = None
    max_memory: _Bytes | None = None
    #: SIGTERM: a key that runs may go on for so long, then it goes back [s].
    grace_s: Annotated[float, Field(ge=0)] = GRACE_S

    def shown(self) -> str:
        """Return what a slot has, in words."""
        has = [f"gpu={self.gpu}"] if self.gpu else []
        has += [f"cpu={self.cpu:g}"] if self.cpu is not None else []
        has += [f"memory={self.memory:,} bytes"] if self.memory is not None else []
        has += [f"tags {', '.join(self.tags)}"] if self.tags else []
        return ", ".join(has) or "no gpu, no tags"


class FleetPlan(BaseModel):
    """All queues, in order of preference, and how many units there are of what is scarce."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: dict[_Name, QueuePlan] = Field(default_factory=lambda: {DEFAULT_QUEUE: QueuePlan()})
    limits: dict[_Name, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    #: The file that it is from; None: there is none, and queues may have any names.
    source: Path | None = Field(default=None, exclude=True)

    @property
    def default_queue(self) -> str:
        """The queue of workers that name none."""
        return DEFAULT_QUEUE if DEFAULT_QUEUE in self.queues else next(iter(self.queues))

    def queue(self, name: str) -> QueuePlan:
        """Return the plan of a queue; one that no file knows has the defaults.

        Raises
        ------
        ConfigError
            There is a file, and the queue is not in it.
        """
        if name in self.queues:
            return self.queues[name]
        if self.source is None:
            return QueuePlan()
        message = f'{self.source} has no queue "{name}". {suggest(name, sorted(self.queues))}'
        raise ConfigError(message)

    def shown(self) -> str:
        """Return the queues and what they have, in words."""
        return "; ".join(f"{name} ({queue.shown()})" for name, queue in self.queues.items())


def load_fleet(settings: Settings) -> FleetPlan:
    """Return the fleet of `DJQ_FLEET_FILE`, else of the project's file, else one queue.

    Raises
    ------
    ConfigError
        The file is missing or wrong; the message names each place.
    """
    path = _find(settings)
    if path is None:
        return FleetPlan()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"cannot read {path}: {error}"
        raise ConfigError(message) from error
    return read_fleet(found, path)


def read_fleet(found: Mapping[str, Any], source: Path) -> FleetPlan:
    """Return the fleet that a file describes.

    Raises
    ------
    ConfigError
        A name is unknown or a value is wrong.
    """
    if found.get("queues") == {}:
        found = {name: value for name, value in found.items() if name != "queues"}
    try:
        return FleetPlan.model_validate({**found, "source": source})
    except ValidationError as error:
        message = f"wrong settings in {source}:\n  " + "\n  ".join(_lines(error))
        raise ConfigError(message) from error


def _find(settings: Settings) -> Path | None:
    if settings.fleet_file is not None:
        return settings.fleet_file
    folder = (find_file() or Path.cwd() / FILE_NAME).parent
    return next((folder / place for place in PLACES if (folder / place).is_file()), None)


def _lines(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in item["loc"] if part != "[key]"]
        if item["type"] == "extra_forbidden":
            known = QueuePlan.model_fields if path[0] == "queues" else ("queues", "limits")
            yield f"{'.'.join(path)}: there is no such setting. {suggest(path[-1], sorted(known))}"
        else:
            text = item["msg"].removeprefix("Value error, ")
            yield f"{'.'.join(path)}: {text}, not {item['input']!r}"
