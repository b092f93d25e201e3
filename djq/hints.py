"""What somebody may have meant who wrote a name that there is not: words for messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, shown: str = '"{}"') -> str:
    """Ask for the nearest of the known names, with a blank behind; empty if none is near.

    Parameters
    ----------
    shown
        How a name is written.
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {shown.format(near[0])}? " if near else ""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the names that may have been meant, and all that there are."""
    names = list(known)
    return f"{did_you_mean(name, names)}Known: {', '.join(names) or 'none'}"
