"""Questions on the terminal, before something is deleted."""

from __future__ import annotations

import builtins
import sys
import types
from typing import TYPE_CHECKING

from djq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Answers that mean yes.
YES = frozenset({"yes", "y"})


def check_terminal(what: str) -> None:
    """Refuse to ask where nobody can answer.

    Raises
    ------
    UsageError
        The process has no terminal, and no notebook that answers `input`.
    """
    is_replaced = not isinstance(builtins.input, types.BuiltinFunctionType)
    if is_replaced or (sys.stdin is not None and sys.stdin.isatty()):
        return
    message = (
        f"{what} asks before it changes anything, and there is no terminal to ask on: pass "
        "prompt=False. (Deletes and drops ask no more with DJQ_SAFEMODE=false.) Nothing was changed"
    )
    raise UsageError(message)


def confirm(question: str) -> bool:
    """Ask a question; True only if the answer is yes."""
    check_terminal(question)
    try:
        answer = input(f"{question} [yes, No]: ")
    except EOFError:
        return False
    return answer.strip().lower() in YES


def show(text: str) -> None:
    """Write a line to the terminal."""
    sys.stdout.write(f"{text}\n")


def show_counts(counts: Mapping[str, int]) -> None:
    """Write how many rows of each table are meant."""
    width = max((len(name) for name in counts), default=0)
    digits = max((len(f"{n:,}") for n in counts.values()), default=0)
    for name, n in counts.items():
        show(f"{name:<{width}}  {n:>{digits},} {'row' if n == 1 else 'rows'}")
