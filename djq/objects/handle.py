"""`ObjectRef`: a file or folder in a store, of which nothing is read before it is asked for."""

from __future__ import annotations

import pkgutil
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Self, overload

from djq.errors import (
    ConfigError,
    ObjectCorruptedError,
    ObjectMissingError,
    StorageError,
    UsageError,
)
from djq.objects import manifest
from djq.objects.downloads import download_folder, read_verified
from djq.objects.landing import land
from djq.objects.located import Reopening
from djq.objects.manifest import Member
from djq.objects.names import check_name
from djq.objects.naming import naming
from djq.objects.reading import open_object
from djq.objects.record import ObjectRecord
from djq.objects.transfers import run_all
from djq.objects.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from djq.objects.rowplace import RowPlace
    from djq.storage.base import ObjectStore
    from djq.storage.content import ContentStore


@dataclass(frozen=True, repr=False)
class ObjectRef(ObjectRecord):
    """A file or folder in a store, as `<object@store>` and `<filepath@store>` return it.

    What the row says of it costs nothing; all else asks the store: each time, but once which files
    a folder has.
    """

    #: Opens the store of a name; None: the handle came from no table.
    open_store: Callable[[str], ContentStore] | None = field(default=None, compare=False)
    #: The row that it was fetched from, which errors name; None: from none.
    row: RowPlace | None = field(default=None, compare=False)

    # --- reading -------------------------------------------------------------------------------

    def read(self) -> bytes:
        """Return the file's content, verified where its hash is known.

        Raises
        ------
        UsageError
            It is a folder.
        ObjectMissingError, ObjectCorruptedError, StoreUnavailableError
            The store has it not, has another one, or did not answer.
        """
        self._refuse_folder("read")
        return b"".join(self.content())

    @overload
    def open(self, subpath: str | None = None, mode: Literal["rb"] = "rb") -> IO[bytes]: ...
    @overload
    def open(self, subpath: str | None = None, *, mode: Literal["r", "rt"]) -> IO[str]: ...
    @overload
    def open(self, subpath: str | None = None, mode: str = "rb") -> IO[bytes] | IO[str]: ...
    def open(self, subpath: str | None = None, mode: str = "rb") -> IO[bytes] | IO[str]:
        """Open the file, or the file `subpath` of the folder: seekable, read where it is used.

        What is read from the beginning to the end is verified like `read`, at the end: use nothing
        of it before. What is read by `seek`, or in part, has no hash to compare; its size is that
        of the row.

        Parameters
        ----------
        subpath
            Within the folder.
        mode
            `"rb"`, or `"r"` for text in UTF-8.

        Raises
        ------
        ObjectMissingError, ObjectCorruptedError, StoreUnavailableError
            The store has it not, has another one, or did not answer; reading raises them, too.
        """
        if subpath is None:
            self._refuse_folder("open")
            return self._open(self.path, mode, self.size, self.sha256)
        self._refuse_file("open(subpath)")
        path, member = f"{self.path}/{subpath}", self._files.get(subpath)
        if member is None:
            return self._open(path, mode)
        return self._open(path, mode, member.size, member.sha256)

    def _open(
        self, path: str, mode: str, size: int | None = None, sha256: str | None = None
    ) -> IO[bytes] | IO[str]:
        objects = self.objects
        with naming(self._home):
            return open_object(objects, path, mode, size, sha256, self._home)

    def content(self, member: Member | None = None) -> Iterator[memoryview]:
        """Yield the file, or a file of the folder, in chunks; whether it is damaged, at the end."""
        objects, path, size, sha256 = self.objects, self.path, self.size, self.sha256
        if member is not None:
            path, size, sha256 = f"{path}/{member.path}", member.size, member.sha256
        with naming(self._home):
            yield from read_verified(objects, path, size, sha256)

    # --- folders -------------------------------------------------------------------------------

    def listdir(self, subpath: str = "") -> list[str]:
        """Return the names in the folder, or in a folder in it, sorted.

        Raises
        ------
        ObjectMissingError
            There is no such folder.
        """
        folders, files = self._tree.entries(subpath)
        return sorted([*folders, *files])

    def iterdir(self) -> Iterator[ObjectRef]:
        """Yield the handles of what is in the folder, sorted by name."""
        tree = self._tree
        for name in self.listdir():
            yield self._part(name, tree)

    def walk(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield each folder's path within this one, its folders and its files, as `os.walk`."""
        return self._tree.walk()

    def download(self, target: str | Path, subpath: str | None = None) -> Path:
        """Write the file or folder to this machine, and return its path.

        A file becomes `target`, replacing what was there, or goes into it if `target` is a folder.
        A folder always goes into `target`, under its own name, which must be free. Files appear
        whole and verified, or not at all.

        Raises
        ------
        UsageError
            The folder is there already.
        StorageError
            A name leads out of the folder: it is not written.
        ObjectMissingError, ObjectCorruptedError, StoreUnavailableError
            The store has it not, has another one, or did not answer.
        """
        if subpath is not None:
            return self._part(subpath, self._tree).download(target)
        target = Path(target)
        if self.is_dir:
            target /= check_name(self.name)
            download_folder(self.content, self.members, target)
            return target
        if target.is_dir():
            target /= check_name(self.name)
        land(target, self.content())
        return target

    # --- the state of the store ----------------------------------------------------------------

    def exists(self, subpath: str | None = None) -> bool:
        """Return whether the file or folder, or a file or folder in it, is there."""
        try:
            if subpath is not None:
                self._part(subpath, self._tree)
                return True
            objects = self.objects
            with naming(self._home):
                if self.is_dir and self.item_count is None:
                    return any(True for _ in objects.list(self.path))
                objects.stat(self.path + manifest.SUFFIX if self.is_dir else self.path)
        except ObjectMissingError:
            return False
        return True

    def verify(self) -> bool:
        """Read everything, and return True.

        Raises
        ------
        ObjectMissingError, ObjectCorruptedError
            A file is missing, or another one than was stored; the message names it.
        """
        files = self.members if self.is_dir else (None,)
        if self.is_dir:
            self._check_total(self.members)

        def check(i: int) -> None:
            deque(self.content(files[i]), 0)

        run_all(check, [self.size if file is None else file.size for file in files])
        return True

    @property
    def fsmap(self) -> Any:  # noqa: ANN401 - of an optional library
        """The folder as a mapping of `fsspec`, which zarr and xarray open.

        Raises
        ------
        ConfigError
            fsspec is not installed.
        """
        self._refuse_file("fsmap")
        return fsspec_door("mapping")(self.objects, self.path)

    @property
    def fs(self) -> Any:  # noqa: ANN401 - of an optional library
        """The store as a file system of `fsspec`; this object is its `path`."""
        return fsspec_door("StoreFileSystem")(self.objects)

    # --- inside --------------------------------------------------------------------------------

    @property
    def objects(self) -> ObjectStore:
        """The store itself.

        Raises
        ------
        StorageError
            The handle came from no table.
        """
        if self.open_store is None:
            message = (
                f"{self._home} is out of reach for {self.path}: this handle came from no table"
            )
            raise StorageError(message)
        return self.open_store(self.store).store

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The files of a folder: what its manifest says, or else what is there."""
        objects, skip = self.objects, len(self.path) + 1
        with naming(self._home):
            if self.item_count is not None:
                path = self.path + manifest.SUFFIX
                return manifest.decode(objects.get(path), path, self.sha256)
            found = tuple(Member(s.path[skip:], s.size) for s in objects.list(self.path))
            if not found:
                message = f"nothing lies in the folder {self.path}"
                raise ObjectMissingError(message)
        return tuple(sorted(found, key=lambda member: member.path))

    @cached_property
    def _files(self) -> dict[str, Member]:
        """What is known of the files of a folder, by their paths; nothing without a manifest."""
        is_known = self.item_count is not None or "members" in vars(self)
        return {member.path: member for member in self.members} if is_known else {}

    @property
    def _tree(self) -> Tree:
        self._refuse_file("listdir, iterdir, walk and subpath")
        return Tree(self._where, self.members)

    def _part(self, subpath: str, tree: Tree) -> ObjectRef:
        """Return the handle of a file or folder in this one."""
        path = f"{self.path}/{subpath}"
        member = tree.file(subpath)
        if member is not None:
            return replace(
                self,
                path=path,
                size=member.size,
                sha256=member.sha256,
                is_dir=False,
                ext=None,
                item_count=None,
            )
        inner = tree.below(subpath)
        part = replace(
            self, path=path, size=sum(m.size for m in inner), sha256=None, ext=None, item_count=None
        )
        # The manifest is that of the whole, and need not be read again.
        vars(part)["members"] = inner
        return part

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what the row says, and what is known of the files: no connection, no password."""
        opener = self.open_store and Reopening.of(self.open_store(self.store))
        state = {name: value for name, value in vars(self).items() if name != "_files"}
        return {**state, "open_store": opener}

    def __copy__(self) -> Self:
        """Return itself: nothing about it changes."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Return itself: nothing about it changes."""
        return self

    @property
    def _where(self) -> str:
        """How messages call it."""
        return f'{self._of_row}{self.path} in the store "{self.store}"'

    @property
    def _home(self) -> str:
        """How messages call the row and the store."""
        return f'{self._of_row}store "{self.store}"'

    @property
    def _of_row(self) -> str:
        return f"{self.row}: " if self.row else ""

    def _check_total(self, files: tuple[Member, ...]) -> None:
        total = sum(member.size for member in files)
        if self.size is not None and self.size != total:
            message = f"{self._where} has {total} of {self.size} bytes; restore it from a backup"
            raise ObjectCorruptedError(message)

    def _refuse_folder(self, verb: str) -> None:
        if self.is_dir:
            message = (
                f"{self._where} is a folder: {verb} is for files; see listdir() and open(subpath)"
            )
            raise UsageError(message)

    def _refuse_file(self, verb: str) -> None:
        if not self.is_dir:
            message = f"{self._where} is a file: {verb} is for folders; see read() and open()"
            raise UsageError(message)


def fsspec_door(name: str) -> Any:  # noqa: ANN401 - of an optional library
    """Return what stands behind the optional library fsspec.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        return pkgutil.resolve_name(f"djq.objects.mapping:{name}")
    except ModuleNotFoundError as error:
        message = f"this needs {error.name}: pip install 'djq[fsspec]'"
        raise ConfigError(message) from error
