"""The files of a folder as a tree of folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from djq.errors import ObjectMissingError
from djq.objects.manifest import Member

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Tree:
    """Files by their paths; folders are there as far as files are in them."""

    #: The whole, for messages.
    path: str
    members: Sequence[Member]

    def file(self, subpath: str) -> Member | None:
        """Return the file at `subpath`, if there is one."""
        return next((member for member in self.members if member.path == subpath), None)

    def below(self, subpath: str) -> tuple[Member, ...]:
        """Return the files of the folder `subpath`, with their paths in it; "": all.

        Raises
        ------
        ObjectMissingError
            There is none.
        """
        prefix = f"{subpath.strip('/')}/" if subpath else ""
        n = len(prefix)
        found = tuple(
            Member(member.path[n:], member.size, member.sha256)
            for member in self.members
            if member.path.startswith(prefix)
        )
        if prefix and not found:
            message = f"there is no {subpath!r} in {self.path}"
            raise ObjectMissingError(message)
        return found

    def entries(self, subpath: str = "") -> tuple[list[str], list[str]]:
        """Return the names of the folders and of the files in the folder `subpath`, sorted."""
        folders: set[str] = set()
        files: list[str] = []
        for member in self.below(subpath):
            name, slash, _ = member.path.partition("/")
            if slash:
                folders.add(name)
            else:
                files.append(name)
        return sorted(folders), sorted(files)

    def walk(self, subpath: str = "") -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield each folder's path, its folders and its files, from the top down."""
        folders, files = self.entries(subpath)
        yield subpath, folders, files
        for name in folders:
            yield from self.walk(f"{subpath}/{name}" if subpath else name)
