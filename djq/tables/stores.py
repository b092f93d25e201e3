"""Whether there is a store of a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from djq.errors import UsageError
from djq.hints import did_you_mean

if TYPE_CHECKING:
    from djq.settings import Settings


def check_store(settings: Settings, name: str) -> None:
    """Refuse the name of a store that is not set, and in which nothing was ever put.

    Raises
    ------
    UsageError
        There is no such store; the message names those that there are.
    ConfigError
        It is not set, and the database is on another machine.
    """
    if name in settings.stores:
        return
    folder = Path(settings.store(name).url).expanduser()
    if folder.is_dir():
        return
    known = sorted({*settings.stores, *_folders(folder.parent)})
    message = (
        f'there is no store "{name}": it is not set, and {folder} is no folder. '
        f"{did_you_mean(name, known)}Known stores: {', '.join(known) or 'none'}"
    )
    raise UsageError(message)


def _folders(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
