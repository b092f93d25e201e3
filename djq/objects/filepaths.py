"""`<filepath@store>`: a file or folder that is in the store already, and stays its owner's."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from djq.errors import CodecError, ObjectMissingError
from djq.objects.handle import ObjectRef
from djq.objects.places import is_reserved
from djq.objects.rowplace import RowPlace
from djq.objects.storecodec import StoreCodec
from djq.storage.base import check_path
from djq.storage.filesystem import FolderStore

if TYPE_CHECKING:
    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value
    from djq.storage.base import ObjectStore
    from djq.storage.content import ContentStore


class FilepathCodec(StoreCodec, register=False):
    """The path of a file or folder within a store; nothing is copied, and nothing collected."""

    name: ClassVar[str] = "filepath"
    values: ClassVar[str] = "its files"
    makes_handles: ClassVar[bool] = True

    def validate(self, value: object) -> None:
        """Refuse what is not a path, or an empty one."""
        if not isinstance(value, str | os.PathLike | ObjectRef):
            message = f"<filepath@store> takes a path within the store, not {type(value).__name__}"
            raise TypeError(message)
        if value == "":
            message = "the path is empty: give that of a file or folder within the store"
            raise CodecError(message)

    def encode(
        self, value: str | os.PathLike[str] | ObjectRef, *, context: Context
    ) -> dict[str, Any]:
        """Return the reference, once the store has said that something is there.

        Raises
        ------
        CodecError
            The path is one of those that djq or DataJoint look after, or of another store.
        ObjectMissingError
            Nothing is there.
        """
        content: ContentStore = context.open_store(context.store_name or "")
        path = check_path(_within(value, content))
        if is_reserved(path):
            message = (
                f'{path} is in the folder "{path.split("/", 1)[0]}", whose objects come and go '
                "with rows: choose a file elsewhere in the store, or copy it"
            )
            raise CodecError(message)
        size, is_dir = _look(content, path)
        return {
            "path": path,
            "store": content.name,
            "size": size,
            "is_dir": is_dir,
            "timestamp": datetime.now(UTC).isoformat(),
        }

    def decode(self, stored: Value, *, context: Context) -> ObjectRef:
        """Return a handle; nothing is asked of the store."""
        ref = ObjectRef.from_json(stored)
        return replace(ref, open_store=context.open_store, row=RowPlace.of(context))


def _within(value: str | os.PathLike[str] | ObjectRef, content: ContentStore) -> str:
    """Return a path within the store; an absolute one is taken if it leads into its folder."""
    if isinstance(value, ObjectRef):
        if value.store != content.name:
            message = f'{value!r} is not in the store "{content.name}" of this attribute'
            raise CodecError(message)
        return value.path
    path = Path(value).as_posix() if isinstance(value, os.PathLike) else value
    if path.startswith("/") and isinstance(content.store, FolderStore):
        absolute = Path(os.path.normpath(path))
        if absolute.is_relative_to(content.store.root):
            path = absolute.relative_to(content.store.root).as_posix()
    return path.removesuffix("/")


def _look(content: ContentStore, path: str) -> tuple[int | None, bool]:
    """Return the size of a file, or that it is a folder."""
    store: ObjectStore = content.store
    try:
        return store.stat(path).size, False
    except ObjectMissingError as error:
        if any(True for _ in store.list(path)):
            return None, True
        message = (
            f'{path} is not in the store "{content.name}": put it there first, or use '
            "<object@store>, which does that"
        )
        raise ObjectMissingError(message) from error
