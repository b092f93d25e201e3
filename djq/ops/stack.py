"""The whole local stack: Redis unless one is configured, scheduler, workers and Flower."""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import SecretStr

from djq.ops.child import Program
from djq.ops.embedded import EmbeddedServer, locked
from djq.ops.supervisor import Supervisor
from djq.orchestrator.fleet import GRACE_S
from djq.orchestrator.namespace import namespace_of
from djq.orchestrator.server import open_server
from djq.orchestrator.states import DEFAULT_QUEUE
from djq.settings import PREFIX, REDIS_FILE, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    from djq.ops.child import Restart

LOCALHOST = "127.0.0.1"
#: A worker ends so long after the grace period of its keys, or is killed [s].
WORKER_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    #: Of each queue.
    n_workers: int = 1
    #: Slots of a worker; None: as `fleet.toml` says, else one per processor.
    concurrency: int | None = 2
    has_flower: bool = True
    #: Queue -> how long a key may go on after the stack was asked to stop [s].
    queues: Mapping[str, float] = field(default_factory=lambda: {DEFAULT_QUEUE: GRACE_S})


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    #: As every process of it uses them: with the address of the Redis in use.
    settings: Settings
    supervisor: Supervisor
    #: Flower's address; None where it does not run.
    flower_url: str | None
    logs: Path


@contextlib.contextmanager
def running(settings: Settings, plan: Plan, report: Callable[[Restart], None]) -> Generator[Stack]:
    """Run a stack on `settings`; everything that was started is stopped at the end.

    If it cannot be kept running, the main thread gets a `KeyboardInterrupt`, and the supervisor's
    `check` says why.

    Raises
    ------
    FleetError
        A stack runs on this state folder already, or a program cannot run.
    """
    with locked(settings.state_dir), contextlib.ExitStack() as cleanup:
        stages: list[list[Program]] = []
        if settings.redis_url is None:
            server = EmbeddedServer(settings.state_dir)
            server.prepare()
            cleanup.callback(server.clean)
            stages.append([server.program()])
            settings = settings.model_copy(update={"redis_url": SecretStr(server.url)})
            cleanup.enter_context(_announced(settings.state_dir / REDIS_FILE, server.url))
        else:
            with contextlib.closing(open_server(settings)) as configured:
                configured.ping()
        # Found out once, for all of its processes.
        settings = settings.model_copy(update={"namespace": namespace_of(settings)})
        port = free_port(settings.flower_port) if plan.has_flower else None
        stages.append(list(_programs(settings, plan, port)))
        logs = settings.state_dir / "logs"
        # Whoever waits for the stack's work shall not wait for a stack that is gone.
        supervisor = cleanup.enter_context(
            Supervisor(stages, logs=logs, report=report, on_failure=_thread.interrupt_main)
        )
        flower_url = None if port is None else f"http://{LOCALHOST}:{port}"
        yield Stack(settings, supervisor, flower_url, logs)


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a process that is to run with `settings`, and no others."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return env | dict(_variables(settings))


def free_port(preferred: int) -> int:
    """Return `preferred` if nobody listens there, else a port that is free now."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            # As servers do: connections that linger from an earlier one do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOCALHOST, port))
            number: int = probe.getsockname()[1]
            return number
    return preferred


def _programs(settings: Settings, plan: Plan, flower_port: int | None) -> Iterator[Program]:
    env = environment(settings)

    def program(name: str, *arguments: str, grace_s: float = 10.0) -> Program:
        argv = (sys.executable, "-m", "djq.ops.cli", *arguments)
        return Program(name, argv, env, grace_s=grace_s)

    yield program("scheduler", "scheduler")
    slots = () if plan.concurrency is None else ("--concurrency", str(plan.concurrency))
    for queue, grace_s in plan.queues.items():
        kind = "worker" if len(plan.queues) == 1 else f"worker-{queue}"
        for number in range(1, plan.n_workers + 1):
            name = f"{kind}-{number}"
            options = ("--name", name, "--queue", queue, *slots)
            yield program(name, "worker", *options, grace_s=grace_s + WORKER_STOP_S)
    if flower_port is not None:
        yield program("flower", "flower", "--port", str(flower_port))


@contextlib.contextmanager
def _announced(path: Path, url: str) -> Generator[None]:
    """Keep the server's address in a file that only this user can read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(f"{url}\n", encoding="utf-8")
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _variables(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in Settings.model_fields:
        variable, value = PREFIX + name.upper(), getattr(settings, name)
        if name == "stores":
            for store, its in settings.stores.items():
                fields = [(f, getattr(its, f)) for f in type(its).model_fields if f != "options"]
                fields.append(("options", json.dumps(its.plain_options)))
                prefix = f"{variable}__{store.upper()}__"
                yield from _texts((prefix + field.upper(), value) for field, value in fields)
        else:
            yield from _texts([(variable, value)])


def _texts(values: Iterable[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    for name, value in values:
        match value:
            case None:
                pass
            case SecretStr():
                yield name, value.get_secret_value()
            case tuple():
                yield name, ",".join(str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a tuple of any kind
            case _:
                yield name, str(value)
