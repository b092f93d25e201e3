"""What went wrong in a `make`, in a form that outlives the process."""

from __future__ import annotations

import datetime as dt
import sysconfig
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from djq.errors import (
    MakeError,
    NothingInsertedError,
    OutOfMemoryError,
    StoreUnavailableError,
    TimeLimitError,
    TransientDatabaseError,
)
from djq.populate.ends import Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from djq.definition.acceptance import Value
    from djq.populate.options import PopulateOptions

#: `transient`: the database or the store stumbled too often; `memory`, `time_limit`: it took too
#: much; `lost`: the process died with the key in hand; `empty`: nothing was inserted; `torn`: it
#: ended its transaction, and part of its result is committed; `user`: what its code raised.
Cause: TypeAlias = Literal["transient", "memory", "time_limit", "lost", "empty", "torn", "user"]
#: The causes as job records know them; a preempted worker's key goes back without a record.
CAUSES = ("transient", "preempted", "memory", "time_limit", "lost", "empty", "torn", "user")
#: Trying again does not help where make does nothing, kills the process time and again, needs more
#: memory than there is, or left a row in the way.
_FINAL = frozenset({"empty", "lost", "memory", "torn"})
_KINDS: tuple[tuple[type[BaseException], Cause], ...] = (
    (NothingInsertedError, "empty"),
    (TransientDatabaseError, "transient"),
    (StoreUnavailableError, "transient"),
    (MemoryError, "memory"),
    (OutOfMemoryError, "memory"),
    (TimeLimitError, "time_limit"),
)

#: A key that so many dying processes had in hand is an error.
MAX_LOSSES = 3

#: Longest message that is kept in the row itself, as in DataJoint's job tables [characters].
MAX_MESSAGE = 2047
#: Longest traceback that is kept [characters]; the end says most.
MAX_TRACEBACK = 100_000

_DJQ = str(Path(__file__).parents[1])
_LIBRARIES = tuple(
    dict.fromkeys(
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    )
)


@dataclass(frozen=True, slots=True)
class JobError:
    """One failure of one key; equal causes have equal fingerprints."""

    message: str
    traceback: str
    fingerprint: str
    exception: BaseException | None = None
    cause: Cause = "user"
    #: The last lines that the make wrote.
    log: str = ""
    #: How many times the key was tried under this version of the code, known when it is recorded.
    attempt: int = 1
    #: When it is tried again by itself, by the clock of the database; None: never.
    retry_at: dt.datetime | None = None
    #: The same from when it failed, by no clock [s].
    retry_after_s: float | None = None

    @classmethod
    def of(cls, exception: BaseException, log: str = "") -> JobError:
        """Describe an exception."""
        return cls(
            message=_storable(_first_line(exception))[:MAX_MESSAGE],
            traceback=_storable(_trace(exception))[-MAX_TRACEBACK:],
            fingerprint=_storable(fingerprint(exception)),
            exception=exception,
            cause=cause_of(exception),
            log=_storable(log),
        )

    @classmethod
    def of_losses(cls, key: Mapping[str, Value], n_losses: int) -> JobError:
        """Describe why a key is not tried again: process after process died with it in hand."""
        message = (
            f"the process died {n_losses} times while making {key}: "
            "killed for memory, or a crash in native code? Look at its log, then retry the key"
        )
        return cls(message, message, fingerprint="WorkerLost", cause="lost")


def raisable(error: JobError, *orders: type[Exception]) -> Exception | None:
    """Return what a task may fail with, None where only a text is known.

    `SystemExit` and the like would end its process, one of `orders` would be obeyed, and one
    without a text cannot be reported.
    """
    exception = error.exception
    if exception is None:
        return None
    is_order = isinstance(exception, orders)
    if isinstance(exception, Exception) and not is_order and _has_text(exception):
        return exception
    return MakeError(f"{error.message}; its traceback is in the job record")


def _first_line(exception: BaseException) -> str:
    """Return an exception's name and text, which is made by code of users and may fail, too."""
    try:
        return _said(exception)
    except (Stopped, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever their code raises
        name = type(exception).__name__
        return f"<{name}: its text cannot be made: {type(error).__name__}>"


def _has_text(exception: BaseException) -> bool:
    try:
        _said(exception)
    except (Stopped, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001 - whatever their code raises
        return False
    return True


def _said(exception: BaseException) -> str:
    text = str(exception)
    return f"{type(exception).__name__}: {text}" if text else repr(exception)


def _trace(exception: BaseException) -> str:
    """Return the traceback, without texts where these cannot be made."""
    try:
        return "".join(traceback.format_exception(exception))
    except (Stopped, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001 - whatever their code raises
        places = traceback.format_tb(exception.__traceback__)
        return "".join([*places, _first_line(exception)])


def cause_of(exception: BaseException) -> Cause:
    """Return what kind of failure an exception is."""
    for kind, cause in _KINDS:
        if isinstance(exception, kind):
            return cause
    return "user"


def planned(
    error: JobError,
    known: Mapping[str, Value] | None,
    options: PopulateOptions,
    now: dt.datetime,
) -> tuple[JobError, str | None]:
    """Return an error with its attempt and the time of the next one, and the next one's queue.

    Parameters
    ----------
    known
        The record of the key's last failure under the same version of the code, if there is one.
    now
        The time of the database.
    """
    attempt = 1 + ((known["attempt"] or 1) if known else 0)
    queue: str | None = known["queue"] if known else None
    wait_s = None if error.cause in _FINAL else options.retry_after_s(attempt)
    if error.cause == "memory" and _may_go_to_big_queue(options, queue):
        wait_s, queue = 0.0, options.big_queue
    if wait_s is None:
        return replace(error, attempt=attempt, retry_at=None, retry_after_s=None), None
    retry_at = now + dt.timedelta(seconds=wait_s)
    later = replace(error, attempt=attempt, retry_at=retry_at, retry_after_s=wait_s)
    return later, queue


def _may_go_to_big_queue(options: PopulateOptions, planned_queue: str | None) -> bool:
    """Tell whether a key that ran out of memory was not on the big queue before.

    One that was to go there may have been queued elsewhere before: a worker says by `queue` where.
    """
    if options.big_queue is None or options.queue == options.big_queue:
        return False
    return options.queue is not None or planned_queue != options.big_queue


def _storable(text: str) -> str:
    """Return a text that every database takes: names of files may hold what is no character."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def fingerprint(exception: BaseException) -> str:
    """Return the exception's type and innermost place in the user's code: `KeyError in T.make`."""
    frames = [frame for frame, _ in traceback.walk_tb(exception.__traceback__)]
    own = next((f for f in reversed(frames) if is_of_users(f)), None)
    name = type(exception).__name__
    if own is None:
        return name
    place = own.f_code
    return f"{name} in {place.co_qualname} ({Path(place.co_filename).name})"[:255]


def is_of_users(frame: FrameType) -> bool:
    """Tell whether a frame runs code that is neither ours, nor Python's, nor a library's."""
    name = frame.f_code.co_filename
    return not name.startswith((_DJQ, "<", *_LIBRARIES))
