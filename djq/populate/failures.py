"""What went wrong in a `make`, in a form that outlives the process."""

from __future__ import annotations

import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

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

    @classmethod
    def of(cls, exception: BaseException) -> JobError:
        """Describe an exception."""
        text = "".join(traceback.format_exception(exception))
        first = f"{type(exception).__name__}: {exception}" if str(exception) else repr(exception)
        return cls(
            message=first[:MAX_MESSAGE],
            traceback=text[-MAX_TRACEBACK:],
            fingerprint=fingerprint(exception),
            exception=exception,
        )


def fingerprint(exception: BaseException) -> str:
    """Return the exception's type and innermost place in the user's code: `KeyError in T.make`."""
    frames = [frame for frame, _ in traceback.walk_tb(exception.__traceback__)]
    own = next((f for f in reversed(frames) if _is_users(f)), None)
    name = type(exception).__name__
    if own is None:
        return name
    place = own.f_code
    return f"{name} in {place.co_qualname} ({Path(place.co_filename).name})"[:255]


def _is_users(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return not name.startswith((_DJQ, "<", *_LIBRARIES))
