"""`<arrow>`: tables of Arrow, pandas and polars; loaded only where such a codec is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from djq.codecs import arrow
from djq.codecs.codec import Codec

if TYPE_CHECKING:
    from djq.codecs.messagepack import Value


class ArrowCodec(Codec, register=False):
    """Tables as Arrow IPC streams."""

    name: ClassVar[str] = "arrow"

    def get_dtype(self, is_store: bool) -> str:
        """Return `bytes`, or in a store what is addressed by its content."""
        return "<hash>" if is_store else "bytes"

    def encode(self, value: object) -> bytes:
        """Return a table as an Arrow IPC stream."""
        return arrow.encode(value)

    def decode(self, stored: bytes | bytearray | memoryview) -> Value:
        """Return the table, as the kind that was stored."""
        return arrow.decode(stored)
