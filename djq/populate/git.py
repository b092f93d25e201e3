"""The git commit of the user's code, read from its files: no program is started."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def commit_of(cls: type) -> str | None:
    """Return the commit that is checked out where a class is defined, None where there is none.

    It is read once in a process, since code that was imported does not change with the files.
    """
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    folder = Path(file).parent if file else Path.cwd()
    return _commit_at(str(folder))


@lru_cache(maxsize=256)
def _commit_at(folder: str) -> str | None:
    try:
        found = _read(Path(folder).resolve())
    except (OSError, UnicodeDecodeError):
        return None
    return found if found is not None and _HASH.match(found) else None


def _read(folder: Path) -> str | None:
    mark = next((f / ".git" for f in (folder, *folder.parents) if (f / ".git").exists()), None)
    if mark is None:
        return None
    own = mark
    if mark.is_file():  # a worktree or submodule
        own = (mark.parent / _text(mark).removeprefix("gitdir:").strip()).resolve()
    head = _text(own / "HEAD")
    if not head.startswith("ref:"):
        return head
    name = head.removeprefix("ref:").strip()
    common = own / _text(own / "commondir") if (own / "commondir").is_file() else own
    for place in (own, common):
        if (place / name).is_file():
            return _text(place / name)
    return _packed(common / "packed-refs", name)


def _packed(file: Path, name: str) -> str | None:
    if not file.is_file():
        return None
    pairs = (
        line.split(" ") for line in _text(file).splitlines() if not line.startswith(("#", "^"))
    )
    return next((pair[0] for pair in pairs if pair[-1] == name), None)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()
