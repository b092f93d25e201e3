"""Where the keys of a table go: options and the fleet's plan → queue and limits; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from djq.errors import ConfigError
from djq.hints import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.orchestrator.fleet import FleetPlan, QueuePlan
    from djq.populate.options import PopulateOptions


@dataclass(frozen=True, slots=True)
class Route:
    """Where a table's chunks go."""

    queue: str
    #: What a chunk takes of what is limited across the fleet: name -> (units, limit).
    units: Mapping[str, tuple[int, int]] = field(
        default_factory=dict[str, tuple[int, int]], hash=False
    )


def route(table: str, options: PopulateOptions, fleet: FleetPlan) -> Route:
    """Return where a table's chunks go: the queue it names, else the first that has what it needs.

    Raises
    ------
    ConfigError
        No queue has it, or a limit is unknown or too small; the message names table and queues.
    """
    return Route(_queue(table, options, fleet), _units(table, options, fleet))


def _queue(table: str, options: PopulateOptions, fleet: FleetPlan) -> str:
    for name in (options.queue, options.big_queue):
        _check_queue(table, name, fleet)
    if options.queue is not None:
        return options.queue
    covering = [name for name, queue in fleet.queues.items() if not _missing(options, queue)]
    if fleet.default_queue in covering:
        return fleet.default_queue
    if covering:
        return covering[0]
    message = (
        f"{table} needs {_needs(options)}, and no queue has it: {fleet.shown()}. "
        f"Add such a queue to {fleet.source or 'a fleet.toml'}, or change {table}.populate_options"
    )
    raise ConfigError(message)


def _check_queue(table: str, name: str | None, fleet: FleetPlan) -> None:
    # Where no file says which queues there are, any name may be one.
    if name is None or fleet.source is None or name in fleet.queues:
        return
    message = (
        f'{table} goes to the queue "{name}", which {fleet.source} does not have. '
        f"{suggest(name, sorted(fleet.queues))}"
    )
    raise ConfigError(message)


def _missing(options: PopulateOptions, queue: QueuePlan) -> bool:
    """Whether a queue's slots lack anything that a table needs."""
    return (
        options.gpu > queue.gpu
        or (queue.memory is not None and (options.memory_bytes or 0) > queue.memory)
        or (queue.cpu is not None and options.cpu > queue.cpu)
        or not set(options.tags) <= set(queue.tags)
    )


def _needs(options: PopulateOptions) -> str:
    needs = [f"gpu={options.gpu}"] if options.gpu else []
    needs += [f"cpu={options.cpu:g}"] if options.cpu != 1 else []
    if options.memory_bytes is not None:
        needs.append(f"memory_bytes={options.memory_bytes:,}")
    if options.tags:
        needs.append(f"tags {', '.join(options.tags)}")
    return ", ".join(needs) or "cpu=1"


def _units(table: str, options: PopulateOptions, fleet: FleetPlan) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, units in options.units.items():
        limit = fleet.limits.get(name)
        if limit is None:
            message = (
                f'{table} takes {units} of "{name}", and nothing says how many there are: write '
                f"{name} = 4 under [limits] of {fleet.source or 'a fleet.toml'}"
            )
            raise ConfigError(message)
        if units > limit:
            message = (
                f'{table} takes {units} of "{name}" at once, and there are {limit} in all: raise '
                f"{name} under [limits] of {fleet.source or 'a fleet.toml'}, or lower it in "
                f"{table}.populate_options"
            )
            raise ConfigError(message)
        found[name] = (units, limit)
    return found
