"""Codecs of values that become bytes, in the row or in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from djq.codecs import blob
from djq.codecs.codec import Codec

if TYPE_CHECKING:
    from djq.codecs.messagepack import Value


class BlobCodec(Codec, register=False):
    """`<blob>`: any value, in djq's own format."""

    name: ClassVar[str] = "blob"

    def get_dtype(self, is_store: bool) -> str:
        """Return `bytes`, or in a store what is addressed by its content."""
        return "<hash>" if is_store else "bytes"

    def encode(self, value: object, *, store_name: str | None = None) -> bytes | list[bytes]:
        """Return `value` as a blob; for a store in parts, which are never joined in memory."""
        return blob.encode(value) if store_name is None else blob.encode_parts(value)

    def decode(self, stored: bytes | bytearray | memoryview) -> Value:
        """Return the value of a blob."""
        return blob.decode(stored)
