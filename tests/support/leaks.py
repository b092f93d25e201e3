"""What a test left behind: threads, processes, connections and open files."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tests.support.processes import shared_processes

if TYPE_CHECKING:
    from pathlib import Path

#: What is ending gets this long [s].
GRACE_S = 5.0
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What this process holds at one moment."""

    threads: frozenset[threading.Thread]
    handles: frozenset[tuple[int, str]]


def snapshot(folder: Path) -> Snapshot:
    """Look at this process's threads, its TCP connections and its open files below `folder`."""
    return Snapshot(frozenset(threading.enumerate()), frozenset(_handles(folder)))


def _handles(folder: Path) -> set[tuple[int, str]]:
    process = psutil.Process()
    connections = process.net_connections("tcp")
    # Elsewhere libraries may keep files of their own open.
    files = [found for found in process.open_files() if found.path.startswith(f"{folder}/")]
    return {(c.fd, f"connection to port {c.raddr.port}") for c in connections if c.raddr} | {
        (found.fd, found.path) for found in files
    }


def leaked_processes() -> list[psutil.Process]:
    """Return the children of this process that nobody stopped, servers of the session left out."""
    shared = shared_processes()
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.pid not in shared and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def _leaks(before: Snapshot, folder: Path) -> list[str]:
    now = snapshot(folder)
    return [
        *(f"thread {thread.name}" for thread in now.threads - before.threads),
        *(what for _, what in now.handles - before.handles),
        *(f"process {child.pid}" for child in leaked_processes()),
    ]


def leaks_since(before: Snapshot, folder: Path) -> list[str]:
    """Return what was left behind since `before` and does not end by itself soon."""
    deadline = time.monotonic() + GRACE_S
    if _leaks(before, folder):
        # What nobody refers to any more is closed here; only what is held counts.
        gc.collect()
    while (leaks := _leaks(before, folder)) and time.monotonic() < deadline:
        time.sleep(PAUSE_S)
    return leaks
