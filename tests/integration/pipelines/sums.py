"""Numbers, their squares and sums of squares; the schema's name and what fails come from outside.

`TEST_SCHEMA` names the schema. A number that is in `TEST_BAD` raises, one in `TEST_ODD` what is no
common error, one in `TEST_DEADLY` kills its process, one in `TEST_EMPTY` inserts nothing;
`TEST_MAKE_S` is how long a square takes [s], and `TEST_GIL_S` how long it holds the interpreter's
lock. A square waits for the file `TEST_GATE`; that it does is told by another one whose name goes
on with the process's id. With `TEST_FORKS` a process that make starts computes the square.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import celery.exceptions

import djq as dj


def _numbers(name: str) -> set[int]:
    return {int(text) for text in os.environ.get(name, "").split(",") if text}


class MuteError(Exception):
    """Has no text: asking for it fails."""

    def __str__(self) -> str:
        raise RuntimeError


class LeavingError(Exception):
    """Asking for its text would end the process."""

    def __str__(self) -> str:
        raise SystemExit


#: What numbers in `TEST_ODD` raise, one after the other.
ODD = (
    MuteError,
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    LeavingError,
    celery.exceptions.Ignore,
    celery.exceptions.WorkerShutdown,
)

schema = dj.Schema(os.environ.get("TEST_SCHEMA", "sums"))


def hold_gil(seconds: float) -> None:
    """Sleep as native code does that does not let other threads run."""
    if seconds:
        ctypes.PyDLL(None).usleep(ctypes.c_uint(int(seconds * 1e6)))


def wait_at(gate: Path) -> None:
    """Wait for a file, and tell so by another one."""
    if not gate.exists():
        gate.with_name(f"{gate.name}.{os.getpid()}").touch()
    while not gate.exists():
        time.sleep(0.01)


@schema
class Number(dj.Manual):
    definition = """
    number : int32
    ---
    value  : int64
    """


@schema
class Square(dj.Computed):
    definition = """
    -> Number
    ---
    square : int64
    """

    class Digit(dj.Part):
        definition = """
        -> master
        place : int16
        ---
        digit : int16
        """

    def make(self, key: dict[str, Any]) -> None:
        number = key["number"]
        if number in _numbers("TEST_DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        value = (Number & key).fetch1("value")
        if gate := os.environ.get("TEST_GATE"):
            wait_at(Path(gate))
        time.sleep(float(os.environ.get("TEST_MAKE_S", "0")))
        hold_gil(float(os.environ.get("TEST_GIL_S", "0")))
        if number in _numbers("TEST_BAD"):
            message = f"number {number} is bad"
            raise ValueError(message)
        if number in _numbers("TEST_ODD"):
            raise ODD[number % len(ODD)]
        if number in _numbers("TEST_EMPTY"):
            return
        square = value**2
        if os.environ.get("TEST_FORKS"):
            with multiprocessing.Pool(1) as pool:
                (square,) = pool.map(abs, [square])
        self.insert1({**key, "square": square})
        digits = enumerate(reversed(str(square)))
        self.Digit.insert({**key, "place": i, "digit": int(digit)} for i, digit in digits)


@schema
class Cross(dj.Computed):
    definition = """
    # Sum of the digits of a square, per power of ten
    -> Square
    ---
    cross : int64
    """

    def make(self, key: dict[str, Any]) -> None:
        self.insert1({**key, "cross": int(sum((Square.Digit & key).fetch("digit")))})
