"""The most memory that the process held while it made a key."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from contextlib import suppress
from pathlib import Path

#: After a key that took longer, the next one gets a mark of its own [s]: setting it back and
#: reading it cost 0.1 ms together, a tenth of a quick key.
SLOW_S = 0.1

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
#: Windows has none.
_resource = importlib.import_module("resource") if importlib.util.find_spec("resource") else None
_MARK = re.compile(r"VmHWM:\s+(\d+) kB")


class _Mark:
    """Whether the process's high-water mark was set back for the key in hand."""

    is_own = False
    is_slow = True


def begin() -> None:
    """Set the mark back, if keys are slow."""
    _Mark.is_own = False
    if _Mark.is_slow:
        with suppress(OSError):  # not Linux, or not allowed
            _CLEAR.write_text("5", encoding="ascii")
            _Mark.is_own = True


def end(seconds: float) -> None:
    """Remember how long the key took."""
    _Mark.is_slow = seconds > SLOW_S


def peak_bytes() -> int | None:
    """Return the peak of the key in hand; of the process where keys are quick or none was set."""
    if _Mark.is_own:
        with suppress(OSError):
            found = _MARK.search(_STATUS.read_text(encoding="ascii"))
            if found is not None:
                return int(found[1]) * 1024
    if _resource is None:
        return None
    peak: int = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
