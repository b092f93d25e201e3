"""`<object@store>`: a file or folder that belongs to its row."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from djq.codecs.codec import fields_of
from djq.errors import CodecError
from djq.objects import manifest, uploads
from djq.objects.handle import ObjectRef
from djq.objects.local import local_path
from djq.objects.places import check_extension, extension_of, new_path
from djq.objects.rowplace import RowPlace
from djq.objects.storecodec import StoreCodec
from djq.objects.uploads import Readable, Uploaded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value
    from djq.storage.base import ObjectStore
    from djq.storage.buffers import Buffer
    from djq.storage.content import ContentStore

Source: TypeAlias = "str | os.PathLike[str] | Buffer | Readable | ObjectRef"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in the store already, at a place of its own, for a row that is about to come."""

    ref: ObjectRef


class ObjectCodec(StoreCodec, register=False):
    """Files, folders, bytes and streams, each at a path of its own, which is never written again.

    A value is the path of a file or folder of this machine, bytes, a stream with `read`, an
    `ObjectRef`, which is copied; or a tuple of an extension and one of these.
    """

    name: ClassVar[str] = "object"
    values: ClassVar[str] = "its files"
    makes_handles: ClassVar[bool] = True
    uses_key: ClassVar[bool] = True

    def validate(self, value: object) -> None:
        """Refuse what is neither a file, a folder, bytes nor a stream."""
        if isinstance(value, Stored):
            return
        source, ext = _with_extension(value)
        if isinstance(source, str | os.PathLike):
            _check_local(local_path(cast("str | os.PathLike[str]", source)))
            return
        check_extension(ext or "")
        if isinstance(source, io.TextIOBase):
            message = f"{type(source).__name__} gives text instead of bytes: open it as binary"
            raise TypeError(message)
        if not isinstance(source, bytes | bytearray | memoryview | Readable | ObjectRef):
            message = (
                f"<object@store> takes the path of a file or folder, bytes, a stream, or "
                f"(extension, one of these), not {type(source).__name__}"
            )
            raise TypeError(message)

    def encode(self, value: object, *, context: Context) -> dict[str, Any]:
        """Write the file or folder, and return the reference.

        Raises
        ------
        CodecError
            A file cannot be read.
        StorageError
            The store did not answer, or refused.
        """
        if isinstance(value, Stored):
            return value.ref.to_json()
        source, ext = _with_extension(value)
        return store_new(cast("Source", source), ext, context).to_json()

    def decode(self, stored: Value, *, context: Context) -> ObjectRef:
        """Return a handle; nothing is asked of the store."""
        ref = ObjectRef.from_json(stored)
        return replace(ref, open_store=context.open_store, row=RowPlace.of(context))

    def referenced_paths(self, stored: Any) -> Iterable[tuple[str, str | None]]:  # noqa: ANN401
        """Return the object; of a folder also its manifest, which is beside it."""
        found = list(super().referenced_paths(stored))
        if not fields_of(stored).get("is_dir"):
            return found
        return [*found, *((path + manifest.SUFFIX, store) for path, store in found)]


def store_new(source: Source, ext: str | None, context: Context) -> ObjectRef:
    """Write a file or folder to a new path; the extension is its own where none is given."""
    ext = check_extension(_own_extension(source) if ext is None else ext)
    return store_at(new_path(context, ext), source, ext, context)


def store_at(path: str, source: Source, ext: str, context: Context) -> ObjectRef:
    """Write a file or folder to a path where nothing is."""
    content: ContentStore = context.open_store(context.store_name or "")
    return described(_put(content.store, path, source), path, ext, content)


def described(done: Uploaded, path: str, ext: str, content: ContentStore) -> ObjectRef:
    """Return the handle of what was written."""
    return ObjectRef(
        path=path,
        store=content.name,
        size=done.size,
        is_dir=done.item_count is not None,
        ext=ext or None,
        item_count=done.item_count,
        sha256=done.sha256,
        timestamp=done.timestamp,
        open_store=lambda _: content,
    )


def _put(store: ObjectStore, path: str, source: Source) -> Uploaded:
    if isinstance(source, ObjectRef):
        return _copy(store, path, source)
    if isinstance(source, bytes | bytearray | memoryview):
        return uploads.put(store, path, source)
    if isinstance(source, str | os.PathLike):
        local = local_path(source)
        _check_local(local)
        put = uploads.put_folder if local.is_dir() else uploads.put_file
        return put(store, path, local)
    return uploads.put(store, path, uploads.parts_of(source))


def _copy(store: ObjectStore, path: str, ref: ObjectRef) -> Uploaded:
    """Copy an object, so that each row has its own."""
    if not ref.is_dir:
        return uploads.put(store, path, ref.content())
    return uploads.put_copies(store, path, ref.content, ref.members)


def _with_extension(value: object) -> tuple[object, str | None]:
    """Return the value itself, and its extension if one was given.

    Raises
    ------
    CodecError
        A tuple is not an extension and a value.
    """
    if not isinstance(value, tuple):
        return value, None
    pair = cast("tuple[object, ...]", value)
    if len(pair) != 2 or not isinstance(pair[0], str):  # noqa: PLR2004 - a pair
        message = f'{str(pair)[:80]}: a tuple is an extension and a value, as in (".bin", data)'
        raise CodecError(message)
    return pair[1], pair[0]


def _own_extension(source: Source) -> str:
    if isinstance(source, ObjectRef):
        return source.ext or ""
    return extension_of(Path(source).name) if isinstance(source, str | os.PathLike) else ""


def _check_local(path: Path) -> None:
    try:
        if path.is_file() or path.is_dir():
            return
        problem = "is no file or folder of this machine"
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {error}"
    message = f"{str(path)!r} {problem}"
    raise CodecError(message)
