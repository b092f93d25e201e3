"""`<attach>` and `<attach@store>`: a file with its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from djq.codecs.codec import Codec
from djq.errors import CodecError
from djq.objects.landing import land_beside
from djq.objects.local import LocalFile, check_file, local_path
from djq.storage.buffers import flat
from djq.storage.content import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value
    from djq.storage.buffers import Buffer

#: Ends the name. The format is DataJoint's: the name in UTF-8, this, the content.
_END: Final = b"\0"
#: Of the name; longer ones no file system keeps [bytes].
_MAX_NAME_BYTES: Final = 255
#: What the largest packet of MySQL holds, less what else is in it [bytes].
_MAX_ROW_BYTES: Final = (1 << 30) - (1 << 20)


class AttachCodec(Codec, register=False):
    """A file with its name: bytes in the row, or streamed to and from a store."""

    name: ClassVar[str] = "attach"
    writes_objects: ClassVar[bool] = True
    reads_objects: ClassVar[bool] = True
    uses_key: ClassVar[bool] = False

    def get_dtype(self, is_store: bool) -> str:
        """Return `json`, which holds the reference that `<hash>` would return, or `bytes`.

        It is not `<hash>` itself, through which the whole file would be in memory.
        """
        return "json" if is_store else "bytes"

    def validate(self, value: object) -> None:
        """Refuse what is not the path of a file."""
        if not isinstance(value, str | os.PathLike):
            message = f"<attach> takes the path of a file, not {type(value).__name__}"
            raise TypeError(message)
        check_file(local_path(cast("str | os.PathLike[str]", value)))

    def encode(self, value: str | os.PathLike[str], *, context: Context) -> bytes | dict[str, Any]:
        """Return the file as bytes, or the reference to the object that it became."""
        path = local_path(value)
        size = check_file(path)
        if context.store_name is not None:
            reference: Reference = context.open_store(context.store_name).put(Attachment(path))
            return reference.to_json()
        if size > _MAX_ROW_BYTES:
            message = (
                f"{path} has {size} bytes, and a row holds at most {_MAX_ROW_BYTES}: "
                "use <attach@store>"
            )
            raise CodecError(message)
        return b"".join(Attachment(path))

    def decode(self, stored: Value, *, context: Context) -> str:
        """Write the file into the download path, and return its path."""
        if isinstance(stored, bytes | bytearray | memoryview):
            chunks: Iterator[Buffer] = iter([flat(stored)])  # pyright: ignore[reportUnknownArgumentType] # any buffer
        else:
            reference = Reference.from_json(stored)
            chunks = context.open_store(reference.store).iterate(reference)
        name, content = _split(chunks)
        return str(land_beside(context.download_path, name, content))


class Attachment(LocalFile):
    """The parts of an attachment: the name, and the content while it is read."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts."""
        yield self.path.name.encode() + _END
        yield from super().__iter__()


def _split(chunks: Iterator[Buffer]) -> tuple[str, Iterator[Buffer]]:
    """Return the name, and the rest.

    Raises
    ------
    CodecError
        There is no name.
    """
    head = next(chunks, b"")
    raw, end, _ = bytes(flat(head)[: _MAX_NAME_BYTES + 1]).partition(_END)
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = ""
    if not end or not name:
        message = "the value is no attachment: it does not begin with the name of a file"
        raise CodecError(message)
    return name, _following(flat(head)[len(raw) + 1 :], chunks)


def _following(first: memoryview, rest: Iterator[Buffer]) -> Iterator[Buffer]:
    yield first
    yield from rest
